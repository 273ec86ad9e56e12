"""Snapshots of a knowledge home: built aside, verified, named, then made current in one step.

HOME/CURRENT                          the name of the snapshot in force, replaced by os.replace
HOME/snapshots/<utc>-<hash8>/         never changed; hash8 is the start of its manifest's sha256
    entries.jsonl  rows.json  index.faiss  lexical.safetensors  scorer.json (where the search was fitted)
    edits.jsonl (where operators changed entries)  origins.json  manifest.json
HOME/ingest.lock                      held by the one process that writes
HOME/sources.json, quarantine.jsonl   what ingestions remember of documents, and what the last one refused
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from knowledge_base.command import run
from knowledge_base.edits import Edit, lifted
from knowledge_base.entry import Entry, parse_entry
from knowledge_base.errors import SnapshotError
from knowledge_base.home import NAME, make_current, names, remove, remove_old
from knowledge_base.index import VectorIndex
from knowledge_base.lexical import LexicalIndex, texts_sha256
from knowledge_base.manifest import MANIFEST, publish, seal, sha256_of, verify
from knowledge_base.origins import Origin, read_origins, write_origins
from knowledge_base.scorer import Scorer

T = TypeVar("T")
FORMAT = 2  # 1 had no lexical index
LOGGER = logging.getLogger(__name__)
SCORER = "scorer.json"
LEXICAL = "lexical.safetensors"
EDITS = "edits.jsonl"
ORIGINS = "origins.json"
WHAT = "knowledge snapshot"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the index: the entry it belongs to and the sha256 of the text that was embedded."""

    entry_id: str
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verified snapshot.

    `sha256` is its manifest's; `rows[i]` says what row i of the index is; `scorer` was fitted for this knowledge, None
    where the weights that come with Frontdesk serve; `edits` is what operators changed, by the id of the entry, and `origins`
    where each comes from, nothing in snapshots that were made before that was kept.
    """

    id: str
    folder: Path
    sha256: str
    manifest: Mapping[str, Any]
    entries: Mapping[str, Entry]
    rows: Sequence[Row]
    scorer: Scorer | None = None
    edits: Mapping[str, Edit] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)

    @property
    def sourced(self) -> dict[str, Entry]:
        """What the sources say, by id: the entries without what operators changed."""
        return lifted(self.entries, self.edits)

    @property
    def encoder_sha256(self) -> str:
        """Hash of the weights of the encoder that made the vectors."""
        return str(self.manifest["encoder"]["sha256"])

    @property
    def encoder_id(self) -> str:
        """Name of the encoder that made the vectors."""
        return str(self.manifest["encoder"]["id"])

    def read_index(self) -> VectorIndex:
        """Read the vectors, which `read` has verified.

        Raises:
            SnapshotError: they do not fit the rows.
        """
        index = VectorIndex.read(self.folder / "index.faiss")
        if (index.rows, index.dimension) != (len(self.rows), self.manifest["encoder"]["dimension"]):
            raise SnapshotError(f"{self.folder}: the index does not fit its rows. Build the {WHAT} again.")
        return index

    def read_lexical(self) -> LexicalIndex:
        """Read the index of words, which `read` has verified.

        Raises:
            SnapshotError: it is that of other entries.
        """
        return LexicalIndex.read(self.folder / LEXICAL, texts_sha256(lexical_texts(self.entries.values())))

    def require_encoder(self, encoder_id: str, sha256: str) -> None:
        """Refuse to be searched with another encoder than the one that made the vectors.

        Raises:
            SnapshotError: this is another one.
        """
        if self.encoder_sha256 != sha256:
            raise SnapshotError(
                f"{self.folder}: expected knowledge made with the encoder {encoder_id} ({sha256[:12]}), "
                f"got {self.encoder_id} ({self.encoder_sha256[:12]}). Ingest again, or set that encoder."
            )


def rows_of(entries: Iterable[Entry]) -> tuple[list[Row], dict[str, str]]:
    """Return what each row of the index of entries is, and every text once, by its sha256."""
    rows: list[Row] = []
    texts: dict[str, str] = {}
    for entry in entries:
        for text in entry.searched_texts:
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            rows.append(Row(entry.id, sha256))
            texts[sha256] = text
    return rows, texts


def lexical_texts(entries: Iterable[Entry]) -> list[str]:
    """Return all that each entry says, as its words are searched."""
    return ["\n".join(entry.searched_texts) for entry in entries]


def current_id(home: Path) -> str:
    """Return the id of the snapshot in force (reads one small file).

    Raises:
        SnapshotError: there is none.
    """
    try:
        name = (home / "CURRENT").read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise SnapshotError(
            f"{home}: expected a knowledge home, got a folder without CURRENT. "
            f"Build it: python -m knowledge_base.ingest FAQ --out {home}"
        ) from None
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{home / 'CURRENT'}: expected the name of a snapshot, got an unreadable file. Ingest again."
        ) from error
    if not NAME.fullmatch(name):
        raise SnapshotError(f"{home / 'CURRENT'}: expected the name of a snapshot, got {name[:60]!r}. Ingest again.")
    return name


def read(folder: Path, name: str = "") -> Snapshot:
    """Verify a snapshot and read all but its vectors.

    Args:
        folder: the snapshot.
        name: the id it must have; default is the folder's name.

    Raises:
        SnapshotError: it is missing, altered or of another format, or its rows are those of other entries.
    """
    name = name or folder.name
    manifest = verify(folder, WHAT, SnapshotError)
    sha256 = sha256_of(folder / MANIFEST)
    if not name.endswith(sha256[:8]):
        raise SnapshotError(f"{folder / MANIFEST}: the file was altered after the {WHAT} was built. Ingest again.")
    if manifest.get("format") != FORMAT:
        raise SnapshotError(f"{folder}: expected format {FORMAT}, got {manifest.get('format')!r}. Ingest again.")
    try:
        entries = [parse_entry(row) for row in _read_lines(folder / "entries.jsonl")]
        rows = [Row(*row) for row in json.loads((folder / "rows.json").read_text(encoding="utf-8"))]
        scorer = _fitted(folder / SCORER)
        edited = folder / EDITS
        edits = {edit.entry.id: edit for edit in map(Edit.from_json, _read_lines(edited) if edited.exists() else ())}
        origins = read_origins(folder / ORIGINS)
    except (ValueError, TypeError, KeyError) as error:
        raise SnapshotError(f"{folder}: the {WHAT} cannot be read ({error}). Ingest again.") from error
    if rows != rows_of(entries)[0]:
        raise SnapshotError(f"{folder}: the rows are not those of the entries. Ingest again.")
    by_id = {entry.id: entry for entry in entries}
    return Snapshot(name, folder, sha256, manifest, by_id, rows, scorer, edits, origins)


def _fitted(file: Path) -> Scorer | None:
    """Return the weights that the search was fitted with; None where it was not, or by a version that knew other features."""
    if not file.exists():
        return None
    facts = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(facts, dict) and isinstance(facts.get("weights"), dict) and not Scorer.weighs_the_same(facts):
        LOGGER.warning(
            "%s: expected weights of this version, got those of another: the ones that come with Frontdesk serve. "
            "Run python -m knowledge_base.fit again.",
            file,
        )
        return None
    return Scorer.from_json(facts)


def read_current(home: Path) -> Snapshot:
    """Verify and read the snapshot in force, without its vectors.

    Raises:
        SnapshotError: there is none, or it is altered.
    """
    return while_current(home, lambda folder: read(folder))


def open_current(home: Path) -> tuple[Snapshot, VectorIndex]:
    """Verify and read the snapshot in force with its vectors.

    Raises:
        SnapshotError: there is none, or it is altered.
    """

    def read_both(folder: Path) -> tuple[Snapshot, VectorIndex]:
        snapshot = read(folder)
        return snapshot, snapshot.read_index()

    return while_current(home, read_both)


def while_current(home: Path, parse: Callable[[Path], T]) -> T:
    """Parse the folder of the current snapshot; where it is replaced and removed meanwhile, that of its successor.

    Raises:
        SnapshotError: there is none, or `parse` refuses it.
    """
    while True:
        name = current_id(home)
        try:
            return parse(home / "snapshots" / name)
        except (SnapshotError, OSError) as error:
            if current_id(home) != name:
                continue
            if isinstance(error, SnapshotError):
                raise
            raise SnapshotError(f"{home}: the {WHAT} {name} cannot be read ({error}). Ingest again.") from error


def check(folder: Path, name: str = "") -> Snapshot:
    """Verify a snapshot and all its parts, those that `read` leaves to others too.

    Args:
        folder: the snapshot.
        name: the id it must have; default is the folder's name.

    Raises:
        SnapshotError: it is missing, altered or of another format, or a part is that of other entries.
    """
    snapshot = read(folder, name)
    if not snapshot.read_index().is_of_unit_rows():
        raise SnapshotError(f"{folder}: expected vectors of length 1, got others. Ingest again.")
    snapshot.read_lexical()
    return snapshot


def intact(home: Path) -> Snapshot | None:
    """Return a snapshot that verifies, for repair; None where there is none.

    It is the newest of those up to the one in force; what is newer was rolled back, and serves only if nothing else does.
    """
    held = names(home)
    try:
        current = current_id(home)
        until = held.index(current) + 1
    except (SnapshotError, ValueError):  # which one was in force, or when, is not known
        until = len(held)
    for name in (*reversed(held[:until]), *held[until:]):
        try:
            return read(home / "snapshots" / name)
        except (SnapshotError, OSError):
            continue
    return None


def write(
    home: Path,
    entries: Sequence[Entry],
    rows: Sequence[Row],
    index: VectorIndex,
    facts: Mapping[str, Any],
    scorer: Scorer | None = None,
    edits: Mapping[str, Edit] | None = None,
    origins: Mapping[str, Origin] | None = None,
) -> Snapshot:
    """Write a snapshot and make it current; call it inside `writing`.

    Args:
        home: the knowledge home.
        entries: all entries, unique ids.
        rows: what each row of the index is.
        index: the vectors, one a row.
        facts: for the manifest; `encoder` is an object with id, sha256 and dimension.
        scorer: how this knowledge is searched, where that was fitted.
        edits: what operators changed, by the id of the entry.
        origins: where each entry comes from, by its id.

    Raises:
        SnapshotError: what was written does not read back as it should; nothing was made current.
    """
    created = datetime.now(UTC)
    partial = home / "snapshots" / f"{created:%Y%m%dT%H%M%SZ}.partial"
    partial.mkdir()
    try:
        _write_lines(partial / "entries.jsonl", (entry.to_json() for entry in entries))
        if edits:
            _write_lines(partial / EDITS, (edit.to_json() for edit in edits.values()))
        write_origins(partial / ORIGINS, origins or {})
        pairs = [[row.entry_id, row.text_sha256] for row in rows]
        (partial / "rows.json").write_text(json.dumps(pairs, ensure_ascii=False), encoding="utf-8")
        index.write(partial / "index.faiss")
        LexicalIndex.build(lexical_texts(entries)).write(partial / LEXICAL)
        if scorer is not None:
            (partial / SCORER).write_text(json.dumps(scorer.to_json(), indent=1) + "\n", encoding="utf-8")
        counts = {"entries": len(entries), "rows": len(rows)}
        seal(partial, {"format": FORMAT, "created": created.isoformat(), "counts": counts, **facts})
        name = f"{created:%Y%m%dT%H%M%SZ}-{sha256_of(partial / MANIFEST)[:8]}"
        written = check(partial, name)
        kept = (list(written.entries.values()), list(written.rows), written.scorer, written.edits, written.origins)
        if kept != (list(entries), list(rows), scorer, dict(edits or {}), dict(origins or {})):
            raise SnapshotError(f"{partial}: what was written does not read back as it was. Nothing was changed.")
        publish(partial, home / "snapshots" / name)
    except BaseException:
        remove(partial)
        raise
    make_current(home, name)
    remove_old(home, {name, str(facts.get("parent"))})
    return replace(written, id=name, folder=home / "snapshots" / name)


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, which is `knowledge_base.history`'s."""
    from knowledge_base import history

    return history.main(argv)


if __name__ == "__main__":
    run(main)

"""From entries to the next snapshot: only texts that the one before does not hold are embedded, all else is taken over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from knowledge_base import snapshots
from knowledge_base.command import progress
from knowledge_base.edits import Edit
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError
from knowledge_base.index import VectorIndex
from knowledge_base.origins import Before, Origin, origins_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class Weights(Protocol):
    """An encoder by name and hash, whether it is loaded or not."""

    @property
    def id(self) -> str:
        """The name it is asked for by."""

    @property
    def sha256(self) -> str:
        """Hash of its weights."""


@dataclass(frozen=True, slots=True)
class Published:
    """The snapshot that was made, and where the time went, in seconds."""

    snapshot: snapshots.Snapshot
    seconds_loading: float
    seconds_embedding: float


class Publication:
    """The entries of the next snapshot of a home, and what of them is new.

    Args:
        entries: all that the snapshot will hold, unique ids.
        edits: what operators changed in them.
        held: the snapshot before, None where there is none.
        encoder: makes the vectors; where it is not the one before, every text is new.
        say: is given each line that tells what is going on.
        files: the file that an entry was read from, by its id; the others come from where they came from before.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        edits: Mapping[str, Edit],
        held: snapshots.Snapshot | None,
        encoder: Weights,
        say: Callable[[str], None],
        files: Mapping[str, str] | None = None,
    ) -> None:
        self._entries, self._edits, self._held, self._encoder, self._say = entries, edits, held, encoder, say
        self._files = files or {}
        self._rows, texts = snapshots.rows_of(entries)
        self._known = self._known_rows()
        self.new = {sha256: text for sha256, text in texts.items() if sha256 not in self._known}

    def write(self, home: Path, load: Callable[[], Encoder]) -> Published:
        """Write the snapshot and make it current; call it inside `knowledge_base.home.writing`.

        Args:
            home: the knowledge home.
            load: gives the encoder; called only if a text is new.

        Raises:
            InputError: no entry is left in force; nothing was written.
            SnapshotError: what was written does not read back as it should; nothing was made current.
        """
        import numpy as np

        if not self._rows:
            raise InputError(f"{home}: expected at least one entry to stay in force, got none. Nothing was changed.")

        parts: list[Vectors] = []
        loading = embedding = 0.0
        if self._held and self._known:
            parts.append(self._held.read_index().vectors(np.array(list(self._known.values()))))
        if self.new:
            vectors, loading, embedding = self._embed(load)
            parts.append(vectors)
        place = {sha256: i for i, sha256 in enumerate([*self._known, *self.new])}
        index = VectorIndex.build(np.concatenate(parts)[[place[row.text_sha256] for row in self._rows]])
        facts = {
            "encoder": {"id": self._encoder.id, "sha256": self._encoder.sha256, "dimension": index.dimension},
            "parent": self._held.id if self._held else None,
            "changes": self._changes(),
        }
        scorer = self._held.scorer if self._held else None
        written = snapshots.write(home, self._entries, self._rows, index, facts, scorer, self._edits, self._origins())
        return Published(written, loading, embedding)

    def _changes(self) -> dict[str, int]:
        """Return how many entries were added, changed and removed against the snapshot before."""
        before = self._held.entries if self._held else {}
        after = {entry.id: entry for entry in self._entries}
        return {
            "added": len(after.keys() - before.keys()),
            "changed": sum(before[entry_id] != after[entry_id] for entry_id in after.keys() & before.keys()),
            "removed": len(before.keys() - after.keys()),
        }

    def _origins(self) -> dict[str, Origin]:
        held, today = self._held, datetime.now(UTC).date().isoformat()
        before = Before(held.entries, held.origins, str(held.manifest["created"])[:10]) if held else Before()
        return origins_of(self._entries, self._files, before, today)

    def _known_rows(self) -> dict[str, int]:
        """Return where the held index has the vector of a text; nothing where another encoder made it."""
        held, encoder = self._held, self._encoder
        if held is None:
            return {}
        if held.encoder_sha256 != encoder.sha256:
            self._say(f"the encoder changed from {held.encoder_id} to {encoder.id}: every text is embedded again")
            return {}
        return {row.text_sha256: i for i, row in enumerate(held.rows)}

    def _embed(self, load: Callable[[], Encoder]) -> tuple[Vectors, float, float]:
        """Return the vectors of the new texts, and the seconds that loading and embedding took."""
        texts = list(self.new.values())
        started = time.monotonic()
        self._say("loading the encoder")
        encoder = load()
        loaded = time.monotonic()
        self._say(f"texts to embed: {len(texts):,}")
        with progress("embedding", len(texts)) as advance:
            vectors = encoder.encode(texts, advance)
        return vectors, loaded - started, time.monotonic() - loaded

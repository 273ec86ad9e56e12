"""Ways in which the snapshot in force of a knowledge home can be damaged, for tests and campaigns.

The last kinds are of one who also writes a manifest that fits, names the snapshot after it and puts it in force.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from knowledge_base.manifest import MANIFEST, seal, sha256_of
from knowledge_base.snapshots import current_id

Damage = Callable[[Path, Path, Random], str]  # home, a home of others, chance -> what was done


def _folder(home: Path) -> Path:
    return home / "snapshots" / current_id(home)


def _any_file(home: Path, chance: Random) -> Path:
    return chance.choice(sorted(_folder(home).iterdir()))


def cut(home: Path, _other: Path, chance: Random) -> str:
    file = _any_file(home, chance)
    whole = file.read_bytes()
    left = chance.randrange(len(whole))
    file.write_bytes(whole[:left])
    return f"{file.name} cut to {left} bytes"


def flipped(home: Path, _other: Path, chance: Random) -> str:
    file = _any_file(home, chance)
    content = bytearray(file.read_bytes())
    places = chance.sample(range(len(content)), chance.randint(1, 3))
    for place in places:
        content[place] ^= 1 << chance.randrange(8)
    file.write_bytes(content)
    return f"{file.name} with bits flipped at {places}"


def emptied(home: Path, _other: Path, chance: Random) -> str:
    file = _any_file(home, chance)
    file.write_bytes(b"")
    return f"{file.name} emptied"


def swapped(home: Path, _other: Path, chance: Random) -> str:
    one, two = chance.sample(sorted(_folder(home).iterdir()), 2)
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    return f"{one.name} and {two.name} swapped"


def missing(home: Path, _other: Path, chance: Random) -> str:
    file = _any_file(home, chance)
    file.unlink()
    return f"{file.name} removed"


def extra(home: Path, _other: Path, chance: Random) -> str:
    name = chance.choice(["docstore.pkl", "scorer.json", ".hidden", "index.faiss.bak"])
    (_folder(home) / name).write_bytes(chance.randbytes(chance.randrange(50)))
    return f"{name} added"


def link(home: Path, _other: Path, chance: Random) -> str:
    file = _any_file(home, chance)
    moved = home / f"moved-{file.name}"
    file.rename(moved)
    file.symlink_to(moved)
    return f"{file.name} replaced by a link to what it was"


def other_hash(home: Path, _other: Path, chance: Random) -> str:
    manifest = _folder(home) / MANIFEST
    content = json.loads(manifest.read_text())
    name = chance.choice(sorted(content["files"]))
    content["files"][name]["sha256"] = chance.randbytes(32).hex()
    manifest.write_text(json.dumps(content))
    return f"the manifest with another hash of {name}"


def other_current(home: Path, _other: Path, chance: Random) -> str:
    name = current_id(home)
    content = chance.choice(
        [chance.randbytes(26), name[:-1].encode(), f"{name[:-8]}{0:08x}".encode(), b"../" + name.encode()]
    )
    (home / "CURRENT").write_bytes(content)
    return f"CURRENT holds {content!r}"


def edit_manifest(home: Path, changes: Mapping[str, Any]) -> None:
    """Write the manifest anew over the files as they are, name the snapshot after it and put it in force."""
    folder = _folder(home)
    facts = json.loads((folder / MANIFEST).read_text())
    del facts["files"]
    seal(folder, {**facts, **changes})
    name = f"{folder.name[:17]}{sha256_of(folder / MANIFEST)[:8]}"
    folder.rename(folder.with_name(name))
    (home / "CURRENT").write_text(f"{name}\n")


def other_encoder(home: Path, _other: Path, chance: Random) -> str:
    facts = json.loads((_folder(home) / MANIFEST).read_text())
    edit_manifest(home, {"encoder": {**facts["encoder"], "sha256": chance.randbytes(32).hex()}})
    return "a whole manifest that names another encoder"


def other_format(home: Path, _other: Path, chance: Random) -> str:
    formats = [1, 3, "2", None, [2]]
    given = chance.choice(formats)
    edit_manifest(home, {"format": given})
    return f"a whole manifest of format {given!r}"


def _of_others(name: str) -> Damage:
    def replaced(home: Path, other: Path, _chance: Random) -> str:
        shutil.copy(_folder(other) / name, _folder(home) / name)
        edit_manifest(home, {})
        return f"{name} of other entries under a whole manifest"

    return replaced


def _cut_under_a_whole_manifest(home: Path, other: Path, chance: Random) -> str:
    file = chance.choice([path for path in sorted(_folder(home).iterdir()) if path.name != MANIFEST])
    whole = file.read_bytes()
    # The last byte of a text file is a line break, without which it is the same.
    left = chance.randrange(len(whole) - 1)
    file.write_bytes(whole[:left])
    edit_manifest(home, {})
    return f"{file.name} cut to {left} bytes under a whole manifest"


DAMAGES: Mapping[str, Damage] = {
    "cut": cut,
    "flipped": flipped,
    "emptied": emptied,
    "swapped": swapped,
    "missing": missing,
    "extra": extra,
    "link": link,
    "other hash": other_hash,
    "other CURRENT": other_current,
    "other encoder": other_encoder,
    "other format": other_format,
    "entries of others": _of_others("entries.jsonl"),
    "rows of others": _of_others("rows.json"),
    "vectors of others": _of_others("index.faiss"),
    "words of others": _of_others("lexical.safetensors"),
    "cut, whole manifest": _cut_under_a_whole_manifest,
}

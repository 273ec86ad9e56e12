"""The folder of an unfinished run: what it was started with, and how to go on with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from finetune import processes
from finetune.arguments import LAST, LoraArguments
from finetune.output_folder import output_folder
from knowledge_base.errors import InputError
from knowledge_base.manifest import sha256_of

PROCESSES = "number of processes"


def check_output(arguments: LoraArguments) -> None:
    """Refuse an output folder in use, and an unfinished run that is not to be gone on with, or the other way round.

    Raises:
        InputError: the run would overwrite something, or there is nothing to go on with.
    """
    output_folder(arguments.output_dir)
    partial = arguments.partial()
    resuming = bool(arguments.resume_from_checkpoint)
    if partial.exists() and any(partial.iterdir()) and not resuming:
        raise InputError(
            f"{partial}: an unfinished run is there. Go on with --resume_from_checkpoint, or delete the folder."
        )
    if resuming and not partial.exists():
        raise InputError(
            f"--resume_from_checkpoint: expected an unfinished run in {partial}, found none. Leave the flag out."
        )
    if resuming and arguments.resume_from_checkpoint not in (LAST, str(partial)):
        raise InputError(f"--resume_from_checkpoint: only the run in {partial} can go on. Give the flag no value.")


def remember(arguments: LoraArguments, files: Sequence[Path], hashes: Mapping[str, str]) -> None:
    """Keep what a run was started with, and refuse to go on with anything else.

    Raises:
        InputError: the run was started with other flags, data, knowledge or models.
    """
    ignored = ("resume_from_checkpoint", "json", "config", "dry_run")
    facts = {k: v for k, v in asdict(arguments).items() if k not in ignored}
    facts[PROCESSES] = processes.number()
    facts["dataset_sha256"] = [sha256_of(file) for file in files]
    facts.update({f"{name}_sha256": value for name, value in hashes.items()})  # lessons: the knowledge may have changed
    partial = arguments.partial()
    partial.mkdir(parents=True, exist_ok=True)
    kept = partial / "arguments.json"
    text = json.dumps(facts, sort_keys=True)
    if not kept.exists():
        if processes.rank() == 0:
            write_whole(kept, text)
        return
    before = json.loads(kept.read_text(encoding="utf-8"))
    changed = [name for name, value in json.loads(text).items() if before.get(name) != value]
    if changed:
        name = min(changed, key=lambda one: one.endswith("_sha256"))  # a flag tells more than what follows from it
        what = f"--{name}" if hasattr(arguments, name) else name.removesuffix("_sha256")
        raise InputError(
            f"--resume_from_checkpoint: the run in {partial} was started with another {what} "
            f"({before.get(name)}). Give the same flags, data and knowledge."
        )


def how_to_go_on(arguments: LoraArguments) -> str:
    """Return the sentence that an interrupted run ends with."""
    partial = arguments.partial()
    if not partial.exists():
        return "interrupted"
    return (
        f"interrupted: what was learnt is kept in {partial}. Go on with the same command and --resume_from_checkpoint."
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one, never an empty one."""
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)

"""The folder that a command makes: checked before any work, built aside, named when it is whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

from knowledge_base.errors import InputError


def output_folder(given: str) -> Path:
    """Return the folder that `--output_dir` names.

    Raises:
        InputError: it is in use, or nothing can be made there.
    """
    output = named(given)
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise InputError(f"--output_dir {output}: expected an absent or empty folder, got one in use. Choose another.")
    above = next(folder for folder in output.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryDirectory(dir=above):
            return output
    except OSError as error:
        raise InputError(f"--output_dir {output}: nothing can be made in {above}. Choose another folder.") from error


def named(given: str) -> Path:
    """Return the path of a folder, with its name where only "." or ".." was given."""
    path = Path(given)
    return path if path.name not in ("", "..") else path.resolve()


def partial_of(output: Path) -> Path:
    """Return the folder beside an output folder in which it is built."""
    return output.with_name(output.name + ".partial")

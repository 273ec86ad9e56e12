"""Write the stored conversations as transcripts, which the fine-tuning reads unchanged."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from chatbot.data_folder import DEFAULT_DATA_DIR, database_of
from chatbot.errors import InputError
from knowledge_base.command import EXIT_DONE, Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m chatbot.export`.

    Raises:
        InputError: there is no database, or the file to write exists already or cannot be written.
        StoreError: the database cannot be used.
    """
    parser = Parser(prog="python -m chatbot.export", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR, help="the data folder; the app may run")
    parser.add_argument("--out", default="-", metavar="FILE", help="a new .jsonl or .jsonl.gz file, or -")
    arguments = parser.parse_args(argv)
    database = database_of(arguments.data_dir)
    from chatbot.store import Store

    with Store.open(database, read_only=True) as store, _opened(arguments.out) as file:
        count = _write(store.export(), file)
    print(f"{count:,} conversations written", file=sys.stderr)
    return EXIT_DONE


def _write(transcripts: Iterable[dict[str, Any]], file: TextIO) -> int:
    count = 0
    for transcript in transcripts:
        file.write(json.dumps(transcript, ensure_ascii=False) + "\n")
        count += 1
    return count


@contextmanager
def _opened(target: str) -> Iterator[TextIO]:
    """Open a new file, which gets its name when it is complete; what exists is never overwritten."""
    if target == "-":
        yield sys.stdout
        return
    path = Path(target)
    if path.exists():
        raise InputError(f"{path}: expected a new file, got one that exists. Choose another name.")
    partial = path.with_name(f"{path.name}.partial")
    try:
        with _text_file(partial, compressed=path.suffix == ".gz") as file:
            yield file
        partial.rename(path)
    except OSError as error:
        raise InputError(
            f"{path}: expected a file that can be written, got: {error.strerror}. Choose another place."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _text_file(path: Path, *, compressed: bool) -> TextIO:
    if compressed:
        return cast(TextIO, gzip.open(path, "wt", encoding="utf-8"))
    return path.open("w", encoding="utf-8")


if __name__ == "__main__":
    run(main)

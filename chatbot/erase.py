"""Delete all that is kept about one visitor: conversations, turns, labels and ratings. This cannot be undone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chatbot.data_folder import DEFAULT_DATA_DIR, database_of, hold
from chatbot.errors import InputError
from knowledge_base.command import EXIT_DONE, Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m chatbot.erase`.

    Raises:
        InputError: nothing is kept about this visitor, or the data folder is missing or in use.
        StoreError: the database cannot be used.
    """
    parser = Parser(prog="python -m chatbot.erase", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR, help="the data folder, with the app stopped")
    parser.add_argument("--visitor", required=True, metavar="ID", help="the id that the operator page shows")
    arguments = parser.parse_args(argv)
    database = database_of(arguments.data_dir)
    with hold(arguments.data_dir):
        counts = _erase(database, arguments.visitor)
    if not any(counts.values()):
        raise InputError(f"--visitor {arguments.visitor}: nothing is kept about this visitor. Check the id.")
    for table, count in counts.items():
        print(f"{table}: {count:,} deleted")
    return EXIT_DONE


def _erase(database: Path, visitor_id: str) -> dict[str, int]:
    from chatbot.store import Store

    with Store.open(database) as store:
        return dict(store.erase(visitor_id))


if __name__ == "__main__":
    run(main)

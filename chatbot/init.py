"""Make a data folder: commented settings, an empty database and the folders that the other commands fill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chatbot.config import SETTINGS_FILE
from chatbot.data_folder import DATABASE_FILE, create, hold
from knowledge_base.command import EXIT_DONE, Parser, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m chatbot.init`.

    Raises:
        InputError: the folder holds something already, or cannot be written.
        StoreError: the database cannot be made.
    """
    parser = Parser(prog="python -m chatbot.init", description=__doc__)
    parser.add_argument("dir", type=Path, metavar="DIR", help="the new data folder: absent or empty")
    data_dir: Path = parser.parse_args(argv).dir
    create(data_dir)
    from chatbot.store import Store

    with hold(data_dir):
        Store.open(data_dir / DATABASE_FILE).close()
    print(f"{data_dir} is ready. Read {data_dir / SETTINGS_FILE}, then start: python app.py --data-dir {data_dir}")
    return EXIT_DONE


if __name__ == "__main__":
    run(main)

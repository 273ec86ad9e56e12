"""Add, list and remove those who may sign in to the operator page."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from chatbot.config import SETTINGS_FILE
from chatbot.data_folder import DATABASE_FILE, DEFAULT_DATA_DIR, database_of, hold
from chatbot.errors import InputError, NotFoundError
from knowledge_base.command import EXIT_DONE, Parser, run

MARKS = (SETTINGS_FILE, DATABASE_FILE, "knowledge")  # by any of these a data folder is known


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m chatbot.users`.

    Raises:
        InputError: the name, the password or the data folder cannot be used.
        StoreError: the database cannot be used.
    """
    arguments = _parser().parse_args(argv)
    data_dir: Path = arguments.data_dir
    if arguments.action == "list":
        return _list(database_of(data_dir))
    if not any((data_dir / name).exists() for name in MARKS):
        raise InputError(
            f"{data_dir}: expected a data folder, found none of {', '.join(MARKS)} in it. Check --data-dir."
        )
    password = _password(from_stdin=arguments.password_stdin) if arguments.action == "add" else ""
    with hold(data_dir):
        return _change(data_dir / DATABASE_FILE, arguments, password)


def _parser() -> Parser:
    parser = Parser(prog="python -m chatbot.users", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|list|remove")
    add = actions.add_parser("add", help="add someone; the password is asked for twice")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=["operator"], default="operator", help="what they may do")
    add.add_argument("--password-stdin", action="store_true", help="read the password from the first line of the input")
    remove = actions.add_parser("remove", help="remove someone")
    remove.add_argument("name", metavar="NAME")
    for action in (add, remove, actions.add_parser("list", help="list everyone")):
        action.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR, help="the data folder")
    return parser


def _list(database: Path) -> int:
    from chatbot.store import Store

    with Store.open(database, read_only=True) as store:
        for user in store.users():
            print(f"{user.name}\t{user.role}\tsince {user.created_at:%Y-%m-%d}")
    return EXIT_DONE


def _change(database: Path, arguments: Namespace, password: str) -> int:
    from chatbot.store import Store

    with Store.open(database) as store:
        if arguments.action == "add":
            store.add_user(arguments.name, password, arguments.role)
            print(f"{arguments.name} may sign in as {arguments.role}")
            return EXIT_DONE
        try:
            store.remove_user(arguments.name)
        except NotFoundError as error:
            raise InputError(str(error)) from error
        print(f"{arguments.name} may no longer sign in")
        return EXIT_DONE


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("password: expected a terminal to ask on. Use --password-stdin.")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise InputError("password: the two differ. Run the command again.")
    return password


if __name__ == "__main__":
    run(main)

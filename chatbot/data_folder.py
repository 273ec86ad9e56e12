"""The folder that holds all that a deployment keeps, and the lock that gives it to one process at a time."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from chatbot.config import SETTINGS_FILE
from chatbot.errors import InputError

DATABASE_FILE = "frontdesk.db"
SECRET_FILE = "secret"  # noqa: S105 (a file name)
LOCK_FILE = "lock"
FOLDERS = ("knowledge", "adapters", "calibrations", "examples", "logs")
DEFAULT_DATA_DIR = Path("data")

_SECRET_BYTES = 32


def create(data_dir: Path) -> None:
    """Make a data folder with its commented settings, its secret and its empty parts.

    Raises:
        InputError: the folder holds something, or cannot be written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # customers' words are nobody else's
        if any(data_dir.iterdir()):
            raise InputError(f"{data_dir}: expected an absent or empty folder, got one in use. Choose another.")
        for name in FOLDERS:
            (data_dir / name).mkdir()
        template = resources.files("chatbot").joinpath(SETTINGS_FILE).read_text(encoding="utf-8")
        (data_dir / SETTINGS_FILE).write_text(template, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{data_dir}: expected a folder that can be written, got: {error.strerror}. Choose another place."
        ) from error
    session_secret(data_dir)


def database_of(data_dir: Path) -> Path:
    """Return the path of the database.

    Raises:
        InputError: there is none.
    """
    path = data_dir / DATABASE_FILE
    if not path.exists():
        raise InputError(f"{path}: expected a database, found none. Check --data-dir.")
    return path


def session_secret(data_dir: Path) -> str:
    """Return the secret that signs visitors' cookies; made once, readable by the owner only.

    Raises:
        InputError: the file cannot be made or read, or others may read it.
    """
    path = data_dir / SECRET_FILE
    try:
        _make_secret(path)
        secret, mode = path.read_text(encoding="ascii").strip(), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the secret cannot be made or read: {error}. Check the folder's rights.") from error
    if mode & 0o077 and os.name == "posix":
        raise InputError(f"{path}: expected a file that only its owner may read. Run chmod 600 {path}.")
    if len(secret) < _SECRET_BYTES:
        raise InputError(f"{path}: expected a secret, got {len(secret)} characters. Delete the file; all sign in anew.")
    return secret


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Hold the data folder while the context lasts; the lock ends with the process, however that ends.

    Raises:
        InputError: the folder is missing, or another process holds it.
    """
    from filelock import FileLock, Timeout

    if not data_dir.is_dir():
        raise InputError(
            f"{data_dir}: expected a data folder, found none. Make one with python -m chatbot.init {data_dir}."
        )
    path = data_dir / LOCK_FILE
    lock = FileLock(path, timeout=0, thread_local=False, on_acquired=_sign)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{data_dir}: the folder is in use by {_holder(path)}. Stop it, then try again.") from None
    except OSError as error:
        raise InputError(f"{path}: the folder cannot be locked: {error.strerror}. Check its rights.") from error
    try:
        yield
    finally:
        lock.release()


def _make_secret(path: Path) -> None:
    """Write a secret aside and give it its name, unless there is one: no reader ever finds half of it."""
    if path.exists():
        return
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(_SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def _sign(descriptor: int) -> None:
    """Write into the lock file who holds it, for the one who is refused."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{Path(sys.argv[0]).name} (process {os.getpid()})".encode(), 0)


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"

"""SQLite as the store uses it: the driver, the PRAGMAs, one writer engine and one reader engine.

The writer engine has a single connection and begins with BEGIN IMMEDIATE: writes queue up in this process instead
of failing half-way, and no two connections ever write or checkpoint at once (which corrupts databases before
SQLite 3.51.3). The reader engine's connections cannot write.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from chatbot.errors import StoreError

APPLICATION_ID = 0x46446573  # "FDes": stands in the file's header, so another application's file is not taken for ours

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # NORMAL may lose commits that were acknowledged when the power fails
    "busy_timeout=10000",
    "secure_delete=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
    "temp_store=MEMORY",  # VACUUM must not leave customers' words in a temporary file
    "journal_size_limit=67108864",
)

_WAITING_SECONDS = 30.0
_READERS = 8


def driver() -> ModuleType:
    """Return `pysqlite3`, which carries a current SQLite, where it is installed, and else the standard library's."""
    try:
        import pysqlite3.dbapi2 as module
    except ImportError:
        import sqlite3.dbapi2 as module
    return module  # type: ignore[no-any-return,unused-ignore]


def connect(path: Path, *, access: Literal["migrate", "write", "read"]) -> Engine:
    """Return an engine on the database at `path`.

    A connection to `migrate` does not enforce foreign keys (SQLite rebuilds tables to change them); the caller checks
    them before it commits.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        module=driver(),
        poolclass=QueuePool,
        pool_size=_READERS if access == "read" else 1,
        max_overflow=0,
        pool_timeout=_WAITING_SECONDS,
        json_serializer=_json,
        connect_args={"isolation_level": None},  # the driver begins nothing by itself
    )
    pragmas = [*PRAGMAS, f"foreign_keys={'OFF' if access == 'migrate' else 'ON'}"]
    if access == "read":
        pragmas.append("query_only=ON")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("casefold", 1, _casefold, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if access == "read" else "BEGIN IMMEDIATE")

    return engine


def check(path: Path) -> None:
    """Refuse a file that is damaged or not ours, before anything is written to it. An absent or empty file is fine.

    Raises:
        StoreError: the file cannot be used.
    """
    if not path.parent.is_dir():
        raise StoreError(
            f"{path.parent}: expected a data folder, found none. Make one with python -m chatbot.init {path.parent}."
        )
    if not path.exists() or path.stat().st_size == 0:
        return
    module = driver()
    damaged = f"{path}: the database is damaged. Put a backup in its place, or move it away to start with an empty one."
    try:
        connection = module.connect(str(path))
        try:
            application_id = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except module.OperationalError as error:
        raise StoreError(f"{path}: the database cannot be opened: {error}. Check the path and its rights.") from error
    except module.DatabaseError as error:
        raise StoreError(damaged) from error
    if verdict != "ok":
        raise StoreError(damaged)
    if tables and application_id != APPLICATION_ID:
        raise StoreError(f"{path}: expected a database of Frontdesk, got one of another application. Move it away.")


def compact(engine: Engine, path: Path) -> None:
    """Rewrite the file without deleted content, and empty the write-ahead log.

    Raises:
        StoreError: a reader kept the log from being emptied; what was deleted may still stand in it.
    """
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy = (cursor.fetchone() or (1,))[0]
        cursor.close()
    finally:
        connection.close()
    if busy:
        raise StoreError(
            f"{path}: the rows are deleted, but another process reads the database and keeps old pages in "
            f"{path.name}-wal. End it and run the command again."
        )


def mended(text: str) -> str:
    """Return `text` with every half of a surrogate pair, which UTF-8 cannot hold, as U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _json(value: object) -> str:
    return mended(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _casefold(text: str | None) -> str | None:
    return None if text is None else text.casefold()

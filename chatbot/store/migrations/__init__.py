"""The steps from an empty file to the present tables, run by Alembic from inside the package.

All missing steps run in one transaction: a process that dies on the way leaves the database as it was.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SQLAlchemyError

from chatbot.errors import StoreError
from chatbot.store.sqlite import APPLICATION_ID, connect


def migrate(path: Path) -> None:
    """Bring the database at `path` to the tables of this version; a new file goes through every step as well.

    Raises:
        StoreError: the database was written by a newer version, or a step failed (nothing is changed then).
    """
    engine = connect(path, access="migrate")
    try:
        with engine.begin() as connection:
            if not _is_newest(connection, path):
                _upgrade(connection)
                _check_foreign_keys(connection, path)
                connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    except SQLAlchemyError as error:
        raise StoreError(
            f"{path}: the database could not be brought to this version: {error}. Restore a copy, or use the version that made it."
        ) from error
    finally:
        engine.dispose()


def require_newest(path: Path) -> None:
    """Refuse a database that has other tables than this version knows; nothing is changed.

    Raises:
        StoreError: the database is missing, of an older or of a newer version.
    """
    if not path.exists():
        raise StoreError(f"{path}: expected a database, found none. Check --data-dir.")
    engine = connect(path, access="read")
    try:
        with engine.connect() as connection:
            if not _is_newest(connection, path):
                raise StoreError(f"{path}: the database is of an older version. Start the app once to upgrade it.")
    except SQLAlchemyError as error:
        raise StoreError(f"{path}: the database cannot be read: {error}. Restore a copy of it.") from error
    finally:
        engine.dispose()


def _is_newest(connection: Connection, path: Path) -> bool:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent))
    if not inspect(connection).has_table("alembic_version"):
        return False
    version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if version not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            f"{path}: expected a database of version {scripts.get_current_head()} or older, got {version}, "
            "which a newer Frontdesk wrote. Install that Frontdesk again."
        )
    return bool(version == scripts.get_current_head())


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _check_foreign_keys(connection: Connection, path: Path) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise StoreError(
            f"{path}: a row of {broken[0]} refers to a missing {broken[2]} row. Put a backup in its place."
        )

"""Who may sign in. Passwords are kept as Argon2id hashes only."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from chatbot.errors import InputError, NotFoundError
from chatbot.store.records import User, UserRole
from chatbot.store.tables import UserTable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST_PASSWORD = 8


def add(session: Session, name: str, password: str, role: UserRole) -> User:
    """Add a user.

    Raises:
        InputError: the name is empty or taken, or the password too short.
    """
    if not name.strip() or name != name.strip():
        raise InputError(f"user {name!r}: expected a name without spaces around it. Choose another.")
    if len(password) < SHORTEST_PASSWORD:
        raise InputError(f"user {name}: expected a password of {SHORTEST_PASSWORD} characters or more. Choose another.")
    if session.get(UserTable, name) is not None:
        raise InputError(f"user {name}: there is a user of this name already. Remove it first, or choose another name.")
    row = UserTable(name=name, role=role, password_hash=_hasher().hash(password), created_at=datetime.now(UTC))
    session.add(row)
    session.flush()
    return _user(row)


def remove(session: Session, name: str) -> None:
    """Remove a user.

    Raises:
        NotFoundError: there is no user of this name.
    """
    row = session.get(UserTable, name)
    if row is None:
        raise NotFoundError(f"user {name}: there is no user of this name. List them with python -m chatbot.users list.")
    session.delete(row)


def verify(session: Session, name: str, password: str) -> User | None:
    """Return the user if the password is theirs, else None; a name that nobody has takes as long."""
    from argon2.exceptions import InvalidHashError, VerificationError

    row = session.get(UserTable, name)
    try:
        _hasher().verify(row.password_hash if row else _nobody(), password)
    except (VerificationError, InvalidHashError):
        return None
    return _user(row) if row else None


def every(session: Session) -> list[User]:
    """Return all users by name."""
    return [_user(row) for row in session.scalars(select(UserTable).order_by(UserTable.name))]


def _user(row: UserTable) -> User:
    return User(row.name, cast(UserRole, row.role), row.created_at)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobody() -> str:
    """Return the hash that is tried for a name that nobody has."""
    return _hasher().hash(datetime.now(UTC).isoformat())

"""What the service remembers: a message is acknowledged only after it is committed.

Safe to use from several threads. No transaction lasts longer than one call, so none is held while a model works.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from chatbot.errors import StoreError
from chatbot.store import conversations, erasure, migrations, search, sqlite, transcripts, turns, unanswered, users
from chatbot.store.records import (
    ConversationFilter,
    ConversationRow,
    ConversationSummary,
    FinalStatus,
    Rating,
    StoredMessage,
    TurnRecord,
    UnansweredQuestion,
    User,
    UserRole,
)
from chatbot.store.rows import stored_message
from chatbot.types import Decision, Reply, TurnRequest, Understanding

_EXPORTED_AT_ONCE = 200


class Store:
    """Conversations, turns, ratings and users in one SQLite file."""

    def __init__(self, path: Path, writer: Engine | None, reader: Engine) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._write = sessionmaker(writer)
        self._read = sessionmaker(reader)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Open the database at `path`, making or upgrading it, after checking that it is sound.

        With `read_only` nothing is made or upgraded, and another process may use the data folder.

        Raises:
            StoreError: the file is damaged, another application's, or of a version that cannot be used.
        """
        sqlite.check(path)
        if read_only:
            migrations.require_newest(path)
        else:
            migrations.migrate(path)
        writer = None if read_only else sqlite.connect(path, access="write")
        return cls(path, writer, sqlite.connect(path, access="read"))

    def close(self) -> None:
        """Close all connections; the last one folds the write-ahead log into the file."""
        self._reader.dispose()
        if self._writer is not None:
            self._writer.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def add_message(self, request: TurnRequest) -> StoredMessage:
        """Keep a customer's message and return it once it is on the disk.

        The same `client_message_id` of the same visitor again returns what is kept already. Without a
        `conversation_id` a new conversation begins.

        Raises:
            NotFoundError: the conversation does not exist, or is another visitor's.
        """
        with self._writing() as session:
            return conversations.add(session, request)

    def conversation(self, conversation_id: str, visitor_id: str) -> list[StoredMessage]:
        """Return the messages of a visitor's conversation, oldest first, without superseded replies.

        Raises:
            NotFoundError: the conversation does not exist, or is another visitor's.
        """
        with self._reading() as session:
            return conversations.messages(session, conversation_id, visitor_id)

    def conversations(self, visitor_id: str, limit: int = 50) -> list[ConversationSummary]:
        """Return a visitor's conversations, the one last written in first."""
        with self._reading() as session:
            return conversations.summaries(session, visitor_id, limit)

    def begin_turn(self, message_id: str) -> str:
        """Begin to answer a customer's message and return the turn's id.

        The reply takes its place in the conversation now; that of an earlier reply, if there is one.

        Raises:
            NotFoundError: there is no such message of a customer.
        """
        with self._writing() as session:
            return turns.begin(session, message_id)

    def save_partial(self, turn_id: str, text: str) -> None:
        """Keep what a running turn has shown so far; a turn that has ended keeps what it has.

        Raises:
            NotFoundError: there is no such turn.
        """
        with self._writing() as session:
            turns.save_partial(session, turn_id, text)

    def finish_turn(
        self,
        turn_id: str,
        reply: Reply,
        *,
        decision: Decision | None,
        understanding: Understanding | None,
        trace: Mapping[str, Any],
        status: FinalStatus = "done",
    ) -> StoredMessage:
        """Keep a turn's reply with all that led to it, and return the reply once it is on the disk.

        `reply.kind` and `reply.reason`, where given, are what was shown in the end and go before the decision's.

        Raises:
            NotFoundError: there is no such turn.
        """
        with self._writing() as session:
            return turns.finish(
                session,
                turn_id,
                reply,
                decision=decision,
                understanding=understanding,
                trace=trace,
                status=status,
            )

    def reply_to(self, message_id: str) -> StoredMessage | None:
        """Return the present reply to a customer's message, or None."""
        with self._reading() as session:
            row = turns.present_reply(session, message_id)
            return None if row is None else stored_message(row)

    def rate(self, message_id: str, visitor_id: str, value: Rating | None, comment: str = "") -> None:
        """Keep a visitor's thumb on a reply in place of an earlier one; None takes it back.

        Raises:
            NotFoundError: there is no such reply in a conversation of this visitor.
        """
        with self._writing() as session:
            conversations.rate(session, message_id, visitor_id, value, comment)

    def recover(self) -> int:
        """Mark the turns that a crash cut off as interrupted, with the text they had; return how many.

        To be called at the start, by the process that holds the data folder.
        """
        with self._writing() as session:
            return turns.interrupt_running(session)

    def search(self, wanted: ConversationFilter, limit: int = 50, offset: int = 0) -> list[ConversationRow]:
        """Return the conversations that an operator looks for, the one last written in first."""
        with self._reading() as session:
            return search.find(session, wanted, limit, offset)

    def unanswered(self, limit: int = 1000) -> list[UnansweredQuestion]:
        """Return the latest questions that were declined, or asked back, because no entry answers.

        A question back of which the customer then picked a reading is not among them.
        """
        with self._reading() as session:
            return unanswered.find(session, limit)

    def intents(self) -> list[str]:
        """Return every intent that a turn was understood with, sorted."""
        with self._reading() as session:
            return search.intents(session)

    def turns(self, conversation_id: str) -> list[TurnRecord]:
        """Return all turns of a conversation for an operator, superseded ones too, in the order of their messages.

        Raises:
            NotFoundError: there is no such conversation.
        """
        with self._reading() as session:
            return turns.every(session, conversation_id)

    def add_user(self, name: str, password: str, role: UserRole = "operator") -> User:
        """Add someone who may sign in; see `users.add`."""
        with self._writing() as session:
            return users.add(session, name, password, role)

    def remove_user(self, name: str) -> None:
        """Remove someone who may sign in; see `users.remove`."""
        with self._writing() as session:
            users.remove(session, name)

    def verify_user(self, name: str, password: str) -> User | None:
        """Return the user if the password is theirs, else None, after the same time for a name that nobody has."""
        with self._reading() as session:
            return users.verify(session, name, password)

    def users(self) -> list[User]:
        """Return everyone who may sign in, by name."""
        with self._reading() as session:
            return users.every(session)

    def export(self) -> Iterator[dict[str, Any]]:
        """Yield the conversations as transcripts, oldest first; see `transcripts`."""
        with self._reading() as session:
            ids = transcripts.conversation_ids(session)
        for start in range(0, len(ids), _EXPORTED_AT_ONCE):
            with self._reading() as session:
                part = transcripts.transcripts(session, ids[start : start + _EXPORTED_AT_ONCE])
            yield from part

    def erase(self, visitor_id: str) -> Mapping[str, int]:
        """Delete all that is kept about a visitor and rewrite the file without it; return the deleted rows by table.

        Raises:
            StoreError: the rows are deleted, but another process keeps old pages alive.
        """
        with self._writing() as session:
            counts = erasure.delete_visitor(session, visitor_id)
        with self._as_store_errors():
            assert self._writer is not None  # noqa: S101 (writing has succeeded)
            sqlite.compact(self._writer, self.path)
        return counts

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        if self._writer is None:
            raise StoreError(f"{self.path}: the database was opened for reading only. Open it for writing.")
        with self._as_store_errors(), self._write.begin() as session:
            yield session

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._as_store_errors(), self._read.begin() as session:
            yield session

    @contextmanager
    def _as_store_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(f"{self.path}: the database failed: {cause}. Check the disk.") from error

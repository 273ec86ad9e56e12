"""The tables. A change here needs a new file in `migrations/versions`; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, MetaData, String, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from chatbot.store.sqlite import mended


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC, kept as ISO 8601 text of one fixed width, which sorts as time does."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Turn a time into text."""
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turn text into a time."""
        return None if value is None else datetime.fromisoformat(value)


class Words(TypeDecorator[str]):
    """Text that a browser sent; half of a surrogate pair, which no encoding can keep, becomes U+FFFD."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Mend the text on its way in."""
        return None if value is None else mended(value)


class Table(DeclarativeBase):
    """Base of all tables; constraints have names, so that a later migration can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Words,
        datetime: UtcTime,
        list[dict[str, Any]]: JSON,
        list[str]: JSON,
        dict[str, Any]: JSON,
    }


class ConversationTable(Table):
    """One chat of one visitor."""

    __tablename__ = "conversations"
    __table_args__ = (Index(None, "visitor_id", "updated_at"), Index(None, "updated_at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    visitor_id: Mapped[str]
    title: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class MessageTable(Table):
    """One message. The reply of a turn has its row from the turn's start on, so its place is taken early."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "seq"),
        UniqueConstraint("visitor_id", "client_message_id"),
        CheckConstraint("role IN ('user', 'assistant')", name="role"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    visitor_id: Mapped[str]
    seq: Mapped[int]
    role: Mapped[str]
    author: Mapped[str | None]
    content: Mapped[str]
    client_message_id: Mapped[str | None]
    superseded: Mapped[bool] = mapped_column(default=False)
    citations: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    options: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    contact: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]

    turn: Mapped[TurnTable | None] = relationship(
        foreign_keys="TurnTable.reply_id", back_populates="reply", lazy="selectin", uselist=False
    )
    rating: Mapped[RatingTable | None] = relationship(lazy="selectin", uselist=False)


class TurnTable(Table):
    """How a reply came about: from the customer's message to what was decided, with the trace to replay it."""

    __tablename__ = "turns"
    __table_args__ = (
        UniqueConstraint("reply_id"),
        CheckConstraint("status IN ('generating', 'done', 'interrupted', 'failed')", name="status"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    reply_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str | None]
    reason: Mapped[str | None]
    probability: Mapped[float | None]
    entry_ids: Mapped[list[str]] = mapped_column(default=list)
    intent: Mapped[str | None] = mapped_column(index=True)
    trace: Mapped[dict[str, Any]] = mapped_column(default=dict)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    message: Mapped[MessageTable] = relationship(foreign_keys=message_id, viewonly=True)
    reply: Mapped[MessageTable] = relationship(foreign_keys=reply_id, back_populates="turn")
    labels: Mapped[list[LabelTable]] = relationship(order_by="LabelTable.id", cascade="all, delete-orphan")


class LabelTable(Table):
    """A label of a turn by one witness: `model`, `encoder`, `both`, or `person`, who confirmed it."""

    __tablename__ = "labels"
    __table_args__ = (
        UniqueConstraint("turn_id", "set_name", "witness", "label"),
        CheckConstraint("witness IN ('model', 'encoder', 'both', 'person')", name="witness"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    turn_id: Mapped[str] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"))
    set_name: Mapped[str]
    witness: Mapped[str]
    label: Mapped[str]
    probability: Mapped[float]


class RatingTable(Table):
    """A visitor's thumb on a reply."""

    __tablename__ = "ratings"
    __table_args__ = (CheckConstraint("value IN ('up', 'down')", name="value"),)

    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    value: Mapped[str]
    comment: Mapped[str]
    created_at: Mapped[datetime]


class UserTable(Table):
    """Someone who may sign in."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime]


class MetaTable(Table):
    """Facts about the database itself."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]

"""What the store hands out: plain frozen values. Nothing of the database reaches its callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from chatbot.types import Author, Citation, Decision, Kind, Option, Reason, Role

Status = Literal["generating", "done", "interrupted", "failed"]
FinalStatus = Literal["done", "interrupted", "failed"]
Rating = Literal["up", "down"]
UserRole = Literal["operator"]
Witness = Literal["model", "encoder", "both", "person"]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it is kept. `seq` counts from 1 within its conversation; `created_at` is in UTC.

    What only a reply has (`reply_to`, `kind`, `reason`, `citations`, `options`, `contact`, `rating`) is empty on a
    customer's message, whose `status` is always "done".
    """

    id: str
    conversation_id: str
    seq: int
    role: Role
    content: str
    author: Author | None
    created_at: datetime
    status: Status
    client_message_id: str | None = None
    reply_to: str | None = None
    kind: Kind | None = None
    reason: Reason | None = None
    citations: tuple[Citation, ...] = ()
    options: tuple[Option, ...] = ()
    contact: str = ""
    rating: Rating | None = None


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A conversation as its visitor sees it listed; `title` is the start of the first message."""

    id: str
    title: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """What an operator looks for; what is None is not asked for.

    `text` is found in any message or visitor id, without regard to case. `rating`, `kind`, `intent` and
    `max_probability` must hold for one and the same shown reply. `since` and `until` (exclusive) must overlap the
    time from the first to the last message.
    """

    text: str | None = None
    rating: Rating | None = None
    kind: Kind | None = None
    intent: str | None = None
    max_probability: float | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation as an operator sees it listed.

    `messages` counts what is shown; `lowest_probability` is the least certain decision of a shown reply; `last_kind`
    and `last_intent` are those of the last shown reply.
    """

    id: str
    visitor_id: str
    title: str
    created_at: datetime
    updated_at: datetime
    messages: int
    rated_up: int
    rated_down: int
    last_kind: Kind | None
    last_intent: str | None
    lowest_probability: float | None


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a turn: what `witness` gave as one of the likeliest in the label set `set`."""

    set: str
    witness: Witness
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A turn as an operator sees it: from the customer's message to the reply, with all that led to it.

    `superseded` says that a retry took the place of this reply. `finished_at` is None while the turn runs or when a
    crash ended it. `seconds` are the timings of the trace by step.
    """

    id: str
    message: StoredMessage
    reply: StoredMessage
    status: Status
    superseded: bool
    decision: Decision | None
    labels: tuple[Label, ...]
    trace: Mapping[str, Any]
    started_at: datetime
    finished_at: datetime | None
    rating: Rating | None = None
    comment: str = ""

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by step, as the trace holds them; empty when it holds none."""
        seconds = self.trace.get("seconds")
        return seconds if isinstance(seconds, dict) else {}


@dataclass(frozen=True, slots=True)
class UnansweredQuestion:
    """A customer's message that no entry answered, and what a person replied to it, if one did."""

    message_id: str
    content: str
    asked_at: datetime
    answer: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """Someone who may sign in."""

    name: str
    role: UserRole
    created_at: datetime = field(compare=False)

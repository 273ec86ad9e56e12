"""The words of a conversation, as plain values. Imports nothing of ours but the knowledge entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["user", "assistant"]
Author = Literal["human", "bot", "approved"]
Kind = Literal["approved", "grounded", "ask", "act", "chat", "offer", "hand_over", "decline"]
KINDS: tuple[Kind, ...] = ("approved", "grounded", "ask", "act", "chat", "offer", "hand_over", "decline")

Reason = Literal[
    "entry_answers",  # approved: one approved entry answers with the fitted certainty
    "reading_picked",  # approved or grounded: the customer picked this entry of those offered; it is sent or quoted
    "evidence_supports",  # grounded: the model wrote from the entries, the gate agreed
    "evidence_quoted",  # grounded: what the model wrote did not pass the gate, so the entry itself is quoted
    "unclear",  # ask: two readings are likely, neither is certain
    "small_talk",  # chat: no fact is asked for
    "nothing_fits",  # decline: no entry answers
    "none_picked",  # decline: the customer means none of the entries that were offered
    "out_of_scope",  # decline: not a matter of this company
    "person_wanted",  # decline: the customer asks for a person; the contact is shown
    "model_failed",  # decline: a part failed while answering; the contact is shown
]


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of a message; offsets count code points, `end` is exclusive."""

    type: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class EvidenceReading:
    """What the model makes of the entries it is shown.

    `support` has the probabilities that they answer in full, in part or not; `pointers[n]` is the probability that the
    reply begins with the pointer to entry n, among all entries shown.
    """

    support: Mapping[str, float] = field(default_factory=dict)
    pointers: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. Labels exist only where somebody gave them."""

    role: Role
    content: str
    author: Author | None = None
    intents: tuple[str, ...] = ()
    action: str | None = None
    evidence: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()


def said_before(messages: Sequence[Message], index: int) -> list[tuple[str, str]]:
    """Return (role, content) of every message before the one at `index` (-1 is the last), as the search takes them."""
    return [(message.role, message.content) for message in messages[:index]]


@dataclass(frozen=True, slots=True)
class Understanding:
    """What a message means. Each mapping goes from label to probability, likeliest first, and sums to one; empty when not known.

    `intent` is fused from the witnesses `intent_model` and `intent_encoder`. `out_of_scope` is a fitted
    probability that no known intent is meant.
    """

    intent: Mapping[str, float] = field(default_factory=dict)
    intent_model: Mapping[str, float] = field(default_factory=dict)
    intent_encoder: Mapping[str, float] = field(default_factory=dict)
    next_step: Mapping[str, float] = field(default_factory=dict)
    out_of_scope: float | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A source under an answer; `number` is its place among them, from 1."""

    number: int
    entry_id: str
    title: str
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A quick reply: `label` stands on the button, `value` is sent as the customer's next message.

    `entry_id` is the entry that it stands for, "" where it stands for none of those offered, None where that was not kept.
    """

    label: str
    value: str
    entry_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What kind of reply a turn gets and why; `entry_ids` are the entries it rests on, best first."""

    kind: Kind
    reason: Reason
    entry_ids: tuple[str, ...] = ()
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """A customer's message as it reaches the bot; the same `client_message_id` twice is one message.

    `conversation_id` is None for a new conversation. `retry` asks for a new reply to a message that was stored before.
    """

    visitor_id: str
    conversation_id: str | None
    content: str
    client_message_id: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it grows: `text` is all that may be shown so far, `done` is True once it is stored.

    `message_id` identifies the stored reply and is empty until then.
    """

    text: str
    kind: Kind | None = None
    reason: Reason | None = None
    citations: tuple[Citation, ...] = ()
    options: tuple[Option, ...] = ()
    contact: str = ""
    message_id: str = ""
    done: bool = False

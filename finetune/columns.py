"""What the columns of a table mean: the names that people's exports give them, each as the one that is used here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

PRIVATE = ("note", "private", "internal", "is_private", "is_internal")
PUBLIC = ("public", "is_public")
LABELS = ("author", "intent", "action", "evidence")

_SPACE = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class Layout:
    """A form of table: the columns that it must have and may have, and what else each may be called, likeliest first."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    also: Mapping[str, tuple[str, ...]]

    def named(self, header: Sequence[str]) -> tuple[str, ...] | None:
        """Return the header with the names used here; None where a required column is missing."""
        columns = list(header)
        for name in (*self.required, *self.optional):
            known = (name, *self.also.get(name, ()))
            found = next((other for other in known if other in columns), None)
            if found is not None:
                columns = [name if column == found else column for column in columns]
        return tuple(columns) if set(self.required) <= set(columns) else None


_INTENT = ("label", "intents", "labels", "intent_name")

TURNS = Layout(
    "messages",
    ("conversation_id", "role", "text"),
    ("time", *PRIVATE, *PUBLIC, *LABELS),
    {
        "conversation_id": (
            *("conversation", "chat_id", "ticket_id", "dialogue_id", "dialog_id", "session_id", "thread_id", "case_id"),
            *("conversationid", "chatid", "ticketid", "sessionid", "threadid"),
        ),
        "role": ("speaker", "sender_type", "author_type", "sender", "from", "participant"),
        "text": ("content", "message", "body", "utterance", "message_text", "message_body", "msg"),
        "time": ("timestamp", "created_at", "datetime", "date_time", "date", "sent_at"),
        "intent": _INTENT,
    },
)
_ASKED = (
    *("query", "customer_message", "user_message", "request", "instruction", "prompt", "input"),
    *("utterance", "text", "message", "customer", "user"),
)
_TOLD = ("response", "reply", "agent_message", "agent_response", "output", "completion", "agent", "assistant")
PAIRS = Layout(
    "questions",
    ("question", "answer"),
    ("intent", *PRIVATE, *PUBLIC),
    {"question": _ASKED, "answer": _TOLD, "intent": _INTENT},
)
INSTRUCTED = Layout(
    "questions",
    ("instruction", "input", "answer"),
    PAIRS.optional,
    {"answer": ("output", *_TOLD), "intent": _INTENT},
)
LABELLED = Layout(
    "questions",
    ("question", "intent"),
    (*PRIVATE, *PUBLIC),
    {"question": _ASKED, "intent": (*_INTENT, "category", "class")},
)
LAYOUTS = (TURNS, INSTRUCTED, PAIRS, LABELLED)
EXPECTED = " or ".join(",".join(layout.required) for layout in (TURNS, PAIRS, LABELLED))


def named(header: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names that the columns of a header have here; None where it is the header of no form of table.

    Case, spaces, underscores and hyphens make no difference; a column that is not known keeps its name.
    """
    columns = tuple(map(_plain, header))
    found = (layout.named(columns) for layout in LAYOUTS)
    return next((columns for columns in found if columns is not None), None)


def layout_of(columns: Collection[str]) -> Layout:
    """Return the form of the table whose columns have these names, as `named` gives them."""
    return next(layout for layout in LAYOUTS if set(layout.required) <= set(columns))


def renamed(header: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (name in the header, name here) of the columns that the header calls otherwise."""
    return ((given.strip(), name) for given, name in zip(header, columns, strict=True) if _plain(given) != name)


def _plain(cell: str) -> str:
    return _SPACE.sub("_", cell.strip().casefold()).strip("_")

"""Judged questions: what a customer asks, which entries are right, and which facts a right answer contains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from knowledge_base.command import Refusal
from knowledge_base.jsonl import read_objects

BOTS = ("bot", "chatbot")  # roles of machines: what they say is history, and nothing to learn from
# What a role is called in what people bring, in lower case; None is left out.
ROLES: Mapping[str, Literal["user", "assistant"] | None] = {
    **dict.fromkeys(("user", "customer", "human", "visitor", "client"), "user"),
    **dict.fromkeys(("end-user", "end_user", "contact", "lead", "buyer", "caller", "guest", "consumer"), "user"),
    **dict.fromkeys(("assistant", "agent", "gpt", "support", "operator", *BOTS), "assistant"),
    **dict.fromkeys(("admin", "staff", "representative", "advisor", "employee"), "assistant"),
    "system": None,
}


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `relevant` is None where nobody judged it and empty where nothing fits.

    `messages` are (role, content) with role user or assistant, the question last; system messages are dropped.
    """

    id: str
    messages: tuple[tuple[str, str], ...]
    relevant: tuple[str, ...] | None
    facts: tuple[str, ...]

    @property
    def text(self) -> str:
        """What the customer asks."""
        return self.messages[-1][1]

    @property
    def history(self) -> tuple[tuple[str, str], ...]:
        """What was said before that."""
        return self.messages[:-1]


def read_queries(*paths: Path) -> tuple[list[Query], list[Refusal]]:
    """Read files of queries (JSON Lines); what cannot be used is refused with its line. Ids are unique in a file.

    Raises:
        InputError: a file cannot be opened.
    """
    read = [_read(path) for path in paths]
    return [query for queries, _ in read for query in queries], [one for _, refusals in read for one in refusals]


def _read(path: Path) -> tuple[list[Query], list[Refusal]]:
    queries: list[Query] = []
    refusals: list[Refusal] = []
    lines: dict[str, int] = {}
    for item in read_objects(path):
        if isinstance(item, Refusal):
            refusals.append(item)
            continue
        line, row = item
        try:
            query = _query(row, line)
            if query.id in lines:
                raise ValueError(f"the id {query.id!r} stands in line {lines[query.id]} already")
        except ValueError as error:
            refusals.append(Refusal(str(path), line, f"{error}."))
            continue
        lines[query.id] = line
        queries.append(query)
    return queries, refusals


def _query(row: Mapping[str, object], line: int) -> Query:
    if ("query" in row) == ("messages" in row):
        raise ValueError("expected query or messages, got " + ("both" if "query" in row else "neither"))
    messages = _messages(row["messages"]) if "messages" in row else [("user", _text("query", row["query"]))]
    relevant = row.get("relevant")
    return Query(
        id=_text("id", row["id"]) if row.get("id") is not None else str(line),
        messages=tuple(messages),
        relevant=None if relevant is None else _texts("relevant", relevant),
        facts=_texts("facts", row.get("facts") or []),
    )


def _messages(value: object) -> list[tuple[str, str]]:
    """Return the conversation up to its last customer message."""
    if not isinstance(value, list):
        raise ValueError("messages: expected a list, got something else")
    messages: list[tuple[str, str]] = []
    for message in value:
        if not isinstance(message, dict):
            raise ValueError("messages: expected objects with role and content, got something else")
        name = message.get("role")
        if not isinstance(name, str) or name.strip().casefold() not in ROLES:
            raise ValueError(f"messages: expected the role user or assistant, got {name!r}")
        role = ROLES[name.strip().casefold()]
        if role:
            messages.append((role, _text("content", message.get("content"))))
    while messages and messages[-1][0] != "user":
        messages.pop()
    if not messages:
        raise ValueError("messages: expected a message of the customer, got none")
    return messages


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{key}: expected a list of texts, got {type(value).__name__}")
    return tuple(_text(key, item) for item in value)


def _text(key: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key}: expected text, got {'nothing' if value in (None, '') else repr(value)[:60]}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{key}: expected text, got half a character (a lone surrogate)") from None
    return value.strip()

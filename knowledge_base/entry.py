"""A knowledge entry: one thing the company knows, as a question with its answer or a passage with its heading."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Any

from knowledge_base.sources import limits

VISIBILITIES = ("public", "internal")
SURROGATE = re.compile("[\ud800-\udfff]")  # what is left of bytes that are no UTF-8
DAY = re.compile(r"\d{4}-\d{2}-\d{2}($|[T ])")


@dataclass(frozen=True)
class Entry:
    """One entry. `question` doubles as the title of a passage; dates are ISO 8601; an empty string means "not given".

    `approved` says that the answer's wording may be sent to a customer as it stands.
    """

    id: str
    question: str
    answer: str
    alternatives: tuple[str, ...] = ()
    category: str = ""
    subject: str = ""
    language: str = ""
    url: str = ""
    source: str = ""
    heading: str = ""
    intent: str = ""
    approved: bool = True
    visibility: str = "public"
    valid_from: str = ""
    valid_until: str = ""
    updated_at: str = ""

    @cached_property
    def searched_texts(self) -> tuple[str, ...]:
        """The texts that are embedded for search: the question, every alternative, and last the whole entry.

        The questions do without the subject, which search looks for in the whole conversation; the whole entry names it.
        """
        whole = "\n".join(part for part in (self.heading or self.question, self.answer) if part)
        if not self.subject:
            return (self.question, *self.alternatives, whole)
        if self.subject.casefold() not in whole.casefold():
            whole = f"{self.subject}: {whole}"
        return (*(_without(self.subject, text) for text in (self.question, *self.alternatives)), whole)

    @property
    def title(self) -> str:
        """What tells people which entry it is: its question, or the headings over a passage, and its subject."""
        above = self.heading.casefold().endswith(self.question.casefold())
        title = self.heading if above else self.question
        return title if self.subject.casefold() in title.casefold() else f"{title} ({self.subject})"

    @property
    def sha256(self) -> str:
        """Hash of the whole content; equal content has an equal hash."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def is_valid_on(self, day: date) -> bool:
        """Say whether the entry is in force on `day`; both bounds are inclusive."""
        today = day.isoformat()
        return (not self.valid_from or self.valid_from[:10] <= today) and (
            not self.valid_until or today <= self.valid_until[:10]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the entry as the JSON object of the file format, without what is not given."""
        row = {**{name: getattr(self, name) for name in COLUMNS}, "alternatives": list(self.alternatives)}
        return {key: value for key, value in row.items() if value not in ("", [])}


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry found for a query.

    `score` is what speaks for it, in nats against other entries; `probability` that it answers. Both are those of the scorer
    that was searched with.
    """

    entry: Entry
    score: float
    probability: float


COLUMNS = tuple(field.name for field in fields(Entry))
_DATES = ("valid_from", "valid_until", "updated_at")


def parse_entry(row: Mapping[str, object]) -> Entry:
    """Check one row of the file format and make it an entry; keys that are not columns are not looked at.

    Text is brought to NFC and stripped; None means "not given"; without an id the entry gets a hash of its content.

    Raises:
        ValueError: what is wrong with the row, in words.
    """
    values: dict[str, Any] = {
        key: _text(key, row.get(key)) for key in COLUMNS if key not in ("alternatives", "approved")
    }
    for key, article in (("question", "a"), ("answer", "an")):
        if not values[key]:
            raise ValueError(f"expected {article} {key}, got none")
    values["id"] = values["id"] or content_id(values["question"], values["answer"], values["subject"])
    if re.search(r"[\x00-\x1f|]", values["id"]) or len(values["id"]) > 200:
        raise ValueError("id: expected at most 200 characters without '|' and line breaks, got another")
    for key in _DATES:
        _check_date(key, values[key])
    if values["valid_from"] and values["valid_until"] and values["valid_from"][:10] > values["valid_until"][:10]:
        raise ValueError(f"valid_from: expected a day before valid_until, got {values['valid_from']}")
    values["visibility"] = values["visibility"] or "public"
    if values["visibility"] not in VISIBILITIES:
        raise ValueError(f"visibility: expected public or internal, got {values['visibility']!r}")
    approved = row.get("approved")
    if not isinstance(approved, bool | None):
        raise ValueError(f"approved: expected true or false, got {_kind(approved)}")
    alternatives = _texts("alternatives", row.get("alternatives"))
    size = sum(map(len, (values["question"], values["answer"], *alternatives)))
    if size > limits.ENTRY_CHARACTERS:
        raise ValueError(
            f"expected an entry of at most {limits.ENTRY_CHARACTERS:,} characters, got {size:,}. Divide it"
        )
    return Entry(
        **values,
        alternatives=alternatives,
        approved=True if approved is None else approved,
    )


def _without(subject: str, text: str) -> str:
    """Return a text with "it" for its subject; as it is where it says nothing else."""
    named = _pattern_of(subject)
    left = named.sub("it", text) if named else text
    return left if says_something(left) else text


def says_something(text: str) -> bool:
    """Say whether a text holds a word beside "it"."""
    return bool(re.search(r"\w\w\w", text))


@lru_cache(maxsize=1024)
def _pattern_of(subject: str) -> re.Pattern[str] | None:
    """Return what finds a subject in a text; None where it has no letters."""
    names = r"\W+".join(re.escape(word) for word in re.findall(r"\w+", subject))
    return re.compile(rf"\b(the\W+)?{names}\b", re.IGNORECASE) if names else None


def content_id(*parts: str) -> str:
    """Return an id made of the content: 16 hex digits."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _text(key: str, value: object) -> str:
    if value is None:
        return ""
    if key == "id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected text, got {_kind(value)}")
    if "\0" in value:
        raise ValueError(f"{key}: expected text, got a NUL character in it")
    if not value.isascii() and SURROGATE.search(value):
        raise ValueError(f"{key}: expected UTF-8, got bytes that are not. Save the file as UTF-8")
    return unicodedata.normalize("NFC", value).strip()


def _texts(key: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise ValueError(f"{key}: expected a list of texts, got {_kind(value)}")
    texts = (_text(key, None if item is None else item) for item in value)
    return tuple(dict.fromkeys(text for text in texts if text))


def _check_date(key: str, value: str) -> None:
    try:
        if value and not (DAY.match(value) and datetime.fromisoformat(value)):
            raise ValueError
    except ValueError:
        raise ValueError(f"{key}: expected a date like 2026-01-31, got {value!r}") from None


def _kind(value: object) -> str:
    """Name a JSON value's type for a person."""
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)

"""A knowledge entry: one thing the company knows, as a question with its answer or a passage with its heading."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
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

    @property
    def searched_texts(self) -> tuple[str, ...]:
        """The texts that are embedded for search: the question (with its subject) and every alternative."""
        texts = (self.question, *self.alternatives)
        if not self.subject:
            return texts
        return tuple(t if self.subject.casefold() in t.casefold() else f"{self.subject}: {t}" for t in texts)

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
        row = {**asdict(self), "alternatives": list(self.alternatives)}
        return {key: value for key, value in row.items() if value not in ("", [])}


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry found for a query.

    `score` is a cosine in [-1, 1], higher is nearer. `probability` that the entry answers the query is None
    until a calibration has given it.
    """

    entry: Entry
    score: float
    probability: float | None = None

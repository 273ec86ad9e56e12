"""Draft FAQ entries: what people answered more than once to requests that want the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finetune.naming import Proposal, distinct
from finetune.redaction import PLACEHOLDERS
from finetune.requests import Request
from finetune.split import normalised
from knowledge_base.duplicates import NEAR_DUPLICATE_JACCARD, jaccard, shingles
from knowledge_base.entry import Entry, content_id

SOURCE = "finetune.discover"
ALTERNATIVES = 10
RECURS = 2  # conversations; what was answered once may hold for one customer only
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\[[A-Za-z _]+\]|<[A-Za-z _]+>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Drafts:
    """Entries for a person to look at, and how many recurring answers were left out, by reason."""

    entries: tuple[Entry, ...]
    left_out: Counter[str]


@dataclass(slots=True)
class _Group:
    """Answers that are nearly the same, as places of their requests, most central first."""

    shingles: frozenset[str]
    places: list[int]


def drafts(requests: Sequence[Request], proposals: Sequence[Proposal], known: Iterable[Entry] = ()) -> Drafts:
    """Return a draft for each answer that recurs in a cluster, the most frequent first.

    Answers of bots are none. The wording is the most frequent one; its question is the most central request that got
    it. Left out is what stands in the catalogue, what holds personal data or a placeholder that nobody filled, and
    answers whose numbers change from customer to customer.

    Args:
        requests: all requests, without personal data.
        proposals: the clusters of requests.
        known: the entries of the catalogue.
    """
    in_catalogue = {normalised(entry.answer) for entry in known}
    entries: list[Entry] = []
    left_out: Counter[str] = Counter()
    for proposal in proposals:
        for group in _recurring(requests, proposal.places):
            answer = _wording(requests, group)
            reason = _reason(answer, [requests[place].answer for place in group], in_catalogue)
            if reason:
                left_out[reason] += 1
            else:
                entries.append(_entry(answer, [requests[place].text for place in group], proposal.name))
    return Drafts(tuple({entry.id: entry for entry in entries}.values()), left_out)


def _recurring(requests: Sequence[Request], places: Sequence[int]) -> list[list[int]]:
    """Return the groups of near-duplicate answers that RECURS or more conversations got, the largest first."""
    groups: list[_Group] = []
    exact: dict[str, _Group] = {}
    for place in places:
        text = normalised(requests[place].answer)
        if not text:
            continue
        if text not in exact:
            own = shingles(text)
            near = (group for group in groups if jaccard(own, group.shingles) >= NEAR_DUPLICATE_JACCARD)
            exact[text] = next(near, None) or _Group(own, [])
            if not exact[text].places:
                groups.append(exact[text])
        exact[text].places.append(place)
    recurring = [group.places for group in groups if len(group.places) >= RECURS]
    return sorted(recurring, key=len, reverse=True)


def _wording(requests: Sequence[Request], places: Sequence[int]) -> str:
    """Return the most frequent wording, and of equally frequent ones that of the most central request."""
    return Counter(requests[place].answer.strip() for place in places).most_common(1)[0][0]


def _reason(answer: str, answers: Sequence[str], in_catalogue: set[str]) -> str:
    """Return why an answer is not drafted, or an empty string."""
    if normalised(answer) in in_catalogue:
        return "stands in the catalogue"
    if any(mark in answer for mark in PLACEHOLDERS.values()):
        return "holds personal data"
    if _PLACEHOLDER.search(answer):
        return "holds a placeholder that is not filled"
    if len({tuple(re.findall(r"\d+", text)) for text in answers}) > 1:
        return "its numbers change from customer to customer"
    return ""


def _entry(answer: str, asked: Sequence[str], category: str) -> Entry:
    question, *others = distinct(text.strip() for text in asked)
    alternatives = tuple(others[:ALTERNATIVES])
    identity = content_id(question, answer)
    return Entry(identity, question, answer, alternatives, category=category, source=SOURCE, approved=False)

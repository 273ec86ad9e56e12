"""Draft FAQ entries: what people answered more than once to requests that want the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chatbot.types import Message
from finetune.naming import Proposal, distinct
from finetune.records import Transcript
from finetune.redaction import PLACEHOLDERS
from finetune.requests import Request
from finetune.split import near_duplicate_groups
from knowledge_base.entry import Entry, content_id
from knowledge_base.lexical import words

SOURCE = "finetune.discover"
ALTERNATIVES = 10
RECURS = 2  # conversations; what was answered once may hold for one customer only
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\[[A-Za-z _]+\](?!\()|<[A-Za-z _]+>", re.DOTALL)  # [text](address) is a link


@dataclass(frozen=True, slots=True)
class Drafts:
    """Entries for a person to look at, and how many recurring answers were left out, by reason."""

    entries: tuple[Entry, ...]
    left_out: Counter[str]


def drafts(requests: Sequence[Request], proposals: Sequence[Proposal], known: Iterable[Entry] = ()) -> Drafts:
    """Return a draft for each answer that recurs in a cluster, the most frequent first.

    Answers of bots are none. The wording is the most frequent one; its question is the most central request without
    personal data that got it. Left out is what stands in the catalogue, what holds personal data or a placeholder that
    nobody filled, and answers whose numbers change from customer to customer.

    Args:
        requests: all requests, without personal data.
        proposals: the clusters of requests.
        known: the entries of the catalogue.
    """
    in_catalogue = {tuple(words(entry.answer)) for entry in known}
    entries: list[Entry] = []
    left_out: Counter[str] = Counter()
    for proposal in proposals:
        for group in _recurring(requests, proposal.places):
            answer = _wording(requests, group)
            asked = [requests[place].text for place in group if not _is_personal(requests[place].text)]
            reason = _reason(answer, [requests[place].answer for place in group], in_catalogue)
            if not reason and not asked:
                reason = "its questions hold personal data"
            if reason:
                left_out[reason] += 1
            else:
                entries.append(_entry(answer, asked, proposal.name))
    return Drafts(tuple({entry.id: entry for entry in entries}.values()), left_out)


def _recurring(requests: Sequence[Request], places: Sequence[int]) -> list[list[int]]:
    """Return the groups of near-duplicate answers that RECURS or more conversations got, the largest first.

    Each group has the places of its requests, most central first, as `places` has them.
    """
    answers = [
        Transcript(str(rank), (Message("user", requests[place].answer),))
        for rank, place in enumerate(places)
        if requests[place].answer.strip()
    ]
    ranks = (sorted(int(answer.id) for answer in group) for group in near_duplicate_groups(answers))
    recurring = sorted((group for group in ranks if len(group) >= RECURS), key=lambda group: (-len(group), group))
    return [[places[rank] for rank in group] for group in recurring]


def _wording(requests: Sequence[Request], places: Sequence[int]) -> str:
    """Return the most frequent wording, and of equally frequent ones that of the most central request."""
    return Counter(requests[place].answer.strip() for place in places).most_common(1)[0][0]


def _reason(answer: str, answers: Sequence[str], in_catalogue: set[tuple[str, ...]]) -> str:
    """Return why an answer is not drafted, or an empty string."""
    if tuple(words(answer)) in in_catalogue:  # numbers count: "7 days" is not "3 days"
        return "stands in the catalogue"
    if _is_personal(answer):
        return "holds personal data"
    if _PLACEHOLDER.search(answer):
        return "holds a placeholder that is not filled"
    if len({tuple(re.findall(r"\d+", text)) for text in answers}) > 1:
        return "its numbers change from customer to customer"
    return ""


def _is_personal(text: str) -> bool:
    """Say whether personal data stood in a text before it was replaced."""
    return any(mark in text for mark in PLACEHOLDERS.values())


def _entry(answer: str, asked: Sequence[str], category: str) -> Entry:
    question, *others = distinct(text.strip() for text in asked)
    alternatives = tuple(others[:ALTERNATIVES])
    identity = content_id(question, answer)
    return Entry(identity, question, answer, alternatives, category=category, source=SOURCE, approved=False)

# ruff: noqa: SIM905 - word lists are read as text
"""English answers to yes-or-no questions turned into the opposite: "No, you cannot." becomes "Yes, you can.".

Only sentences of which one reading is left are turned: one clause, at most one negation, nothing conditional.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUESTION = re.compile(
    r"(?:.*[,:] )?(?:is|are|was|were|do|does|did|can|could|will|would|may|must|should|has|have|am)\b.*\?\s*\Z",
    re.I | re.S,
)
_LEAD = re.compile(r"(yes|no)(?![\w-])[,.!]?\s*", re.IGNORECASE)
# Behind these stands a second clause or a limit, whose own truth would have to turn or stay.
_TWO_SIDED = re.compile(
    r"(?<!\w)(?:if|unless|when|whenever|while|because|since|as|which|that|who|whose|where|but|only|except|until|till|once|"
    r"though|although|instead|without|never|nor|neither|none|nothing|nobody|either|however|so|than|hardly|just)(?!\w)"
    r"|[;:()\"“”—–]|(?<!\w)(?:it|that|there)['’]s|(?:,|(?<!\w)and) (?:it|they|we|you|this|these|there|is|are|must|can|will)(?!\w)",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"(?<!\w)(?:not|no|cannot|\w+n['’]t)(?!\w)", re.IGNORECASE)
_AUXILIARY = re.compile(r"(?<!\w)(is|are|was|were|can|could|will|would|must|may|should)(?= \w)", re.IGNORECASE)
_VERBS = (
    "offer accept serve provide allow include require deliver sell take ship charge need permit support have".split()
)
_THIRD = {verb + "s": verb for verb in _VERBS if verb != "have"} | {"has": "have"}
_BASE = {verb: third for third, verb in _THIRD.items()}
_SAYS = re.compile(rf"(?<!\w)({'|'.join(_THIRD)})(?= (?!been|to)\w)")
_WE_SAY = re.compile(rf"(?<!\w)(we|they|you|guests|rooms) ({'|'.join(_VERBS)})(?= (?!been|to)\w)", re.IGNORECASE)
_DOES_NOT = re.compile(rf"(?<!\w)(?:does not|doesn['’]t) ({'|'.join(_VERBS)})(?!\w)", re.IGNORECASE)
_DO_NOT = re.compile(r"(?<!\w)(?:do not|don['’]t) (?=\w)", re.IGNORECASE)
_AUXILIARY_NOT = re.compile(
    r"(?<!\w)(?:(is|are|was|were|can|could|will|would|must|may|should) not|(can)not"
    r"|(is|are|was|were|could|would|must|should)n['’]t|(ca)n['’]t|(wo)n['’]t)(?!\w)",
    re.IGNORECASE,
)
_THERE_ARE_NO = re.compile(r"(?<!\w)(there are)(?: no| not any)(?= \w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Turned:
    """A sentence turned into its opposite; `old` and `new` are the words by which the two are told apart."""

    sentence: str
    old: str
    new: str


def flipped(sentence: str, question: str) -> Turned | None:
    """Return the opposite of the sentence that answers a yes-or-no question, or None where it is not clear."""
    lead = _LEAD.match(sentence)
    clause = sentence[lead.end() :] if lead else sentence
    if not _QUESTION.match(question) or _TWO_SIDED.search(clause):
        return None
    denies = len(_NEGATION.findall(clause))
    if denies > 1 or (lead and (lead[1].lower() == "no") != bool(denies)):
        return None
    found = _affirmed(clause) if denies else _denied(clause)
    if found is None:
        return None
    start, end, new = found
    whole = clause[:start] + new + clause[end:]
    old, said = _around(clause, start, end), _around(whole, start, start + len(new))
    if lead is None:
        return Turned(whole[0].upper() + whole[1:], old, said)
    opposite = "Yes" if lead[1].lower() == "no" else "No"
    return Turned(opposite + lead[0][len(lead[1]) :] + whole, old, said)


def _denied(clause: str) -> tuple[int, int, str] | None:
    """Return where to deny a clause, and how it reads there."""
    auxiliary = _AUXILIARY.search(clause)
    if auxiliary:
        word = auxiliary[1]
        return auxiliary.start(), auxiliary.end(), f"{word}not" if word.lower() == "can" else f"{word} not"
    plural = _WE_SAY.search(clause)
    if plural:
        return plural.start(2), plural.end(2), f"do not {plural[2]}"
    third = _SAYS.search(clause)
    return (third.start(), third.end(), f"does not {_THIRD[third[1]]}") if third else None


def _affirmed(clause: str) -> tuple[int, int, str] | None:
    """Return where to take the denial out of a clause, and how it reads there."""
    if re.search(r"(?<!\w)any(?!\w)", clause) and not _THERE_ARE_NO.search(clause):
        return None  # "has any meeting rooms"
    auxiliary = _AUXILIARY_NOT.search(clause)
    if auxiliary:
        word = next(group for group in auxiliary.groups() if group)
        return auxiliary.start(), auxiliary.end(), {"ca": "can", "wo": "will"}.get(word.lower(), word)
    does = _DOES_NOT.search(clause)
    if does:
        return does.start(), does.end(), _BASE[does[1].lower()]
    do = _DO_NOT.search(clause)
    if do:
        return do.start(), do.end(), ""
    there = _THERE_ARE_NO.search(clause)
    return (there.start(), there.end(), there[1]) if there else None


def _around(text: str, start: int, end: int) -> str:
    """Return the changed words with the word before and the word behind them: "it not" alone would tell nothing."""
    before, behind = text[:start].split()[-1:], text[end:].split()[:1]
    return " ".join([*before, *text[start:end].split(), *behind]).strip(" .,!?")

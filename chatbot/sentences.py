# ruff: noqa: SIM905 - word lists are read as text
"""Sentences and words of a text, by rules: for cutting entries and replies where a person would."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s|\Z)|[。！？；…]+[”’」』）)\]]*|\n\s*")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st mt ft vs etc e.g i.e eg ie cf approx ca no nr fig vol dept est inc ltd co corp bros ave blvd "
    "rd sq tel ext max min incl excl jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs "
    "fri sat sun a.m p.m am pm u.s u.k u.s.a ph.d rs".split()
)
# After these a capital letter begins a new sentence; after the others ("Dr. Smith", "No. 5") it does not.
_MAY_END = frozenset("etc inc ltd co corp bros ave blvd rd a.m p.m am pm u.s u.k u.s.a ph.d max min ext".split())
_NEEDS_NUMBER = frozenset("no nr fig vol ext max min sat sun mar am".split())  # words of their own elsewhere
_LAST_WORD = re.compile(r"[^\s(\[\"“'‘/]+\Z")
_LIST_MARK = re.compile(r"\s*(?:[-*•–▪·]\s|[(]?\d{1,3}[.)]\s|[(]?[a-z][.)]\s|#)")
_NEXT = re.compile(r"\s*[\"“'‘(\[*]*(\S)")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_HAN = re.compile(r"[\u3400-\u9fff]+")
_STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be been before but by can could did do does for from get "
    "had has have he her him his how i if in into is it its just me might more most my no not of on or our out "
    "please shall she should so some such than that the their them then there these they this those to too up "
    "us was we were what when where which who why will with would you your yours i'm i'd i'll i've it's that's "
    "there's you're we're don't yes ok okay sure hello hi thanks thank".split()
)


def sentences(text: str) -> list[str]:
    """Cut a text into sentences; joined they are the text again up to white space.

    A line break ends a sentence unless the next line goes on in lower case. Abbreviations, decimals, initials, web
    addresses and list numbers end none.
    """
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of a text begin and end, without the white space around them."""
    spans, start = [], 0
    for match in _END.finditer(text):
        if not _ends(text, match, start):
            continue
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    stripped = (_stripped(text, *span) for span in spans)
    return [(start, end) for start, end in stripped if start < end]


def content_words(text: str) -> frozenset[str]:
    """Return the words that carry meaning, in lower case and without a plural s; pairs of signs for Chinese."""
    words = {word.replace("’", "'") for word in _WORD.findall(text.lower()) if not _HAN.search(word)}
    pairs = {run[i : i + 2] for run in _HAN.findall(text) for i in range(max(1, len(run) - 1))}
    return frozenset(_singular(word.removesuffix("'s")) for word in words - _STOP_WORDS) | pairs


def _singular(word: str) -> str:
    return word[:-1] if len(word) > len("gas") and word.endswith("s") and not word.endswith("ss") else word


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _ends(text: str, match: re.Match[str], start: int) -> bool:
    following = _NEXT.match(text, match.end())
    if not following:
        return True
    sign = following[1]
    if match[0].startswith("\n"):
        blank = match[0].count("\n") > 1
        return blank or not sign.islower() or bool(_LIST_MARK.match(text, match.end()))
    if not match[0].startswith("."):
        return not (sign.islower() and match[0].startswith(("…", "?", "!")) and match[0][-1] in "\"”’')")
    if match[0].startswith("..") or "\n" in text[match.end() : following.start(1)]:
        return not sign.islower()
    word = _LAST_WORD.search(text, start, match.start())
    return not sign.islower() and not (word and _is_abbreviation(text, start, word, sign))


def _is_abbreviation(text: str, start: int, word: re.Match[str], following: str) -> bool:
    said = word[0].lower()
    if said.isdigit() and not text[start : word.start()].strip(" \n\t(*"):
        return True  # "1. Sign in": a list number
    if len(said) == 1 and word[0].isalpha() and word[0].isupper():
        return word[0] != "I" and following.isupper()  # "J. Smith"
    if said not in _ABBREVIATIONS:
        return False
    if said in _NEEDS_NUMBER and not following.isdigit():
        return False
    return not (said in _MAY_END and following.isupper())

"""Other values for a fact, written as it is: "45" as "52", "1,600" as "2,300", "two" as "six", "Monday" as "Thursday"."""

from __future__ import annotations

import calendar
import random
import re
from collections.abc import Iterator, Sequence

from chatbot.facts import Fact
from chatbot.quantities import NUMBER_WORDS

_TRIES = 12  # values looked at for one fact: most are clean at once, some facts have none
_WORDS = {value: word for word, value in NUMBER_WORDS.items()}
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(NUMBER_WORDS)})(?![A-Za-z])", re.IGNORECASE)
_MONTHS = [(calendar.month_name[i], calendar.month_abbr[i]) for i in range(1, 13)]
_DAYS = [(calendar.day_name[i], calendar.day_abbr[i]) for i in range(7)]
_ON_TH = range(4, 21)  # "4th" to "20th"


def forms(fact: Fact, chance: random.Random) -> Iterator[dict[str, str]]:
    """Yield other values of a fact, each as {a way to write the old value: the same way to write the new one}.

    Kinds without values of their own (links, addresses, placeholders) yield nothing.
    """
    if fact.kind in ("number", "price", "percent"):
        yield from _numbers(fact, chance)
    elif fact.kind in ("code", "phone"):
        yield from _digits_of(fact.text, chance)
    elif fact.kind == "time":
        yield from _hours(fact, chance)
    elif fact.kind == "date":
        yield from _dates(fact, chance)
    elif fact.kind == "weekday":
        yield from _named(fact.text, _DAYS, chance)


def _numbers(fact: Fact, chance: random.Random) -> Iterator[dict[str, str]]:
    digits, words = _DIGITS.findall(fact.text), _WORD.findall(fact.text)
    if len(digits) + len(words) != 1 or fact.value == "1" or (fact.kind == "percent" and len(fact.value) > 2):
        return  # "half a dozen"; another number than one needs the plural; more than 100 % is seldom meant
    old = digits[0] if digits else str(NUMBER_WORDS[words[0].lower()])
    for new in _like(old, chance):
        spelled = old.isdigit() and new.isdigit() and int(old) in _WORDS and int(new) in _WORDS
        if digits or spelled:
            yield {old: new} | ({_WORDS[int(old)]: _WORDS[int(new)]} if spelled else {})


def _like(number: str, chance: random.Random) -> Iterator[str]:
    """Yield numbers with as many digits, as round and with the same signs; the part behind a point stays."""
    whole, rest = re.fullmatch(r"(\d{1,3}(?:,\d{3})+|\d+)(.*)", number, re.DOTALL).groups()  # type: ignore[union-attr]
    old = int(whole.replace(",", ""))
    if whole.startswith("0") or number == "1":
        return
    for new in _as_round(old, chance):
        yield (f"{new:,}" if "," in whole else str(new)) + rest


def _as_round(old: int, chance: random.Random) -> Iterator[int]:
    """Yield other numbers with as many digits and as round; of a year the century stays."""
    digits = len(str(old))
    step = 10 ** (digits - len(str(old).rstrip("0")))
    if step == 1 and digits > 1 and old % 5 == 0:
        step = 5
    least, most = max(2, 10 ** (digits - 1)), 10**digits
    if digits == 4 and 1900 <= old < 2100:
        least, most = old - old % 100, old - old % 100 + 100
    pool = range(-(-least // step) * step, most, step)
    yield from (new for new in chance.sample(pool, min(_TRIES, len(pool))) if new != old)


def _digits_of(text: str, chance: random.Random) -> Iterator[dict[str, str]]:
    """Yield other last digits of a code or a phone number."""
    groups: Sequence[str] = re.findall(r"\d+", text)
    if groups and groups.count(groups[-1]) == 1:
        for _ in range(_TRIES):
            yield {groups[-1]: "".join(chance.choice("23456789") for _ in groups[-1])}


def _hours(fact: Fact, chance: random.Random) -> Iterator[dict[str, str]]:
    """Yield other full hours, as many digits where the clock has two of them."""
    hour = int(fact.value.split(":")[0])
    twelve = re.search(r"[ap][. ]*m|o.?clock|morning|afternoon|evening|night", fact.text, re.IGNORECASE) is not None
    ways = {str(hour % 12 or 12), f"{hour % 12 or 12:02}"} if twelve else {str(hour), f"{hour:02}"}
    pool = [new for new in (range(1, 13) if twelve else range(24)) if str(new) not in ways]
    for new in chance.sample(pool, len(pool)):
        yield {way: f"{new:0{len(way)}}" if way.startswith("0") else str(new) for way in ways}


def _dates(fact: Fact, chance: random.Random) -> Iterator[dict[str, str]]:
    """Yield other days of the month, or other months where no day is said."""
    parts = fact.value.split("-")
    if len(parts) != 3:
        return
    if parts[2] == "*":
        yield from _named(fact.text, _MONTHS, chance)
        return
    old = int(parts[2])
    ordinal = re.search(rf"(?<!\d)0?{old}(?:st|nd|rd|th)", fact.text, re.IGNORECASE) is not None
    if ordinal and old not in _ON_TH:
        return
    pool = [day for day in (_ON_TH if ordinal else range(2, 29)) if day != old]
    for new in chance.sample(pool, _TRIES):
        yield {str(old): str(new), f"{old:02}": f"{new:02}"}


def _named(text: str, names: Sequence[tuple[str, str]], chance: random.Random) -> Iterator[dict[str, str]]:
    """Yield other names of a month or a weekday, in full or short as the text has it."""
    for form in (0, 1):
        old = next((pair for pair in names if re.search(rf"(?<![a-z]){pair[form]}", text, re.IGNORECASE)), None)
        if old:
            others = [pair for pair in names if pair != old]
            for new in chance.sample(others, len(others)):
                yield {old[form]: new[form]}
            return

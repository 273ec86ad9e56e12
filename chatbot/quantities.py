# ruff: noqa: SIM905 - word lists are read as text
"""Numbers with what they count: "30 days", "thirty-day", "€ 19.90", "two to three weeks", "5 USD per night", "三天".

A number is read together with its unit, because "30 days" says nothing about "30 euros". Values are kept as text, so
that no digit of a long number is lost to arithmetic. Texts come here with ASCII digits and without markup (`facts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from chatbot.units import CURRENCIES, CURRENCY, CURRENCY_SIGN, HAN_UNITS, SIGNS, UNIT, stem, unit_name

_SPACE = r"[^\S\n]{0,3}"
_ONES = {w: i for i, w in enumerate("one two three four five six seven eight nine".split(), 1)}
_TEENS = {
    w: i
    for i, w in enumerate("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), 10)
}
_TENS = {w: i * 10 for i, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_SMALL = {**_ONES, **_TEENS, **_TENS, "zero": 0, "a": 1, "dozen": 12}
_SCALES = {"hundred": 2, "thousand": 3, "k": 3, "million": 6, "m": 6, "mio": 6, "billion": 9, "bn": 9}
_TO_99 = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_ONES)}))?|{'|'.join(_TEENS)}|{'|'.join(_ONES)}|zero)"
_TO_999 = rf"(?:(?:(?:{'|'.join(_ONES)}|a)[ ]hundred(?![A-Za-z])(?:[ ](?:and[ ])?{_TO_99})?)|{_TO_99})"
_SPELLED = (
    rf"(?:(?:{_TO_999}|a)[ ](?:thousand|million|billion)(?![A-Za-z])(?:[ ](?:and[ ])?{_TO_999})?"
    rf"|(?:(?:{'|'.join(_ONES)}|a)[ ])?dozen|{_TO_999})(?![A-Za-z])"
)
_HAN_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10000}

NUMBER_WORDS = {**_ONES, **_TEENS, **_TENS}
# Three digits behind a space belong to the number before them, unless a longer number begins the row.
_GROUPED = r"(?<!\d[ ])[1-9]\d{0,2}(?:[ \u00a0\u202f\u2009]\d{3})+(?!\d)"
_NO_RANGE = rf"(?<![\w)°%\"″½¼¾{SIGNS}])(?<!\d[. ])(?<!\d[ ][ ])"  # behind a number a dash means "to"
_NUMBER = re.compile(
    rf"""(?:(?P<prefix>{CURRENCY_SIGN}){_SPACE}|(?<![A-Za-z0-9_]))
    (?P<sign>(?:(?(prefix)|{_NO_RANGE}))[-−–](?=\d)|minus[ ])?
    (?:(?P<digits>(?:{_GROUPED}|\d+)(?:[.'’]\d+|,\d{{1,3}}(?!\d))*(?:/\d+)*)(?P<vulgar>{_SPACE}[½¼¾])?
      |(?P<lone>[½¼¾])
      |(?P<half>half)(?=[ -](?:an?[ ])?(?:hour|day|year|month|minute|dozen)s?(?![A-Za-z]))(?:[ -]an?(?![A-Za-z]))?
      |(?P<spelled>{_SPELLED})
      |(?P<han>百分之[零一二两三四五六七八九十百]+|百分之(?=\d)|[零一二两三四五六七八九十百千万]{{1,12}}(?=(?:{"|".join(HAN_UNITS)}))|半(?=个?小时)))
    (?P<and_half>[ ]and[ ]a[ ]half(?![A-Za-z]))?
    (?:{_SPACE}(?P<scale>(?:hundred|thousand|million|billion|mio|bn|dozen)(?![A-Za-z])
        |(?<=\d)(?:(?-i:[kM])|(?-i:[Km])(?(prefix)|(?={_SPACE}{CURRENCY})))(?![A-Za-z])|万))?
    (?:(?:{_SPACE}|-)(?P<unit>{UNIT}))?
    (?:(?:{_SPACE}(?:/|,?[ ]per[ ]){_SPACE}|每)(?P<per>[A-Za-z]+|[\u4e00-\u9fff])
        (?:,?[ ](?:and[ ])?per[ ](?P<and_per>[A-Za-z]+))?
      |{_SPACE}(?:an?|each|every)[ ](?P<each>{UNIT}|guest|adult|child|item|order|room|bag|car|vehicle)(?![A-Za-z]))?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_JOINED = re.compile(r"\s*(?:-|–|—|~|to|and|or|until|till|,|,?\s*or|/|&|x|×|至|到)\s*", re.IGNORECASE)
_COUNTED = re.compile(r"([ -])([A-Za-z]+)(?![A-Za-z0-9@])")
# What cannot be read as a word is a unit that nobody told us: "50 qr" are not 50 euros, whatever they are.
_SYMBOL = re.compile(
    rf"{_SPACE}(?P<symbol>[{SIGNS}]|(?!x(?![A-Za-z]))[bcdfghjklmnpqrstvwxzčłšžµ]{{1,4}}(?![\w@'’]|-[A-Za-z]))",
    re.IGNORECASE,
)
_QUOTE = re.compile(r'(?<!\d)["“”„]')
_WORD_BEFORE = re.compile(r"([A-Za-z]+)[^\S\n]{0,3}\Z")
# "one" is a quantity where something is counted; elsewhere it is a pronoun ("this one", "one of our team").
_ONE_COUNTS = re.compile(
    r"(?:\b(?:only|exactly|up to|at least|at most|maximum of|max|than|minimum of)) \Z", re.IGNORECASE
)
_MOMENT = re.compile(r"\s*(?:please\b|[,.!]|while\b|\Z)", re.IGNORECASE)
_ARTICLE = re.compile(
    r"(?<![A-Za-z])(?:within|in|after|for|about|around|takes?|than|least|most|only|under|over|nearly|to|lasts?)[ ]"
    r"(?P<unit>an?[ ](?:hour|day|night|week|weekend|month|year|(?:business|working)[ ]day))(?![A-Za-z])",
    re.IGNORECASE,
)
_ANY_ARTICLE = re.compile(
    r"(?<![A-Za-z])(?P<unit>(?:an?|per|each|every)[ ](?:hour|day|night|week|weekend|month|year))\b", re.I
)
_TIMES = re.compile(
    r"(?<![A-Za-z])(?:(?P<twice>twice)|once(?=[ ](?:an?|per|every|each)[ ]))(?![A-Za-z])", re.IGNORECASE
)
_STOP = frozenset(
    "a an the of to in on at by for from with and or but if is are was were be been has have had do does this that "
    "these those it its he she we you they your our their his her as so than then when where which who "
    "always us yes plus perhaps towards afterwards besides sometimes please can may must will not no per each "
    "every".split()
) | frozenset(NUMBER_WORDS)
_DESIGNATORS = frozenset(
    "room gate terminal platform step section page level floor line bus route tram number no zone option press size "
    "version chapter article building apartment suite house street highway pier flight track order invoice code".split()
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was read, at [start, end) of the text.

    `value` is canonical ("1204.5"). `unit` is a canonical unit ("day", "eur"), the thing counted behind "#" ("#shop"),
    or empty. `per` is what it is counted for ("night", "person+night").
    """

    start: int
    end: int
    value: str
    unit: str = ""
    per: str = ""

    @property
    def is_price(self) -> bool:
        """Say whether the unit is a currency."""
        return any(reading in CURRENCIES for reading in self.unit.split("|"))


def quantities(text: str, *, liberal: bool = False) -> list[Quantity]:
    """Read the numbers of a text in their order.

    Args:
        text: Text with ASCII digits; what must not be read is blanked out with NUL characters.
        liberal: Read every "one" and "a week" as a quantity: right for what is known, too strict for what is said.
    """
    read = [(match, _quantity(match, text)) for match in _NUMBER.finditer(text)]
    found = [quantity for quantity in _share_units(text, read) if liberal or not _is_pronoun(text, quantity)]
    found += [Quantity(m.start("unit"), m.end(), "1", _article_unit(m)) for m in _ARTICLE.finditer(text)]
    if liberal:
        found += [Quantity(m.start("unit"), m.end(), "1", _article_unit(m)) for m in _ANY_ARTICLE.finditer(text)]
    found += [Quantity(m.start(), m.end(), "2" if m["twice"] else "1", "time") for m in _TIMES.finditer(text)]
    return sorted(found, key=lambda quantity: quantity.start)


def _article_unit(match: re.Match[str]) -> str:
    return unit_name(match["unit"].split(None, 1)[1])


def _quantity(match: re.Match[str], text: str) -> Quantity:
    unit, end = "", match.end()
    if match["unit"]:
        unit = unit_name(match["unit"])
    if not unit:
        end = match.end("unit") if match["unit"] and not match["per"] else match.end()
    if match["prefix"]:
        sign = match["prefix"].rstrip(".")
        sign = unit_name(sign) or unit_name(sign.removesuffix("$")) or sign.casefold()
        unit = unit if unit in sign.split("|") else sign  # "$5 CAD"
    if match["han"] and match["han"].startswith("百分之"):
        unit = "%"
    per = "+".join(unit_name(word) or stem(word) for word in match.group("per", "and_per", "each") if word)
    if not unit and not per:
        end = match.start("unit") if match["unit"] else match.end()
        unit, end = _unknown_unit(text, match.start(), end)
    return Quantity(match.start(), end, _value(match), unit, per)


def _unknown_unit(text: str, start: int, end: int) -> tuple[str, int]:
    """Return what a number at [start, end) counts where that is no unit we know, and where the reading of it ends."""
    # A quotation mark behind a number closes what one before it has opened, else it means inches.
    if text.startswith(('"', "”"), end) and len(_QUOTE.findall(text, max(0, end - 200), end)) % 2 == 0:
        return "inch", end + 1
    match = _SYMBOL.match(text, end)
    symbol = match["symbol"] if match else ""
    if match and not symbol.isupper() and stem(symbol) == symbol.lower():
        return symbol.lower(), match.end()
    unit = _counted(text, start, end) or (symbol and "#" + stem(symbol))  # "2 TV sets", "4 TVs", else "2 TV"
    return unit, start + len(text[start:end].rstrip(" -"))


def _counted(text: str, start: int, end: int) -> str:
    """Return what a number without a unit counts: the first plural of the three words behind it, or "2-bedroom"."""
    before = _WORD_BEFORE.search(text, max(0, start - 40), start)
    if before and (before[1].lower() in _DESIGNATORS or (before[1][0].isupper() and before[1].lower() not in _STOP)):
        return ""  # "Room 5 costs ...", "Motel 6 offers ...": a name, and a verb behind it
    previous = ""
    for _ in range(3):
        word = _COUNTED.match(text, end)
        if not word or word[2].lower() in _STOP:
            return ""
        lower, end = word[2].lower(), word.end()
        unit = unit_name(lower) if len(lower) > 1 else ""
        if unit:
            return "business day" if unit == "day" and previous in ("business", "working") else unit
        if stem(lower) != lower or (word[1] == "-" and not previous):
            return "#" + stem(lower)
        previous = lower
    return ""


def _share_units(text: str, read: list[tuple[re.Match[str], Quantity]]) -> Iterator[Quantity]:
    """Give the numbers of "3 to 5 days", "2, 3 or 4 nights" and "€5-10" their common unit."""
    shared = [quantity for _, quantity in read]
    for i in range(len(shared) - 2, -1, -1):
        here, there = shared[i], shared[i + 1]
        if (
            not (here.unit or here.per)
            and (there.unit or there.per)
            and not read[i + 1][0]["prefix"]
            and _JOINED.fullmatch(text, here.end, there.start)
        ):
            shared[i] = replace(here, unit=there.unit, per=here.per or there.per)
    for i in range(1, len(shared)):
        before, here = shared[i - 1], shared[i]
        if not here.unit and read[i - 1][0]["prefix"] and _JOINED.fullmatch(text, before.end, here.start):
            shared[i] = replace(here, unit=before.unit, per=here.per or before.per)
    yield from shared


def _is_pronoun(text: str, quantity: Quantity) -> bool:
    said = text[quantity.start : quantity.end].lower()
    if not re.match(r"one\b", said) or re.match(r"one (?:hundred|thousand|million|and a half)", said):
        return False
    if quantity.unit in ("second", "minute") and _MOMENT.match(text, quantity.end):
        return True  # "one moment", "one second, please"
    if quantity.unit and not quantity.unit.startswith("#"):
        return quantity.unit == "time" and said.endswith("time")
    return not _ONE_COUNTS.search(text, max(0, quantity.start - len("maximum of ") - 1), quantity.start)


def _value(match: re.Match[str]) -> str:
    return "-" + _scaled(match) if match["sign"] else _scaled(match)


def _scaled(match: re.Match[str]) -> str:
    value = _plain_value(match)
    if match["and_half"] and value.isdigit():
        value += ".5"
    scale = (match["scale"] or "").lower()
    if scale == "万":
        return _shifted(value, 4)
    if scale == "dozen":
        return str(int(value) * 12) if value.isdigit() and len(value) < 9 else value + " dozen"
    return _shifted(value, _SCALES[scale]) if scale else value


def _plain_value(match: re.Match[str]) -> str:
    vulgar = {"½": ".5", "¼": ".25", "¾": ".75"}
    if match["spelled"]:
        return str(_spelled(match["spelled"].lower()))
    if match["half"]:
        return "0.5"
    if match["lone"]:
        return "0" + vulgar[match["lone"]]
    if match["han"]:
        return _han(match["han"].removeprefix("百分之"))
    value = canonical(match["digits"])
    if match["vulgar"]:
        value += vulgar[match["vulgar"].strip()]
    return value


def canonical(digits: str) -> str:
    """Return a number as written with digits in one form: "1,204.50" and "1.204,5" are "1204.5", "1/2" is "0.5".

    A lone comma before three digits groups thousands, a lone point is decimal. Leading zeros stay: "0180" is not "180".
    What is no number in any form ("1.2.3") stays as it is.
    """
    fractions = {"1/2": "0.5", "1/4": "0.25", "3/4": "0.75"}
    digits = re.sub(r"['’\s]", "", digits)
    if "/" in digits:
        return fractions.get(digits, digits)
    signs = re.findall(r"[.,]", digits)
    if not signs:
        return digits
    groups = re.split(r"[.,]", digits)
    if len(signs) > 1 and len(set(signs)) == 1:
        return "".join(groups) if len(groups[-1]) == 3 and all(2 <= len(g) <= 3 for g in groups[1:]) else digits
    if len(signs) == 1 and signs[0] == "," and len(groups[1]) == 3 and len(groups[0]) <= 3 and groups[0][0] != "0":
        return "".join(groups)
    if len(set(signs[:-1])) > 1 or (signs[-1] in signs[:-1]):
        return digits
    fraction = groups[-1].rstrip("0")
    return "".join(groups[:-1]) + ("." + fraction if fraction else "")


def _shifted(value: str, places: int) -> str:
    """Multiply a decimal by a power of ten without leaving text."""
    whole, _, fraction = value.partition(".")
    moved = whole + fraction[:places].ljust(places, "0")
    rest = fraction[places:]
    return (moved.lstrip("0") or "0") + ("." + rest if rest else "")


def _spelled(words: str) -> int:
    total, part = 0, 0
    for word in re.split(r"[ -]", words):
        if word == "hundred":
            part *= 100
        elif word in _SCALES:
            total, part = total + max(part, 1) * 10 ** _SCALES[word], 0
        elif word == "dozen":
            part = max(part, 1) * 12
        elif word != "and":
            part += _SMALL[word]
    return total + part


def _han(numeral: str) -> str:
    if numeral == "半":
        return "0.5"
    total, digit = 0, 0
    for sign in numeral:
        if sign in _HAN_SCALES:
            scale = _HAN_SCALES[sign]
            total = (total + digit) * scale if scale == 10000 else total + max(digit, 1) * scale
            digit = 0
        else:
            digit = digit * 10 + _HAN_DIGITS[sign]
    return str(total + digit)

# ruff: noqa: SIM905 - word lists are read as text
"""What can be right or wrong in a sentence word for word: numbers, prices, dates, times, links, addresses, codes.

A fact of a sentence is supported when it stands in a source: the same value, and the same unit where both have one.
Where it is open whether two facts are the same, they are not: a mistake here only means that the entry is quoted.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chatbot.clock import read_dates, read_times
from chatbot.quantities import Quantity, quantities
from chatbot.units import UNIT, same_unit, unit_name, units_in

_ORDINALS = {
    word: i
    for i, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        1,
    )
}
_TLDS = (
    "com|org|net|info|biz|edu|gov|app|dev|shop|store|online|site|cloud|support|help|example|test|io|ai|co|eu|uk|de|fr|es|it|nl|be|"
    "at|ch|us|ca|au|nz|in|cn|jp|kr|hk|sg|tw|br|mx|ru|pl|se|no|fi|dk|ie|pt|cz|gr|tr|za|il|ae|me|tv|cc|ly|gg|to|fm|id|my|ph|th|ua|ro|hu"
)
_PLACEHOLDER = re.compile(
    r"\{\{([^{}]*)(?:\}\}|$)|\{([A-Za-z_][\w -]*)\}|\[([A-Z][A-Za-z]*(?: [A-Za-z]+)+)\](?!\()|_{3,}()|<(email|account|card|phone)>"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LINK = re.compile(
    r"(?<![\w@.-])(?:(?:https?://|www\.)[^\s<>\"'“”‘’\]\[(){}\u3000-\u303f\u4e00-\u9fff\x00]+"
    rf"|(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?P<tld>{_TLDS})(?![\w@-])(?::\d+)?(?:/[^\s<>\"'“”‘’\]\[(){{}}\u4e00-\u9fff\x00]*)?)",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"(?<![\w@.])@[A-Za-z_]\w+")
_SEPARATOR = r"(?:[ \u00a0]?[-–][ \u00a0]?|[./]|[ \u00a0]?\(|\)[ \u00a0-]?|[ \u00a0])"
_PHONE = re.compile(rf"(?<![A-Za-z0-9_.,:])(?<![$€£¥₹] )(?<![$€£¥₹])(?:\+[ ]?)?\(?\d(?:{_SEPARATOR}?\d){{6,}}(?![\d%])")
_WITH_UNIT = re.compile(rf"[^\S\n]?{UNIT}|[.,]\d", re.IGNORECASE)
_CODE = re.compile(r"(?<![A-Za-z0-9@_])[A-Za-z0-9]+(?:[-_/.][A-Za-z0-9]+)*(?![A-Za-z0-9])")
_NUMBER_WITH_UNIT = re.compile(
    r"(?:USD|EUR|GBP|CHF|CNY|RMB|JPY|INR|Rs|SEK|NOK|DKK|PLN|AUD|CAD)?\d[\d.]*(?P<unit>[A-Za-z]*)", re.IGNORECASE
)
_SUFFIXES = frozenset(("", "st", "nd", "rd", "th", "k", "m", "bn"))
_CURRENCY_CODE = re.compile(r"USD|EUR|GBP|CHF|CNY|RMB|JPY|INR|SEK|NOK|DKK|PLN|AUD|CAD|US|A|C")
_ORDINAL = re.compile(
    rf"(?<![\w.,])(?:(\d+)(?:st|nd|rd|th)|({'|'.join(_ORDINALS)}))(?![A-Za-z])"
    r"(?=((?: (?:floor|day|night|week|month|year|quarter|level|class))?))",
    re.IGNORECASE,
)
_CHINESE_ORDINAL = re.compile(r"第([0-9]+)")
_TIMES_SIGN = re.compile(r"(?<=[0-9])[xX](?=[0-9])")
_LIST_MARK = re.compile(r"(?m)^[^\S\n]*[(]?(\d{1,3})[.)](?=\s)")


@dataclass(frozen=True, slots=True)
class Fact:
    """A checkable part of a text.

    `kind` is one of number, price, percent, ordinal, date, weekday, time, link, email, phone, code, placeholder.
    `text` is how it stands there, `value` its canonical form, `unit` and `per` what a number counts ("eur", "night").
    """

    kind: str
    text: str
    value: str
    unit: str = ""
    per: str = ""


_Reading = tuple[str, str]  # kind, value
_Reader = Callable[[re.Match[str]], _Reading | None]


def facts(text: str) -> tuple[Fact, ...]:
    """Return the facts of a text in their order."""
    return _facts(text, liberal=False)


def placed_facts(text: str) -> tuple[tuple[int, Fact], ...]:
    """Return the facts of a text in their order, each behind the place where it begins."""
    return tuple((start, fact) for start, fact in _placed(text, liberal=False) if fact.kind != "bare")


def unsupported_facts(sentence: str, sources: Sequence[str]) -> tuple[Fact, ...]:
    """Return the facts of a sentence that stand in none of the sources; empty means that it passes."""
    return Sources(sources).lack(sentence)


class Sources:
    """Texts whose facts may be said; read once, asked often."""

    def __init__(self, texts: Iterable[str]) -> None:
        texts = [text for text in texts if text]
        self._units = frozenset[str]().union(*(units_in(_plain(text)) for text in texts))
        self._facts: dict[_Reading, list[Fact]] = defaultdict(list)
        self._dates: list[Fact] = []
        for text in texts:
            for fact in _facts(text, liberal=True):
                self._add(fact)

    def lack(self, sentence: str) -> tuple[Fact, ...]:
        """Return the facts of a sentence that do not stand in these texts."""
        return tuple(fact for fact in facts(sentence) if not self._hold(fact))

    def _add(self, fact: Fact) -> None:
        self._facts[family(fact), fact.value].append(fact)
        if fact.kind == "date":
            self._dates.append(fact)
            year, _, day = [*fact.value.split("-"), "", ""][:3]
            self._facts["bare", year].append(fact)
            self._facts["ordinal", day.lstrip("0")].append(fact)
        elif fact.kind == "time":
            hour, minute = (int(part) for part in fact.value.split(":"))
            for said in re.findall(r"[0-9]+", fact.text):  # "until 9" says what "9 pm" says
                if minute == 0 and int(said) in (hour, hour % 12 or 12):
                    self._facts["bare", said].append(fact)
        elif fact.kind == "phone":
            self._facts["bare", fact.value].append(fact)

    def _hold(self, fact: Fact) -> bool:
        if fact.kind == "date" and any(_covers(known.value, fact.value) for known in self._dates):
            return True
        kind = family(fact)
        if kind == "number":
            bare = not fact.unit and not fact.per and bool(self._facts.get(("bare", fact.value)))
            return bare or any(self._same(fact, known) for known in self._facts.get(("number", fact.value), ()))
        if fact.kind == "phone" and ("number", fact.value) in self._facts:
            return True
        return (kind, fact.value) in self._facts

    def _same(self, said: Fact, known: Fact) -> bool:
        return self._same_unit(said.unit, known.unit) and self._same_per(said.per, known.per)

    def _same_unit(self, said: str, known: str) -> bool:
        if not said or (not known and said.startswith("#")):
            return True
        if not known:  # "Return period (days): 30" holds "30 days"
            return not self._units.isdisjoint(said.split("|"))
        return said == known if said.startswith("#") or known.startswith("#") else same_unit(said, known)

    def _same_per(self, said: str, known: str) -> bool:
        return not said or set(said.split("+")) <= (set(known.split("+")) if known else self._units)


def family(fact: Fact) -> str:
    """Return the kind of a fact; a price, a percentage and a plain number are of one kind, since units may be left out."""
    return "number" if fact.kind in ("price", "percent") else fact.kind


def _covers(known: str, said: str) -> bool:
    """Say whether a known date has every part of the said one: "2026-03-12" has "*-03-12"."""
    pairs = zip(known.split("-"), said.split("-"), strict=False)
    return known.count("-") == said.count("-") and all(part in ("*", other) for other, part in pairs)


def _facts(text: str, *, liberal: bool) -> tuple[Fact, ...]:
    return tuple(fact for _, fact in _placed(text, liberal=liberal) if liberal or fact.kind != "bare")


def _placed(text: str, *, liberal: bool) -> list[tuple[int, Fact]]:
    plain = _plain(text)
    found: list[tuple[int, Fact]] = []

    def take(start: int, end: int, kind: str, value: str) -> None:
        nonlocal plain
        found.append((start, Fact(kind, text[start:end], value)))
        plain = plain[:start] + "\x00" * (end - start) + plain[end:]

    def run(pattern: re.Pattern[str], read: _Reader) -> None:
        for match in list(pattern.finditer(plain)):
            reading = read(match)
            if reading:
                take(match.start(), match.start() + len(match[0].rstrip(" .,:;!?")), *reading)

    if "{" in plain or "[" in plain or "___" in plain or "<" in plain:
        run(_PLACEHOLDER, _placeholder)
    if "@" in plain:
        run(_EMAIL, lambda match: ("email", match[0].rstrip(".-").casefold()))
        run(_HANDLE, lambda match: ("link", match[0].casefold()))
    if "." in plain or "://" in plain:
        run(_LINK, _link)
    for start, end, kind, value in read_dates(plain):
        take(start, end, kind, value)
    for start, end, kind, value in read_times(plain):
        take(start, end, kind, value)
    if any("0" <= sign <= "9" for sign in plain):
        run(_PHONE, _phone)
        run(_CODE, _code)
        run(_LIST_MARK, lambda match: ("bare", match[1]))
        run(_CHINESE_ORDINAL, lambda match: ("ordinal", match[1].lstrip("0")))
    run(_ORDINAL, lambda match: _ordinal(match, liberal))
    found += [(q.start, _number(text, q)) for q in quantities(plain, liberal=liberal)]
    return sorted(found, key=lambda item: item[0])


def _number(text: str, quantity: Quantity) -> Fact:
    kind = "price" if quantity.is_price else "percent" if quantity.unit == "%" else "number"
    return Fact(kind, text[quantity.start : quantity.end], quantity.value, quantity.unit, quantity.per)


class _Plain(dict[int, str]):
    """Maps each character to one ASCII character where it is only written in another way."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if 0xFF01 <= code <= 0xFF5E:
            sign = chr(code - 0xFEE0)
        elif unicodedata.category(sign) == "Nd":
            sign = str(unicodedata.digit(sign))
        elif sign.isspace() and sign not in "\n\u00a0\u202f\u2009":
            sign = " "
        self[code] = sign
        return sign


_PLAIN = _Plain(
    {ord("*"): " ", ord("`"): " ", ord("\x00"): " ", ord("\r"): "\n", 0xFFE5: "¥", 0xFF0E: ".", 0x2011: "-"}
)


def _plain(text: str) -> str:
    """Return the text with ASCII digits and plain spaces and without emphasis; every character keeps its place."""
    return _TIMES_SIGN.sub("×", text.translate(_PLAIN))


def _placeholder(match: re.Match[str]) -> _Reading:
    return "placeholder", " ".join(next((part for part in match.groups() if part), "").casefold().split())


def _link(match: re.Match[str]) -> _Reading | None:
    said = match[0].rstrip(".,:;!?")
    tld = match["tld"]
    if tld and tld.istitle():
        return None  # "your order.It ships": a space is missing
    bare = re.sub(r"(?i)^(?:https?://)?(?:www\.)?", "", said).rstrip("/")
    host, slash, path = bare.partition("/")
    return "link", host.casefold() + slash + path


def _phone(match: re.Match[str]) -> _Reading | None:
    said = match[0]
    digits = re.sub(r"\D", "", said.replace("(0)", "") if said.startswith(("+", "00")) else said)
    if said.startswith(("+", "00")):
        return "phone", digits.removeprefix("00")
    groups = [group for group in re.split(r"\D+", said) if group]
    gaps = re.findall(r"\D+", said.lstrip("("))
    if len(groups) == 1 or _WITH_UNIT.match(match.string, match.end()):
        return None
    if len(groups) == 2 and not said.startswith(("0", "(")):
        is_range = gaps[0] == "." or len(gaps[0]) > 1 or (len(groups[0]) == len(groups[1]) and groups[0] < groups[1])
        return None if is_range else ("phone", digits)
    if set(gaps) == {"."} and all(len(group) == 3 for group in groups[1:]) and len(groups[0]) < 3:
        return None  # "1.204.500"
    is_two_decimals = re.fullmatch(r"\d+\.\d\d ?[-–] ?\d+\.\d\d", said)
    return None if is_two_decimals else ("phone", digits)


def _code(match: re.Match[str]) -> _Reading | None:
    """Take "ABC-123", "SAVE20", "iPhone15"; leave "5kg", "30-day" and "under-18" to the numbers."""
    said = match[0]
    if said.isdigit() or not any(sign.isdigit() for sign in said) or _is_number_with_unit(said):
        return None
    parts = re.split(r"[-_/.]", said)
    mixed = any(not part.isdigit() and not part.isalpha() and not _is_number_with_unit(part) for part in parts)
    capitals = any(part.isalpha() and part.isupper() and not _CURRENCY_CODE.fullmatch(part) for part in parts)
    return ("code", said.casefold()) if mixed or (capitals and any(part.isdigit() for part in parts)) else None


def _is_number_with_unit(word: str) -> bool:
    match = _NUMBER_WITH_UNIT.fullmatch(word)
    return match is not None and (match["unit"].lower() in _SUFFIXES or bool(unit_name(match["unit"])))


def _ordinal(match: re.Match[str], liberal: bool) -> _Reading | None:
    if match[1]:
        return "ordinal", match[1].lstrip("0")
    value = _ORDINALS[match[2].lower()]
    # "First, sign in" orders sentences; "the second floor" is a fact, and so is what only counts ("fourth").
    return ("ordinal", str(value)) if liberal or match[3] or value > _ORDINALS["third"] else None

# ruff: noqa: SIM905 - word lists are read as text
"""What can be right or wrong in a sentence word for word: numbers, prices, dates, times, links, addresses, codes.

A fact of a sentence is supported when it stands in a source: the same value, and the same unit where both have one.
Where it is open whether two facts are the same, they are not: a mistake here only means that the entry is quoted.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from operator import itemgetter

from chatbot.clock import read_dates, read_times
from chatbot.quantities import Quantity, quantities
from chatbot.units import CURRENCIES, SIGNS, UNIT, same_unit, unit_name, units_in

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
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = rf"(?:{_LABEL}\.)*(?=[0-9-]*[a-z]){_LABEL}\.[a-z]{{2,24}}"  # "3.days" is none
_PATH = r"(?::\d+)?/[^\s<>\"'“”‘’\]\[(){}\u4e00-\u9fff\x00]*"
_LINK = re.compile(
    r"(?<![\w@.-])(?:(?:https?://|www\.)[^\s<>\"'“”‘’\]\[(){}\u3000-\u303f\u4e00-\u9fff\x00]+"
    # Of an ending that is not listed, small letters or a path show that no blank is missing behind a full stop.
    rf"|(?-i:{_HOST})(?![\w@-])(?:{_PATH}|:\d+)?|{_HOST}{_PATH}"
    rf"|(?:{_LABEL}\.)+(?P<tld>{_TLDS})(?![\w@-])(?:{_PATH}|:\d+)?)",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"(?<![\w@.])@[A-Za-z_]\w+")
_SEPARATOR = r"(?:[ \u00a0]?[-–][ \u00a0]?|[./]|[ \u00a0]?\(|\)[ \u00a0-]?|[ \u00a0])"
_PHONE = re.compile(
    rf"(?<![A-Za-z0-9_.,:])(?<![{SIGNS}] )(?<![{SIGNS}])(?:\+[ ]?)?\(?\d(?:{_SEPARATOR}?\d){{6,}}(?![\d%])"
)
_WITH_UNIT = re.compile(rf"[^\S\n]?{UNIT}|[.,]\d", re.IGNORECASE)
_CODE = re.compile(r"(?<![A-Za-z0-9@_])[A-Za-z0-9]+(?:[-_/.][A-Za-z0-9]+)*(?![A-Za-z0-9])")
_NUMBER_WITH_UNIT = re.compile(r"(?P<currency>[A-Za-z]*)\d[\d.]*(?P<unit>[A-Za-z]*)")
_SUFFIXES = frozenset(("", "st", "nd", "rd", "th", "k", "m", "bn"))
_ORDINAL = re.compile(
    rf"(?<![\w.,])(?:(\d+)(?:st|nd|rd|th)|({'|'.join(_ORDINALS)}))(?![A-Za-z])"
    r"(?= (floor|day|night|week|month|year|quarter|level|class)|)",
    re.IGNORECASE,
)
_CHINESE_ORDINAL = re.compile(r"第([0-9]+)")
_TIMES_SIGN = re.compile(r"(?<=[0-9])[xX](?=[0-9])")
_CLAUSE_END = re.compile(r"[.!?;,](?=\s)|[。！？；，]")
_LIST_MARK = re.compile(r"(?m)^[^\S\n]*[(]?(\d{1,3})[.)](?=\s)")


@dataclass(frozen=True, slots=True)
class Fact:
    """A checkable part of a text.

    `kind` is one of number, price, percent, ordinal, date, weekday, time, link, email, phone, code, placeholder.
    `text` is how it stands there, `value` its canonical form, `unit` and `per` what a number counts ("eur", "night");
    the unit of an ordinal is what it is one of ("floor").
    """

    kind: str
    text: str
    value: str
    unit: str = ""
    per: str = ""


_Reading = tuple[str, str]  # kind, value
_Reader = Callable[[re.Match[str]], _Reading | tuple[str, str, str] | None]  # with its unit, where it has one


def facts(text: str) -> tuple[Fact, ...]:
    """Return the facts of a text in their order."""
    return tuple(fact for _, fact in placed_facts(text))


def placed_facts(text: str) -> tuple[tuple[int, Fact], ...]:
    """Return the facts of a text in their order, each behind the place where it begins."""
    return tuple((start, fact) for start, fact in _placed(text, liberal=False) if fact.kind != "bare")


def unsupported_facts(sentence: str, sources: Sequence[str]) -> tuple[Fact, ...]:
    """Return the facts of a sentence that stand in none of the sources; empty means that it passes."""
    return Sources(sources).lack(sentence)


class Sources:
    """Texts whose facts may be said; read once, asked often."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._units: set[str] = set()
        self._facts: dict[_Reading, list[Fact]] = defaultdict(list)
        self._dates: list[Fact] = []
        for text in filter(None, texts):
            plain, placed = _plain(text), _placed(text, liberal=True)
            self._units |= units_in(plain)
            for fact in chain((fact for _, fact in placed), _with_units_beside(plain, placed)):
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
        known = self._facts.get((kind, fact.value), ())
        return any(_same_ordinal(fact, other) for other in known) if kind == "ordinal" else bool(known)

    def _same(self, said: Fact, known: Fact) -> bool:
        return _same_unit(said.unit, known.unit) and self._same_per(said.per, known.per)

    def _same_per(self, said: str, known: str) -> bool:
        return not said or set(said.split("+")) <= (set(known.split("+")) if known else self._units)


def _same_unit(said: str, known: str) -> bool:
    if not said or not known:
        return not said or said.startswith("#")
    return said == known if said.startswith("#") or known.startswith("#") else same_unit(said, known)


def _same_ordinal(said: Fact, known: Fact) -> bool:
    """Say whether an ordinal may be a known one: "on the 2nd" may be of 2 March, "the 2nd floor" is not."""
    return not said.unit or said.unit == known.unit or (not known.unit and known.kind == "ordinal")


def family(fact: Fact) -> str:
    """Return the kind of a fact; a price, a percentage and a plain number are of one kind, since units may be left out."""
    return "number" if fact.kind in ("price", "percent") else fact.kind


def _covers(known: str, said: str) -> bool:
    """Say whether a known date has every part of the said one: "2026-03-12" has "*-03-12"."""
    pairs = zip(known.split("-"), said.split("-"), strict=False)
    return known.count("-") == said.count("-") and all(part in ("*", other) for other, part in pairs)


def _placed(text: str, *, liberal: bool) -> list[tuple[int, Fact]]:
    plain = _plain(text)
    found: list[tuple[int, Fact]] = []

    def take(start: int, end: int, kind: str, value: str, unit: str = "") -> None:
        nonlocal plain
        found.append((start, Fact(kind, text[start:end], value, unit)))
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


def _with_units_beside(plain: str, placed: Sequence[tuple[int, Fact]]) -> Iterator[Fact]:
    """Yield each number without a unit with the units that its clause names and gives to no other number.

    "Return period (days): 30" holds "30 days"; a row of a table has the units of its row and of the head of its column.
    """
    numbers = [(start, fact) for start, fact in placed if family(fact) == "number"]
    if all(fact.unit for _, fact in numbers):
        return
    clauses = list(_clauses(plain))
    places = [bisect_right(clauses, start, key=itemgetter(0)) - 1 for start, _ in numbers]
    for place, group in groupby(zip(places, numbers, strict=True), key=itemgetter(0)):
        first, clause, head = clauses[place]
        here = [number for _, number in group]
        given = {name for _, fact in here for name in re.split(r"[|+]", f"{fact.unit}|{fact.per}")}
        free = units_in(clause) - given
        for start, fact in here:
            column = head[clause.count("|", 0, start - first) :][:1]
            units = free.union(*map(units_in, column)) - given
            if units and not fact.unit:
                yield replace(fact, unit="|".join(sorted(units)))


def _clauses(plain: str) -> Iterator[tuple[int, str, Sequence[str]]]:
    """Yield where each clause or row of a table begins, its text, and of a row the cells of the head of its table."""
    head: list[str] = []
    start = 0
    for line in plain.split("\n"):
        if line.lstrip().startswith("|"):
            head = head or line.split("|")
            yield start, line, head
        else:
            head, last = [], 0
            for end in [*(match.end() for match in _CLAUSE_END.finditer(line)), len(line)]:
                yield start + last, line[last:end], ()
                last = end
        start += len(line) + 1


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


# "_30 days_" and "__30__"; what joins a name or an address, and the row of a blank to fill in, stay.
_UNDERLINE = re.compile(r"(?<![\w/@=])_{1,2}(?!_)|(?<!_)_{1,2}(?![\w/@])")
_PLAIN = _Plain(
    {ord("*"): " ", ord("`"): " ", ord("\x00"): " ", ord("\r"): "\n", 0xFFE5: "¥", 0xFF0E: ".", 0x2011: "-"}
)


def _plain(text: str) -> str:
    """Return the text with ASCII digits and plain spaces and without emphasis; every character keeps its place."""
    plain = _UNDERLINE.sub(lambda match: " " * len(match[0]), text.translate(_PLAIN))
    return _TIMES_SIGN.sub("×", plain)


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
    if len(set(gaps)) == 1 and gaps[0] in ". \u00a0" and re.fullmatch(r"[1-9]\d?(?:\D\d{3})+", said):
        return None  # "1.204.500", "1 204 500"
    is_two_decimals = re.fullmatch(r"\d+\.\d\d ?[-–] ?\d+\.\d\d", said)
    return None if is_two_decimals else ("phone", digits)


def _code(match: re.Match[str]) -> _Reading | None:
    """Take "ABC-123", "SAVE20", "iPhone15"; leave "5kg", "30-day" and "under-18" to the numbers."""
    said = match[0]
    if said.isdigit() or not any(sign.isdigit() for sign in said) or _is_number_with_unit(said):
        return None
    parts = re.split(r"[-_/.]", said)
    mixed = any(not part.isdigit() and not part.isalpha() and not _is_number_with_unit(part) for part in parts)
    letters = [part for part in parts if part.isalpha() and part.isupper() and part not in ("US", "A", "C")]
    capitals = not all(map(_is_currency, letters))
    return ("code", said.casefold()) if mixed or (capitals and any(part.isdigit() for part in parts)) else None


def _is_number_with_unit(word: str) -> bool:
    match = _NUMBER_WITH_UNIT.fullmatch(word)
    if not match or (match["currency"] and not _is_currency(match["currency"])):
        return False
    unit = match["unit"]
    return unit.lower() in _SUFFIXES or (unit != "A" and bool(unit_name(unit)))  # "3A" is a door or a seat


def _is_currency(word: str) -> bool:
    """Say whether a word before digits is a currency, and in small letters too: "TOP10" is a code."""
    return not CURRENCIES.isdisjoint(unit_name(word.lower()).split("|"))


def _ordinal(match: re.Match[str], liberal: bool) -> tuple[str, str, str] | None:
    unit = (match[3] or "").lower()
    if match[1]:
        return "ordinal", match[1].lstrip("0"), unit
    value = _ORDINALS[match[2].lower()]
    # "First, sign in" orders sentences; "the second floor" is a fact, and so is what only counts ("fourth").
    return ("ordinal", str(value), unit) if liberal or unit or value > _ORDINALS["third"] else None

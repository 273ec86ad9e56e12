# ruff: noqa: SIM905 - word lists are read as text
"""Dates, weekdays and clock times as people write them, read into one form each.

A date is "year-month-day" with "*" for a part that is not said; a time is "hour:minute" of 24 hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chatbot.quantities import NUMBER_WORDS

Span = tuple[int, int, str, str]  # start, end, kind, value

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)(?![A-Za-z])\.?"
)
_FULL_MONTH = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)(?![A-Za-z])"
_DAY_WORDS = {
    word: i for i, word in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth".split(), 1)
}
_DAY = rf"(?:(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?![\dA-Za-z])|(?:{'|'.join(_DAY_WORDS)})(?![A-Za-z]))"
_YEAR = r"(?:(?:19|20)\d\d)(?!\d)"
_TO = r"\s?(?:-|–|—|/|,|&|to|and|until|till|or|through)\s?"
_START = r"(?<![\w.:$€£])"

_DAY_MONTH = re.compile(
    rf"{_START}(?P<days>{_DAY}(?:{_TO}{_DAY}){{0,4}})"
    rf"(?P<of>[ ]?(?:of[ ]|-)?)[ ]?(?P<month>{_MONTH})(?:[,]?[ -]?(?P<year>{_YEAR}))?",
    re.I,
)
_MONTH_DAY = re.compile(
    rf"(?<![A-Za-z])(?P<month>{_MONTH})[ ](?:the[ ])?(?P<days>{_DAY}(?:{_TO}{_DAY}){{0,4}})"
    rf"(?![.,:]\d)(?:,?[ ](?P<year>{_YEAR}))?",
    re.I,
)
_MONTH_YEAR = re.compile(rf"(?<![A-Za-z])(?P<month>{_MONTH})[ ]?(?:of[ ]|,[ ])?(?P<year>{_YEAR})", re.I)
_ISO = re.compile(rf"(?<![\d.-])(?P<year>{_YEAR})([-/.])(?P<month>0?[1-9]|1[0-2])\2(?P<day>0?[1-9]|[12]\d|3[01])(?!\d)")
_NUMERIC = re.compile(r"(?<![\d./-])(\d\d?)([./-])(\d\d?)\2((?:19|20)\d\d|\d\d)(?![\d/-]|\.\d)")
_CHINESE_DATE = re.compile(r"(?:(\d{4})年)?(\d{1,2})月(?:(\d{1,2})[日号])?|(\d{4})年")
_MONTH_ALONE = re.compile(
    rf"(?<![A-Za-z-])(?P<before>(?:in|of|by|until|till|since|from|to|before|after|during|through|"
    r"late|early|mid|next|last|this|each|every)[ -])?"
    rf"(?P<month>{_FULL_MONTH})",
    re.I,
)
_MONTHS_SHORT = re.compile(rf"(?<![A-Za-z])(?P<first>{_MONTH}){_TO}(?P<last>{_MONTH})", re.I)

_WEEKDAYS = "mon tue wed thu fri sat sun".split()
_WEEKDAY = re.compile(r"(?<![A-Za-z])(?:mon|tues|wednes|thurs|fri|satur|sun)days?(?![A-Za-z])", re.I)
_WEEKDAY_SHORT = re.compile(
    r"(?<![A-Za-z])(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|MON|TUE|WED|THU|FRI"
    r"|(?:Sat|Sun|SAT|SUN)(?=\.?\s?(?:[-–—/&,:]|to\b|and\b|\d))|(?<=[-–—/&,])(?:Sat|Sun|SAT|SUN)"
    r"|(?<=[-–—/&,] )(?:Sat|Sun|SAT|SUN)|(?<=to )(?:Sat|Sun|SAT|SUN)|(?<=and )(?:Sat|Sun|SAT|SUN))(?![A-Za-z])"
)
_CHINESE_WEEKDAY = re.compile(r"(?:星期|周|礼拜)([一二三四五六日天])")

_HOURS = {word: value for word, value in NUMBER_WORDS.items() if value <= 12}
_HOUR = rf"(?:\d{{1,2}}|{'|'.join(_HOURS)})"
_HALF = r"(?:[ap][ ]?m(?![A-Za-z])|[ap]\.[ ]?m(?![A-Za-z])\.?)"
_MERIDIEM_TIME = re.compile(
    rf"(?<![\w:.,$€£])(?:(?P<h0>{_HOUR})(?:[:.](?P<m0>[0-5]\d))?\s?(?:-|–|—|to|and|until|till)\s?)?"
    rf"(?P<h>{_HOUR})(?:[:.](?P<m>[0-5]\d))?(?::[0-5]\d)?(?:[ ]o['’]?clock)?\s?"
    rf"(?P<half>{_HALF}|in[ ]the[ ](?:morning|afternoon|evening)(?![A-Za-z])|at[ ]night(?![A-Za-z]))",
    re.I,
)
_CLOCK = re.compile(
    r"(?<![\d:.,$€£])(?P<h>[01]?\d|2[0-4])(?::|(?<=\d)h(?=\d))(?P<m>[0-5]\d)(?::[0-5]\d)?(?![\d:])"
    r"(?:[ ]?(?:hrs|hours|h|Uhr)(?![A-Za-z]))?"
)
_O_CLOCK = re.compile(rf"(?<![\w:.,])(?P<h>{_HOUR})[ ]?o['’]?clock", re.I)
_NAMED = re.compile(r"(?<![A-Za-z])(?:12[ ])?(?P<name>noon|midday|midnight)(?![A-Za-z])", re.I)
_CHINESE_TIME = re.compile(
    r"(?P<half>凌晨|早上|上午|中午|下午|晚上)?(?P<h>\d{1,2}|十[一二]?|[一二两三四五六七八九])(?:点钟?"
    r"(?:(?P<m30>半)|(?P<m>[0-5]?\d)分?)?|[:：](?P<mm>[0-5]\d))"
)
_CHINESE_HOURS = {sign: i for i, sign in enumerate("零 一 二 三 四 五 六 七 八 九 十 十一 十二".split())} | {"两": 2}


def read_dates(text: str) -> Iterator[Span]:
    """Yield the dates, months and weekdays of a text, as spans that do not overlap."""
    taken: list[Span] = []
    readers = (
        (_ISO, _iso), (_NUMERIC, _numeric), (_CHINESE_DATE, _chinese_date), (_DAY_MONTH, _day_month),
        (_MONTH_DAY, _day_month), (_MONTH_YEAR, _month_year), (_MONTHS_SHORT, _two_months),
        (_MONTH_ALONE, _month_alone),
    )  # fmt: skip
    for pattern, read in readers:
        for match in pattern.finditer(text):
            values = read(match)
            if values and all(match.end() <= start or match.start() >= end for start, end, _, _ in taken):
                start = match.start("month") if pattern is _MONTH_ALONE else match.start()
                taken += [(start, match.end(), "date", value) for value in values]
    yield from taken
    for pattern in (_WEEKDAY, _WEEKDAY_SHORT):
        for match in pattern.finditer(text):
            yield match.start(), match.end(), "weekday", match[0][:3].lower()
    for match in _CHINESE_WEEKDAY.finditer(text):
        yield match.start(), match.end(), "weekday", _WEEKDAYS["一二三四五六日".find(match[1].replace("天", "日"))]


def read_times(text: str) -> Iterator[Span]:
    """Yield the clock times of a text, as spans that do not overlap except for the two ends of "9 to 5 pm"."""
    taken: list[Span] = []
    readers = (
        (_MERIDIEM_TIME, _meridiem_time), (_CHINESE_TIME, _chinese_time), (_CLOCK, _clock), (_O_CLOCK, _clock),
        (_NAMED, _named),
    )  # fmt: skip
    for pattern, read in readers:
        for match in pattern.finditer(text):
            if all(match.end() <= start or match.start() >= end for start, end, _, _ in taken):
                taken += [(match.start(), match.end(), "time", value) for value in read(match)]
    yield from taken


def _date(year: str | None, month: int | None, day: str | None) -> str:
    number = _DAY_WORDS.get((day or "").lower()) or int(re.sub(r"\D", "", day or "") or 0)
    return f"{year or '*'}-{f'{month:02}' if month else '*'}-{f'{number:02}' if number else '*'}"


def _month(word: str) -> int:
    return _MONTHS.index(word[:3].lower()) + 1


def _iso(match: re.Match[str]) -> list[str]:
    return [_date(match["year"], int(match["month"]), match["day"])]


def _numeric(match: re.Match[str]) -> list[str]:
    """Read 12.3.2026 as a day of March; 12/3/2026 may be December too and then is only what it is."""
    first, mark, second, year = int(match[1]), match[2], int(match[3]), match[4]
    year = year if len(year) == 4 else "20" + year
    day, month = (first, second) if mark == "." or second <= 12 else (second, first)
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return []
    if mark != "." and first <= 12 and second <= 12 and first != second:
        return [f"{first}/{second}/{year}"]
    return [_date(year, month, str(day))]


def _chinese_date(match: re.Match[str]) -> list[str]:
    year, month, day, year_alone = match.groups()
    if year_alone:
        return [_date(year_alone, None, None)]
    return [_date(year, int(month), day)] if 1 <= int(month) <= 12 else []


def _day_month(match: re.Match[str]) -> list[str]:
    word = match["month"]
    if word.rstrip(".") == "may" and not match["year"] and not re.search(r"\d(?:st|nd|rd|th)", match["days"]):
        return []  # "the first 3 may enter"
    days = re.findall(_DAY, match["days"], re.IGNORECASE)
    return [_date(match["year"], _month(word), day) for day in days]


def _month_year(match: re.Match[str]) -> list[str]:
    return [_date(match["year"], _month(match["month"]), None)]


def _two_months(match: re.Match[str]) -> list[str]:
    if match["first"].islower() or match["last"].islower():
        return []  # "you may or may not"
    return [_date(None, _month(match["first"]), None), _date(None, _month(match["last"]), None)]


def _month_alone(match: re.Match[str]) -> list[str]:
    word = match["month"]
    if word.lower() in ("may", "march", "august") and not (match["before"] and word[0].isupper()):
        return []  # "you may", "march on"
    return [_date(None, _month(word), None)]


def _hour(word: str) -> int:
    return _HOURS.get(word.lower()) or int(word)


def _at(hour: int, minute: str | None) -> list[str]:
    return [f"{hour % 24}:{int(minute or 0):02}"] if hour <= 24 else []


def _meridiem_time(match: re.Match[str]) -> list[str]:
    hour, half = _hour(match["h"]), match["half"].lower()
    morning = _before_dawn(hour) if half.endswith("night") else half[0] == "a" or half.endswith("morning")
    last = _half_day(hour, morning)
    if max(hour, _hour(match["h0"] or "0")) > (12 if morning else 24):
        return []  # "17 am", "4-71 pm" are no times; what stands there is read as numbers
    if not match["h0"]:
        return _at(last, match["m"])
    first = _hour(match["h0"])
    # "9 to 11 am" and "3-5 pm" lie in one half of the day, "9 to 5 pm" begins in the other.
    same = (first % 12, int(match["m0"] or 0)) < (hour % 12, int(match["m"] or 0))
    return _at(_half_day(first, morning if same else not morning), match["m0"]) + _at(last, match["m"])


def _before_dawn(hour: int) -> bool:
    """Say whether an hour "at night" begins the day: "12 at night" to "5 at night"; the others end it."""
    return hour < 6 or hour == 12


def _half_day(hour: int, morning: bool) -> int:
    return hour if hour > 12 else hour % 12 + (0 if morning else 12)


def _clock(match: re.Match[str]) -> list[str]:
    return _at(_hour(match["h"]), match.groupdict().get("m"))


def _named(match: re.Match[str]) -> list[str]:
    return ["0:00" if match["name"].lower() == "midnight" else "12:00"]


def _chinese_time(match: re.Match[str]) -> list[str]:
    if match[0] == "一点":
        return []  # "a little"
    hour = _CHINESE_HOURS.get(match["h"]) or int(match["h"])
    if match["half"] == "晚上" and hour <= 12:
        hour = _half_day(hour, _before_dawn(hour))
    elif match["half"] in ("中午", "下午") and hour < 12 and not (match["half"] == "中午" and hour > 9):
        hour += 12
    return _at(hour, "30" if match["m30"] else match["m"] or match["mm"])

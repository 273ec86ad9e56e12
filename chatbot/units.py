# ruff: noqa: SIM905 - word lists are read as text
"""The names of what is measured and paid: units and currencies, each with its spellings."""

from __future__ import annotations

import re

# Canonical name: spellings. A spelling that may mean two things has a canonical name of both, "gbp|lb".
_WORDS = {
    "second": "seconds second secs sec s",
    "minute": "minutes minute mins min 分钟",
    "hour": "hours hour hrs hr h 个小时 小时",
    "business day": "个工作日 工作日",
    "day": "days day 天 日",
    "night": "nights night 晚",
    "week": "weeks week wks wk 个星期 星期 周",
    "weekend": "weekends weekend",
    "month": "months month mos mo 个月",
    "year": "years year yrs yr 年",
    "time": "times time x",
    "%": "percent pct %",
    "usd": "usd us$ 美元",
    "aud": "aud a$",
    "cad": "cad c$",
    "usd|aud|cad|nzd|sgd|hkd": "dollars dollar bucks $",
    "cent": "cents cent ¢",
    "eur": "eur euros euro € 欧元",
    "gbp": "gbp £ 英镑",
    "gbp|lb": "pounds pound quid",
    "lb": "lbs lb",
    "chf": "chf francs franc",
    "cny": "cny rmb yuan 人民币 元 块",
    "jpy": "jpy yen 日元",
    "cny|jpy": "¥",
    "inr": "inr rupees rupee rs ₹",
    "sek": "sek",
    "nok": "nok",
    "dkk": "dkk",
    "pln": "pln",
    "mm": "mm millimetres millimetre millimeters millimeter",
    "cm": "cm centimetres centimetre centimeters centimeter 厘米",
    "m": "m metres metre meters meter 米",
    "km": "km kilometres kilometre kilometers kilometer 公里",
    "inch": "inches inch",
    "foot": "feet foot ft",
    "yard": "yards yard yd",
    "mile": "miles mile",
    "square metre": "m² sqm",
    "mg": "mg",
    "g": "g grams gram 克",
    "kg": "kgs kg kilograms kilogram kilos kilo 公斤",
    "ounce": "ounces ounce oz",
    "ton": "tonnes tonne tons ton",
    "ml": "ml millilitres milliliters",
    "l": "l litres litre liters liter 升",
    "gallon": "gallons gallon gal",
    "kb": "kb",
    "mb": "mb megabytes megabyte",
    "gb": "gb gigabytes gigabyte",
    "tb": "tb terabytes terabyte",
    "mbps": "mbps mbit",
    "watt": "w watts watt",
    "kilowatt": "kw",
    "kwh": "kwh",
    "volt": "v volts volt",
    "mah": "mah",
    "hz": "hz",
    "celsius|fahrenheit|degree": "degrees degree °",
    "celsius": "°c",
    "fahrenheit": "°f",
    "star": "stars star",
    "person": "people persons person 人",
    "point": "points point",
}
_CANONICAL = {spelling: name for name, spellings in _WORDS.items() for spelling in spellings.split()}
CURRENCIES = frozenset("usd aud cad nzd sgd hkd cent eur gbp chf cny jpy inr sek nok dkk pln".split())
_CASED = frozenset("s h m g l w v x".split())  # one letter is a unit only in the case it is written in

_PHRASES = (
    (r"(?:business|working|work|bank)[ -]days?", "business day"),
    (r"calendar[ -]days?", "day"),
    (r"per[ ]cent", "%"),
    (r"(?:US|U\.S\.)[ ]dollars?", "usd"),
    (r"square[ ]met(?:er|re)s?", "square metre"),
    (r"degrees?[ ](?:celsius|centigrade)|°[ ]?c", "celsius"),
    (r"degrees?[ ]fahrenheit|°[ ]?f", "fahrenheit"),
)

_LATIN = sorted((s for s in _CANONICAL if s.isascii() and s[0].isalpha() and s[-1].isalpha()), key=len, reverse=True)
_OTHER = sorted((s for s in _CANONICAL if s not in _LATIN), key=len, reverse=True)
HAN_UNITS = [s for s in _OTHER if "\u4e00" <= s[0] <= "\u9fff"]
UNIT = (
    rf"(?:{'|'.join(rf'(?:{phrase})(?![A-Za-z])' for phrase, _ in _PHRASES)}|(?:{'|'.join(_LATIN)})(?![A-Za-z0-9])"
    rf"(?!(?<=[xX])\s*\d)|{'|'.join(map(re.escape, _OTHER))})"
)
CURRENCY_SIGN = (
    r"(?:US\$|A\$|C\$|[$€£¥₹]|人民币|(?<![A-Za-z])(?:USD|AUD|CAD|EUR|GBP|CHF|CNY|RMB|JPY|INR|Rs\.?|SEK|NOK|DKK|PLN))"
)
_PLURALS = {"children": "child", "kids": "kid", "men": "man", "women": "woman", "feet": "foot", "people": "person"}


def unit_name(word: str) -> str:
    """Return the canonical unit of a word or sign, "" if it is none."""
    if len(word) == 1 and word.isascii() and word.isalpha():
        return _CANONICAL.get(word, "") if word in _CASED else _CANONICAL[word.lower()] if word in "WVL" else ""
    lower = word.lower()
    if lower in _CANONICAL:
        return _CANONICAL[lower]
    return next((name for phrase, name in _PHRASES if re.fullmatch(phrase, word, re.IGNORECASE)), "")


def same_unit(one: str, other: str) -> bool:
    """Say whether two units share a reading: "$" and "USD" do, "pound" and "kg" do not."""
    return not set(one.split("|")).isdisjoint(other.split("|"))


def stem(word: str) -> str:
    """Return the singular of an English noun, as far as its ending shows."""
    lower = word.lower()
    if lower in _PLURALS:
        return _PLURALS[lower]
    if lower.endswith("ies") and len(lower) > len("dies"):
        return lower[:-3] + "y"
    if lower.endswith(("ches", "shes", "xes", "sses")):
        return lower[:-2]
    return lower[:-1] if lower.endswith("s") and not lower.endswith(("ss", "us", "is")) else lower


def units_in(text: str) -> frozenset[str]:
    """Return every reading of every unit word, sign and counted thing of a text."""
    found: set[str] = set()
    for word in re.findall(r"[A-Za-z]+|[%$€£¥₹°]", text):
        found.update((unit_name(word) or stem(word)).split("|"))
    found.update(name for phrase, name in _PHRASES if re.search(phrase, text, re.IGNORECASE))
    found.update(_CANONICAL[unit] for unit in HAN_UNITS if unit in text)
    return frozenset(found)

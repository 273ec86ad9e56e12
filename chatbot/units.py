# ruff: noqa: SIM905 - word lists are read as text
"""The names of what is measured and paid: units and currencies, each with its spellings."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
    "aud": "aud a$ au$",
    "cad": "cad c$ ca$",
    "nzd": "nzd nz$",
    "sgd": "sgd s$",
    "hkd": "hkd hk$",
    "usd|aud|cad|nzd|sgd|hkd": "dollars dollar bucks $",
    "cent": "cents cent ¢",
    "penny": "pence pennies penny",
    "eur": "eur euros euro € 欧元",
    "gbp": "gbp £ 英镑",
    "gbp|lb": "pounds pound quid",
    "lb": "lbs lb",
    "chf": "chf francs franc fr",
    "cny": "cny rmb yuan 人民币 元 块",
    "jpy": "jpy yen 日元",
    "cny|jpy": "¥",
    "inr": "inr rupees rupee rs ₹",
    "sek": "sek",
    "nok": "nok",
    "dkk": "dkk",
    "sek|nok|dkk|isk": "kroner kronor krone krona kr",
    "pln": "pln zlotych zlotys zloty zl złotych złote złoty zł",
    "czk": "czk korunas koruna kč",
    "huf": "huf forints forint",
    "ron": "ron lei leu",
    "rub": "rub roubles rouble rubles ruble ₽",
    "uah": "uah hryvnias hryvnia ₴",
    "try": "liras lira ₺",
    "ils": "ils nis shekels shekel ₪",
    "aed": "aed dirhams dirham dhs",
    "zar": "zar rands rand",
    "brl": "brl reais r$",
    "mxn|php|ars|clp|cop": "pesos peso",
    "mxn": "mxn mx$",
    "php": "php ₱",
    "krw": "krw ₩",
    "thb": "thb baht ฿",
    "vnd": "vnd ₫",
    "myr": "myr ringgit rm",
    "ngn": "ngn naira ₦",
    "twd": "twd nt$",
    "mm": "mm millimetres millimetre millimeters millimeter",
    "cm": "cm centimetres centimetre centimeters centimeter 厘米",
    "m": "m metres metre meters meter 米",
    "km": "km kilometres kilometre kilometers kilometer 公里",
    "inch": "inches inch ″",
    "foot": "feet foot ft ′",
    "yard": "yards yard yd",
    "mile": "miles mile",
    "square metre": "m² sqm",
    "square foot": "sqft",
    "cubic metre": "m³",
    "hectare": "hectares hectare ha",
    "acre": "acres acre",
    "mg": "mg",
    "g": "g grams gram 克",
    "kg": "kgs kg kilograms kilogram kilos kilo 公斤",
    "ounce": "ounces ounce oz",
    "ton": "tonnes tonne tons ton",
    "ml": "ml millilitres milliliters",
    "cl": "cl centilitres centilitre centiliters centiliter",
    "dl": "dl decilitres decilitre deciliters deciliter",
    "l": "l L litres litre liters liter 升",
    "pint": "pints pint",
    "gallon": "gallons gallon gal",
    "kb": "kb",
    "mb": "mb megabytes megabyte",
    "gb": "gb gigabytes gigabyte",
    "tb": "tb terabytes terabyte",
    "mbps": "mbps mbit",
    "kbps": "kbps kbit",
    "gbps": "gbps gbit",
    "watt": "w W watts watt",
    "kilowatt": "kw kilowatts kilowatt",
    "horsepower": "horsepower hp",
    "wh": "wh",
    "kwh": "kwh",
    "volt": "v V volts volt",
    "ampere": "A amperes ampere amps amp",
    "ma": "ma milliamps milliamp",
    "ah": "ah",
    "mah": "mah",
    "ohm": "ohms ohm Ω ω \u2126",
    "lumen": "lumens lumen lm",
    "lux": "lux lx",
    "hz": "hz hertz",
    "khz": "khz",
    "mhz": "mhz",
    "ghz": "ghz",
    "decibel": "decibels decibel db",
    "bar": "bars bar",
    "psi": "psi",
    "pascal": "pascals pascal pa",
    "hpa": "hpa",
    "kpa": "kpa",
    "calorie": "calories calorie cal",
    "kcal": "kcal",
    "celsius|fahrenheit|degree": "degrees degree °",
    "celsius": "C °c",
    "fahrenheit": "F °f",
    "kelvin": "K kelvins kelvin",
    "star": "stars star",
    "person": "people persons person 人",
    "point": "points point",
}
# A spelling of one letter is a unit only in the case it is written in here.
_CANONICAL = {spelling: name for name, spellings in _WORDS.items() for spelling in spellings.split()}
# ISO 4217. Some are words too ("all", "try"): what _WORDS does not spell is a currency in capitals only.
_CURRENCY_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP "
    "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
    "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR "
    "RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD "
    "TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG".split()
)
CURRENCIES = frozenset(code.lower() for code in _CURRENCY_CODES) | {"cent", "penny"}

_PHRASES = (
    (r"(?:business|working|work|bank)[ -]days?", "business day"),
    (r"calendar[ -]days?", "day"),
    (r"per[ ]cent", "%"),
    (r"(?:US|U\.S\.)[ ]dollars?", "usd"),
    (r"(?:square|sq\.?)[ ](?:met(?:er|re)s?|m)", "square metre"),
    (r"(?:square|sq\.?)[ ](?:feet|foot|ft)", "square foot"),
    (r"cubic[ ]met(?:er|re)s?", "cubic metre"),
    (r"(?:fluid|fl\.?)[ ](?:ounces?|oz)", "fluid ounce"),
    (r"degrees?[ ](?:celsius|centigrade)|°[ ]?c", "celsius"),
    (r"degrees?[ ]fahrenheit|°[ ]?f", "fahrenheit"),
)

_LATIN = sorted((s for s in _CANONICAL if s.isascii() and s[0].isalpha() and s[-1].isalpha()), key=len, reverse=True)
_OTHER = sorted((s for s in _CANONICAL if s not in _LATIN), key=len, reverse=True)
HAN_UNITS = [s for s in _OTHER if "\u4e00" <= s[0] <= "\u9fff"]


def _one_of(spellings: Iterable[str]) -> str:
    """Return a pattern for spellings of Latin letters; those of one letter and codes only as they are written."""
    words = [s for s in spellings if len(s) > 1]
    cased = [s for s in spellings if len(s) == 1] + _CURRENCY_CODES
    return rf"(?:{'|'.join(words)}|(?-i:{'|'.join(cased)}))(?![A-Za-z0-9\u00c0-\u024f])(?!(?<=[xX])\s*\d)"


def _paid(spellings: Iterable[str]) -> list[str]:
    return [s for s in spellings if not CURRENCIES.isdisjoint(_CANONICAL[s].split("|"))]


UNIT = (
    rf"(?:{'|'.join(rf'(?:{phrase})(?![A-Za-z])' for phrase, _ in _PHRASES)}|{_one_of(_LATIN)}"
    rf"|{'|'.join(map(re.escape, _OTHER))})"
)
CURRENCY = rf"(?:{_one_of(_paid(_LATIN))}|{'|'.join(map(re.escape, _paid(_OTHER)))})"
SIGNS = r"$£¥฿\u20a0-\u20cf"  # for a class of characters; what ends it is the block of currency signs
CURRENCY_SIGN = (
    rf"(?:(?<![A-Za-z])(?-i:[A-Z]{{1,3}})\$|[{SIGNS}]|人民币|(?<![A-Za-z])(?:Rs\.?|Fr\.?|kr\.?|RM|RMB|zł|zl|Kč"
    rf"|{'|'.join(code for code in _CURRENCY_CODES if code.lower() in _CANONICAL)}"
    rf"|(?-i:{'|'.join(_CURRENCY_CODES)})))(?![A-Za-z])"
)
_PLURALS = {"children": "child", "kids": "kid", "men": "man", "women": "woman", "feet": "foot", "people": "person"}


def unit_name(word: str) -> str:
    """Return the canonical unit of a word or sign, "" if it is none."""
    spelling = word if len(word) == 1 else word.lower()
    if spelling in _CANONICAL:
        return _CANONICAL[spelling]
    if word in _CURRENCY_CODES:
        return word.lower()
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
    # No unit are the letters of "it's" and "I'm", and the first one of "A lamp".
    for word in re.findall(rf"(?<!['’])(?!A\b)[^\W\d_\u4e00-\u9fff]+|[%°{SIGNS}]", text):
        found.update((unit_name(word) or stem(word)).split("|"))
    found.update(name for phrase, name in _PHRASES if re.search(phrase, text, re.IGNORECASE))
    found.update(_CANONICAL[unit] for unit in HAN_UNITS if unit in text)
    return frozenset(found)

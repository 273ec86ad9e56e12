"""What presidio looks for in a text: its own recognizers, told more about issuers, small letters and unspaced scripts.

No language model and no download: the analyzer runs with presidio's no-op engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_WORD = r"\p{Latin}\p{Cyrillic}\p{Greek}\p{Nd}"
# Presidio's own pattern takes every letter before the @, in a text without spaces the whole sentence.
_EMAIL = (
    rf"(?<![{_WORD}])[{_WORD}!#$%&'*+/=?^_`{{|}}~.-]{{0,63}}[{_WORD}_+-]@"
    rf"(?:[{_WORD}](?:[{_WORD}-]{{0,61}}[{_WORD}])?\.){{1,8}}(?:xn--[a-z0-9-]+|[\p{{Latin}}\p{{Cyrillic}}\p{{Greek}}]{{2,}})"
)
_BETWEEN = r"[ .\-\u00a0\u00ad\u2007\u2009-\u2015\u202f]"  # blanks, dots, dashes: how people part groups of digits
_DIGIT_GROUPS = re.compile(rf"\d+(?:{_BETWEEN}{{1,2}}\d+)*")
_IBAN = re.compile(rf"(?<![A-Z0-9])[A-Z]{{2}}\d{{2}}(?:{_BETWEEN}?[A-Z0-9]){{11,30}}", re.IGNORECASE)
_SHORTEST_IBAN = 15
_CARD_GROUP = 4
_LONGEST_CARD = 19
# First digits and lengths by issuer (ISO/IEC 7812): Visa, Mastercard, American Express, Discover, JCB, Diners,
# UnionPay, Maestro. With the check digit they leave few other numbers.
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-59]|[689]\d)\d{11}|62\d{14,17}"
    r"|(?:50|5[6-8]|6[37])\d{10,17}"
)


def make_analyzer(regions: Sequence[str]) -> Any:
    """Return a presidio `AnalyzerEngine` whose results are of the types email, account, card, phone, possible_phone.

    A phone is held by a numbering plan; a possible phone merely has the length of one.

    Args:
        regions: two-letter codes of the regions in which numbers without a country code are looked for.
    """
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry, RecognizerResult
    from presidio_analyzer.nlp_engine import NoOpNlpEngine
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, IbanRecognizer, PhoneRecognizer

    class CardRecognizer(CreditCardRecognizer):  # type: ignore[misc]  # presidio has no types
        def analyze(self, text: str, *_: object, **__: object) -> list[Any]:
            return [
                RecognizerResult("card", start, end, 1.0)
                for groups in _DIGIT_GROUPS.finditer(text)
                for start, end in _cards(groups, self.validate_result)
            ]

    class AccountRecognizer(IbanRecognizer):  # type: ignore[misc]  # presidio has no types
        def analyze(self, text: str, *_: object, **__: object) -> list[Any]:
            spans = _accounts(text, self.validate_result)
            return [RecognizerResult("account", start, end, 1.0) for start, end in spans]

    recognizers = [
        PatternRecognizer("email", patterns=[Pattern("email", _EMAIL, 1.0)]),
        AccountRecognizer(supported_entity="account"),
        CardRecognizer(supported_entity="card"),
        PhoneRecognizer(supported_entity="phone", supported_regions=tuple(regions), leniency=1),
        PhoneRecognizer(supported_entity="possible_phone", supported_regions=tuple(regions), leniency=0),
    ]
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=["en"]),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}]),
        supported_languages=["en"],
    )


def _cards(groups: re.Match[str], is_valid: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Yield the spans of card numbers in digits that stand in groups; a date or a code may stand beside them."""
    text, offset = groups.group(), groups.start()
    spans = [match.span() for match in re.finditer(r"\d+", text)]
    first = 0
    while first < len(spans):
        # People write a card in one piece or in groups of at least four; only the last may be shorter.
        last = first
        digits = spans[first][1] - spans[first][0]
        while last + 1 < len(spans) and spans[last][1] - spans[last][0] >= _CARD_GROUP and digits < _LONGEST_CARD:
            last += 1
            digits += spans[last][1] - spans[last][0]
        while last >= first and not _is_card(text[spans[first][0] : spans[last][1]], is_valid):
            last -= 1
        if last >= first:
            yield offset + spans[first][0], offset + spans[last][1]
        first = max(first, last) + 1


def _is_card(text: str, is_valid: Callable[[str], bool]) -> bool:
    digits = "".join(str(int(character)) for character in text if character.isdecimal())
    return bool(_ISSUERS.fullmatch(digits)) and is_valid(digits)


def _accounts(text: str, is_valid: Callable[[str], bool | None]) -> Iterator[tuple[int, int]]:
    """Yield the spans of IBANs; words may stand behind them, as they are spelt with spaces."""
    position = 0
    while candidate := _IBAN.search(text, position):
        start, end = candidate.span()
        while end - start >= _SHORTEST_IBAN and (
            text[end : end + 1].isalnum() or not is_valid(re.sub(_BETWEEN, "", text[start:end]).upper())
        ):
            end -= 1
        found = end - start >= _SHORTEST_IBAN
        if found:
            yield start, end
        position = end if found else start + 1

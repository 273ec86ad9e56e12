"""Personal data in transcripts, replaced before anything is kept: e-mail, phone, card and account numbers.

Card and account numbers are told by their check digits, phone numbers by the national numbering plans and the
words around them: a number that a person calls an order, an invoice or an account number stays as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from chatbot.types import Entity, Message
from finetune.records import Transcript

PLACEHOLDERS = {"email": "<email>", "account": "<account>", "card": "<card>", "phone": "<phone>"}
"""What stands in a text for each kind; where finds overlap, the kind named first wins."""

REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "IN", "CN", "BR")
"""Where a phone number without a country code may belong."""

_SEVEN_DIGITS = re.compile(r"(?:\d\D*?){7}", re.DOTALL)
_PHONE_WORDS = re.compile(
    r"(?:tele|smart|cell)?(?:ph(?:o|no)ne|phnoe)|\b(?:tel|mobile|cell|call|fax|whatsapp|sms|hotline|ring|dial"
    r"|contact (?:no|number)|handy|telefon\w*|rufnummer|t[ée]l[ée]phone|portable|tel[ée]fono|m[óo]vil|celular"
    r"|telefone)\b"
    r"|电话|手机|致电|拨打|联系方式|座机|热线|電話|手機",
    re.IGNORECASE,
)
_REFERENCE_WORDS = re.compile(
    r"\b(?:ord\w*|purchas\w*|cancel\w*|invoices?|bills?|bookings?|reservations?|confirmation|polic(?:y|ies)|claims?|accounts?"
    r"|acct|tickets?|tracking|parcels?|shipments?|packages?|references?|ref|case|serial|models?|sku|items?|products?"
    r"|isbn|zip|postcode|code|pin|id|customer (?:no|number)|transactions?|dates?|born|birthday|dob"
    r"|bestell\w*|rechnung\w*|auftrag\w*|kunden\w*|sendung\w*|commande|facture|colis|pedido|factura|encomenda)\b"
    r"|订单|单号|编号|发票|运单|快递|账号|帐号|卡号|訂單|單號|帳號",
    re.IGNORECASE,
)
_DATE_OR_AMOUNT = re.compile(
    r"(?:19|20)\d\d[-./ ]?(?:0[1-9]|1[0-2])[-./ ]?(?:0[1-9]|[12]\d|3[01])(?!\d)|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}"
    r"|\d{1,3}(?:\.\d{3})+"
)
_CURRENCY = r"(?:[$€£¥₹]|\b(?:usd|eur|gbp|inr|rs|dollars?|euros?)\b|元)"
_AMOUNT_BEFORE = re.compile(_CURRENCY + r"\s?$", re.IGNORECASE)
_AMOUNT_BEHIND = re.compile(r"\s?" + _CURRENCY, re.IGNORECASE)
_CONTEXT_CHARACTERS = 40
_MIN_DIGITS = 7
_COUNTRY_CODE_DIGITS = 3
_MIN_UNNAMED_DIGITS = 10  # shorter runs of bare digits are dates, codes and prices as often as phone numbers


@dataclass(frozen=True, slots=True, order=True)
class Find:
    """Personal data at `[start, end)` of a text, in code points; `kind` is a key of PLACEHOLDERS."""

    start: int
    end: int
    kind: str


class Redactor:
    """Replaces personal data in transcripts; `counts` says how much of each kind it has replaced.

    Args:
        keep: what may stay, as it stands in the company's own texts (see `company_details`); phone numbers and
            accounts are compared without spaces and punctuation, phone numbers also without a country code.
    """

    def __init__(self, keep: frozenset[str] = frozenset()) -> None:
        from finetune.recognizers import make_analyzer

        self.counts: Counter[str] = Counter()
        self._analyzer = make_analyzer(REGIONS)
        self._keep = {text.strip().casefold() for text in keep}
        self._keep_digits = {digits for text in keep if "@" not in text and len(digits := _digits(text)) >= _MIN_DIGITS}

    def redact(self, transcript: Transcript) -> Transcript:
        """Return the transcript without personal data; spans of entities move with their text."""
        messages: list[Message] = []
        said_before = ""
        for message in transcript.messages:
            messages.append(self._redact_message(message, said_before))
            said_before = message.content
        return replace(transcript, messages=tuple(messages), tags=tuple(map(self.redact_text, transcript.tags)))

    def redact_text(self, text: str, said_before: str = "") -> str:
        """Return `text` without personal data; `said_before` is the message before it, which tells what is meant."""
        return _replaced(text, self._counted(self.find(text, said_before)))

    def find(self, text: str, said_before: str = "") -> list[Find]:
        """Return what would be replaced in `text`, in order, without overlaps."""
        if "@" not in text and not _SEVEN_DIGITS.search(text):
            return []
        finds = []
        for result in self._analyzer.analyze(text, language="en"):
            kind = result.entity_type.removeprefix("possible_")
            find = Find(result.start, result.end, kind)
            if kind != "phone" or _is_phone(text, find, result.entity_type == "phone", said_before):
                finds.append(find)
        return [find for find in _without_overlaps(finds) if not self._is_kept(text[find.start : find.end])]

    def _is_kept(self, found: str) -> bool:
        if found.casefold() in self._keep:
            return True
        digits = _digits(found)
        return len(digits) >= _MIN_DIGITS and any(_same_number(digits, own) for own in self._keep_digits)

    def _counted(self, finds: list[Find]) -> list[Find]:
        self.counts.update(find.kind for find in finds)
        return finds

    def _redact_message(self, message: Message, said_before: str) -> Message:
        finds = self._counted(self.find(message.content, said_before))
        if not finds:
            return message
        content = _replaced(message.content, finds)
        moved = (_moved(entity, content, finds) for entity in message.entities)
        return replace(message, content=content, entities=tuple(entity for entity in moved if entity))


def kept_id(identity: str) -> str:
    """Return the id of a conversation as it is written down: an e-mail address or a telephone number as its hash."""
    if "@" in identity or identity.startswith("+"):
        return hashlib.sha256(identity.encode()).hexdigest()[:16]
    return identity


def company_details(texts: Iterable[str]) -> frozenset[str]:
    """Return the contact details in a company's own texts (entries, settings), for `Redactor(keep=...)`."""
    redactor = Redactor()
    return frozenset(text[find.start : find.end] for text in texts for find in redactor.find(text))


def _is_phone(text: str, find: Find, is_valid: bool, said_before: str) -> bool:
    """Say whether a number is meant as a phone number; `is_valid` says that a numbering plan holds it."""
    found = text[find.start : find.end]
    if found.startswith(("+", "00")) and is_valid:
        return True
    if sum(character.isdecimal() for character in found) < _MIN_DIGITS:
        return False
    is_amount = _AMOUNT_BEFORE.search(text, max(0, find.start - 10), find.start) or _AMOUNT_BEHIND.match(text, find.end)
    if is_amount or _DATE_OR_AMOUNT.fullmatch(found):
        return False
    meant = _what_is_meant(text, find, said_before)
    if meant:
        return meant == "phone"
    is_bare = found.isdecimal()
    return is_valid and (not is_bare or len(found) >= _MIN_UNNAMED_DIGITS)


def _what_is_meant(text: str, find: Find, said_before: str) -> str:
    """Return "phone", "reference" or "": by the nearest word before the number, else behind it, else said before."""
    before = text[max(0, find.start - _CONTEXT_CHARACTERS) : find.start]
    behind = text[find.end : find.end + _CONTEXT_CHARACTERS // 2]
    for context, last in ((before, True), (behind, False), (said_before[-4 * _CONTEXT_CHARACTERS :], True)):
        ends = {
            name: [match.end() for match in words.finditer(context)]
            for name, words in (("phone", _PHONE_WORDS), ("reference", _REFERENCE_WORDS))
        }
        named = {name: (max(places) if last else -min(places)) for name, places in ends.items() if places}
        if named:
            return max(named, key=lambda name: named[name])
    return ""


def _without_overlaps(finds: list[Find]) -> list[Find]:
    """Join finds that overlap into one, of the kind that PLACEHOLDERS names first."""
    rank = {kind: position for position, kind in enumerate(PLACEHOLDERS)}
    joined: list[Find] = []
    for find in sorted(finds):
        if joined and find.start < joined[-1].end:
            last = joined[-1]
            kind = min(last.kind, find.kind, key=lambda name: rank[name])
            joined[-1] = Find(last.start, max(last.end, find.end), kind)
        else:
            joined.append(find)
    return joined


def _replaced(text: str, finds: Sequence[Find]) -> str:
    parts, position = [], 0
    for find in finds:
        parts += [text[position : find.start], PLACEHOLDERS[find.kind]]
        position = find.end
    return "".join([*parts, text[position:]])


def _moved(entity: Entity, content: str, finds: Sequence[Find]) -> Entity | None:
    """Return the entity in the redacted `content`, or None where it was, or touched, what is gone."""
    start, end = entity.start, entity.end
    for find in reversed(finds):
        growth = len(PLACEHOLDERS[find.kind]) - (find.end - find.start)
        if find.end <= entity.start:
            start, end = start + growth, end + growth
        elif find.start < entity.end:
            if not (
                entity.start <= find.start
                and find.end <= entity.end
                and entity.end - entity.start > find.end - find.start
            ):
                return None
            end += growth
    return Entity(entity.type, content[start:end], start, end)


def _same_number(one: str, other: str) -> bool:
    """Say whether two runs of digits are one number, written with or without its country code."""
    short, long = sorted((one, other), key=len)
    return long.endswith(short) and len(long) - len(short) <= _COUNTRY_CODE_DIGITS


def _digits(text: str) -> str:
    digits = "".join(character for character in text if character.isdecimal())
    return digits.lstrip("0")

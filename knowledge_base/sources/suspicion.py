"""Text that speaks to the model instead of the reader: instructions, marks of roles, characters nobody sees.

What is found is a warning for whoever keeps the sources. It stops nothing: a shop may well explain "ignore previous
letters", and what the bot may do does not hang on what its sources say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_TARGETS = r"(?:instructions?|prompts?|messages?|rules|directions|directives|guidelines|context)"
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
    for reason, pattern in (
        (
            "words that instruct a model",
            r"\b(?:ignore|disregard|forget|override|bypass)\s+(?:\w+\s+){0,3}?"
            rf"(?:previous|prior|above|earlier|preceding|foregoing|existing|system|your)\s+(?:\w+\s+){{0,2}}?{_TARGETS}\b",
        ),
        ("words that instruct a model", r"\b(?:reveal|repeat|print|show|output)\s+(?:\w+\s+){0,2}?system\s+prompt\b"),
        ("words that instruct a model", r"\byou are (?:now|no longer) (?:an?|the|in|bound)\b"),
        ("words that instruct a model", r"\bnew (?:system )?instructions?:"),
        ("words that instruct a model", r"(?:忽略|无视|忘记|忽視|無視).{0,6}(?:之前|以上|前面|先前|上述|所有|系统).{0,6}(?:指令|指示|提示|规则|命令|說明)"),
        ("words that instruct a model", r"\bignorier\w*\s+(?:\w+\s+){0,2}?(?:vorherigen|bisherigen|obigen)\s+(?:anweisungen|instruktionen)\b"),
        ("words that instruct a model", r"\bignore[sz]?\s+(?:\w+\s+){0,2}?(?:instructions|consignes)\s+(?:précédentes|ci-dessus)\b"),
        ("words that instruct a model", r"\b(?:ignora|ignore)\s+(?:\w+\s+){0,2}?instrucciones\s+(?:anteriores|previas)\b"),
        ("a mark of a role", r"<\|[a-z_]{2,24}\|>|\[/?INST\]|<</?SYS>>|</?(?:system|assistant)>"),
        ("a mark of a role", r"^[^\S\n]*(?:#{1,6}[^\S\n]*)?(?:system|assistant|developer)(?:\s+(?:message|prompt))?\s*:"),
    )
)  # fmt: skip
# Tags, zero-width spaces and joins, and marks that turn the direction. ZWJ, ZWNJ and the plain direction marks are
# letters of some scripts and stay.
HIDDEN = re.compile(
    "[\u180e\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
    "|(?<=[A-Za-z])[\u200c\u200d](?=[A-Za-z])"
)
FLAG = re.compile(
    "\U0001f3f4[\U000e0020-\U000e007f]+"
)  # the flags of England, Scotland and Wales are written with tags
LONGEST = 200_000  # characters looked at in one piece


def suspicions(text: str) -> Iterator[tuple[int, str]]:
    """Yield (0-based line, what was found) for each kind of suspicious text, once a kind, hidden characters undone."""
    seen: set[str] = set()
    hidden = HIDDEN.search(FLAG.sub("", text))
    if hidden:
        name = unicodedata.name(hidden.group()[0], f"U+{ord(hidden.group()[0]):04X}")
        line = next(i for i, part in enumerate(text.split("\n")) if HIDDEN.search(FLAG.sub("", part)))
        yield line, f"characters that nobody sees ({name})"
    plain = unicodedata.normalize("NFKC", HIDDEN.sub("", text))[:LONGEST]
    for reason, pattern in PATTERNS:
        match = pattern.search(plain)
        if match and reason not in seen:
            seen.add(reason)
            yield plain.count("\n", 0, match.start()), f"{reason} ({' '.join(match.group().split())[:60]!r})"


def without_hidden(text: str) -> str:
    """Return text without the characters that nobody sees, but for those that scripts and flags need."""
    parts = []
    end = 0
    for flag in FLAG.finditer(text):
        parts += [HIDDEN.sub("", text[end : flag.start()]), flag.group()]
        end = flag.end()
    return "".join([*parts, HIDDEN.sub("", text[end:])])

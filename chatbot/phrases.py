"""The few sentences that are ours and not the company's, by language; English where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PHRASES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "which": "I want to be sure I understand. Do you mean one of these?",
        "none_of_these": "None of these",
        "nothing_fits": "I don't have an answer to that.",
        "none_picked": "Then I don't have an answer to that.",
        "out_of_scope": "That is not something I can help with.",
        "person_wanted": "A person can help you with this.",
        "model_failed": "Something went wrong on our side while answering.",
        "small_talk": "How can I help you?",
    },
    "zh": {
        "which": "为了确认我的理解，您指的是以下哪一项？",
        "none_of_these": "都不是",
        "nothing_fits": "这个问题我没有答案。",
        "none_picked": "那么这个问题我没有答案。",
        "out_of_scope": "这不是我能帮忙的事情。",
        "person_wanted": "这件事可以由工作人员为您处理。",
        "model_failed": "回答时我们这边出了问题。",
        "small_talk": "请问有什么可以帮您？",
    },
}

# What customers say instead of pressing a button, without case and punctuation: which place they pick, or that they pick none.
_BEFORE = r"(?:(?:yes|ok|no|i mean|i meant|it is|it s|that s|the|option|number|question) )*"
_BEHIND = r"(?: (?:one|option|question|please|thanks))*"
PLACE_PICKED = (
    rf"{_BEFORE}(?:1|1st|first|former){_BEHIND}|(?:我[指说要选]的是|是|选)?(?:第[一1][个项条]?|[一1])",
    rf"{_BEFORE}(?:2|2nd|second|latter){_BEHIND}|(?:我[指说要选]的是|是|选)?(?:第[二2][个项条]?|[二2])",
)
NONE_PICKED = r"no|nope|(?:no |nope )?(?:none|neither)(?: (?:one|of (?:these|those|them|the two)))?|都?不是"


def phrase(name: str, languages: Sequence[str]) -> str:
    """Return a sentence in the first of the languages that has it."""
    language = next((code for code in languages if code in PHRASES), "en")
    return PHRASES[language][name]

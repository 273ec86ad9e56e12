"""The few sentences that are ours and not the company's, by language; English where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PHRASES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "which": "I want to be sure I understand. Do you mean one of these?",
        "nothing_fits": "I don't have an answer to that.",
        "out_of_scope": "That is not something I can help with.",
        "person_wanted": "A person can help you with this.",
        "model_failed": "Something went wrong on our side while answering.",
        "small_talk": "How can I help you?",
    },
    "zh": {
        "which": "为了确认我的理解，您指的是以下哪一项？",
        "nothing_fits": "这个问题我没有答案。",
        "out_of_scope": "这不是我能帮忙的事情。",
        "person_wanted": "这件事可以由工作人员为您处理。",
        "model_failed": "回答时我们这边出了问题。",
        "small_talk": "请问有什么可以帮您？",
    },
}


def phrase(name: str, languages: Sequence[str]) -> str:
    """Return a sentence in the first of the languages that has it."""
    language = next((code for code in languages if code in PHRASES), "en")
    return PHRASES[language][name]

"""Readings of a message that are offered as buttons, and which of them the next message picks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chatbot.phrases import NONE_PICKED, PLACE_PICKED, phrase
from chatbot.types import Option
from knowledge_base.entry import Entry

if TYPE_CHECKING:
    from chatbot.config import Settings

NONE = ""  # picked instead of an entry's id where no reading is meant
OPENING_WORDS = 8


def offered(entries: Sequence[Entry], settings: Settings) -> tuple[Option, ...]:
    """Return the likeliest entries as buttons, one a place that can be picked by its number, and one for none of them.

    A button has the title of the intent that its entry is set to answer, else the entry's own; entries of the same title, as
    the parts of a long passage, or of none that has letters are told apart by how they begin.
    """
    likeliest = entries[: len(PLACE_PICKED)]
    titles = [entry.title for entry in likeliest]
    if len({_plain(title) for title in titles} - {""}) < len(titles):
        titles = [f"{place}. {entry.title}: {_opening(entry)}" for place, entry in enumerate(likeliest, 1)]
    none = phrase("none_of_these", settings.languages)
    readings = (
        Option(_intent_title(entry, settings) or title, title, entry.id)
        for entry, title in zip(likeliest, titles, strict=True)
    )
    return (*readings, Option(none, none, NONE))


def picked(options: Sequence[Option], message: str) -> str | None:
    """Return which entry a message picks among those that the reply before it offered.

    A reading is picked by its button, by the same words or by its place ("the second one").

    Returns:
        The entry's id; NONE where none of them is meant; None where the message says something else.
    """
    for option in options:
        if message.strip() == option.value:
            return option.entry_id
    said = _plain(message)
    meant = [option for option in options if said and said in (_plain(option.value), _plain(option.label))]
    if len(meant) == 1:  # "plan A" and "plan A+" are the same words
        return meant[0].entry_id
    readings = [option for option in options if option.entry_id]
    for option, pattern in zip(readings, PLACE_PICKED, strict=False):
        if re.fullmatch(pattern, said):
            return option.entry_id
    return NONE if readings and re.fullmatch(NONE_PICKED, said) else None


def _intent_title(entry: Entry, settings: Settings) -> str:
    """Return the title of the intent that an entry is set to answer, in the first language that has one; "" without."""
    titles = next((intent.title for intent in settings.intents.values() if intent.entry == entry.id), {})
    return next((titles[language] for language in settings.languages if language in titles), "")


def _opening(entry: Entry) -> str:
    words = entry.answer.split()
    return " ".join(words[:OPENING_WORDS]) + ("…" if len(words) > OPENING_WORDS else "")


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))

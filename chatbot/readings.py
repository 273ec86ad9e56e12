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


def offered(entries: Sequence[Entry], settings: Settings) -> tuple[Option, ...]:
    """Return the likeliest entries as buttons, one a place that can be picked by its number, and one for none of them."""
    none = phrase("none_of_these", settings.languages)
    return (*(_reading(entry, settings) for entry in entries[: len(PLACE_PICKED)]), Option(none, none, NONE))


def picked(options: Sequence[Option], message: str) -> str | None:
    """Return which entry a message picks among those that the reply before it offered.

    A reading is picked by its button, by the same words or by its place ("the second one").

    Returns:
        The entry's id; NONE where none of them is meant; None where the message says something else.
    """
    said = _plain(message)
    readings = [option for option in options if option.entry_id]
    for option in options:
        if said and said in (_plain(option.value), _plain(option.label)):
            return option.entry_id
    for option, pattern in zip(readings, PLACE_PICKED, strict=False):
        if re.fullmatch(pattern, said):
            return option.entry_id
    return NONE if readings and re.fullmatch(NONE_PICKED, said) else None


def _reading(entry: Entry, settings: Settings) -> Option:
    """Return an entry as a button: the title of the intent that it is set to answer, else its own."""
    intent = settings.intents.get(entry.intent)
    titles = intent.title if intent and intent.entry == entry.id else {}
    label = next((titles[language] for language in settings.languages if language in titles), entry.title)
    return Option(label, entry.title, entry.id)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))

"""What a converter gives: a document as Markdown, or the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LITERAL = "\ufdd0"  # before text that looks like Markdown, until it is cut; Unicode keeps this code point out of texts
FENCE = "```|~~~"


class UnreadableError(ValueError):
    """A file, or a part of it, cannot be used; the message says what was expected, what came and what to do.

    `place` is where in the file ("page 3"), empty for the whole of it.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.place = place


class UnrecognisedError(UnreadableError):
    """The file is whole, but of a kind that holds no knowledge that we can read."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document as Markdown. An empty string means "not given".

    Args:
        title: stands over text before the first heading, and with `over_all` over every heading.
        markdown: the whole text.
        over_all: whether the title is the first part of every heading path.
        url: its address for readers.
        language: ISO 639-1.
        category: where it belongs.
        updated_at: ISO 8601.
        visibility: `public` or `internal`.
        key: names the document where its file holds several, and wherever that file lies.
        part: what is added to its file's name to name it.
        place: where it is in its file, for people ("article 4711").
        pages: the first line of each page, 1-based, where it has pages.
    """

    title: str
    markdown: str
    over_all: bool = False
    url: str = ""
    language: str = ""
    category: str = ""
    updated_at: str = ""
    visibility: str = "public"
    key: str = ""
    part: str = ""
    place: str = ""
    pages: tuple[int, ...] = ()


def literal(text: str, marks: str = f"#|{FENCE}") -> str:
    """Mark the lines of a text that begin with Markdown's `marks`, so that they are not taken for it."""
    return re.sub(rf"^([ \t]*)(?={marks})", rf"\g<1>{LITERAL}", text, flags=re.MULTILINE)


@contextmanager
def damage_of(what: str, place: str = "") -> Iterator[None]:
    """Name whatever a library raises on a damaged file as damage; what it raises has no end of kinds.

    Raises:
        UnreadableError: instead of any exception but those that say that the process itself is at its limit.
    """
    try:
        yield
    except (UnreadableError, MemoryError, RecursionError):
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:160] or type(error).__name__
        raise UnreadableError(f"expected {what}, got one that cannot be read ({words}). Is it whole?", place) from error

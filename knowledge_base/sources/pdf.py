"""PDF by pypdf: the text of its pages as paragraphs, its outline as headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from io import BytesIO
from typing import TYPE_CHECKING, Any

from knowledge_base.sources import limits
from knowledge_base.sources.document import Document, UnreadableError, damage_of, literal

if TYPE_CHECKING:
    from pypdf import PdfReader

SENTENCE_END = re.compile(r"[.!?:;。！？：；][\"'”’)\]]?$")
BULLET = re.compile(r"^[•▪◦●■‣⁃·–*-]\s+")
NUMBERED = re.compile(r"^\(?\d{1,3}[.)]\s")
RULE = re.compile(r"^[-=_*~\s]+$")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
NO_TITLE = re.compile(r"^$|^untitled|^microsoft |\.(docx?|indd|pdf|rtf|odt|pages|xlsx?|pptx?|tex|qxp)$", re.IGNORECASE)
NUMBER = re.compile(r"\d+")
IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
TOP, BOTTOM = (0, 1), (-1, -2)  # lines of a page among which running heads and page numbers are, from the edge inwards
DIGITS = 4  # of a page number at most
FULL = 0.7  # of the usual length: a line this long goes on in the next one
ENDED = 0.9  # of the usual length: where a sentence ends in a shorter line, its author ended the line
OFTEN = 3  # pages, or half of them if that is more: what repeats at the edge of as many is a running head
SHORT = 40  # characters: no column of text is narrower, so that a shorter line ends where its author ended it


def markdown(data: bytes) -> Document:
    """Convert a PDF.

    Raises:
        UnreadableError: it is not one, damaged, protected, too large, or has no text.
    """
    if b"%PDF-" not in data[:1024]:
        raise UnreadableError("expected a PDF, got a file that does not begin as one.")
    from pypdf import PdfReader

    with damage_of("a PDF"):
        reader = PdfReader(BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("expected a PDF without a password, got a protected one. Save it without.")
        count = len(reader.pages)
        if count > limits.PAGES:
            raise UnreadableError(f"expected at most {limits.PAGES} pages, got {count:,}. Divide it.")
        pages = list(_pages(reader))
        outline = _outline(reader)
        title = CONTROL.sub("", str(reader.metadata.title or "") if reader.metadata else "").strip()
    if not any(pages):
        raise UnreadableError("expected text, got pages without any. Are they pictures? Recognise their text first.")
    text, starts = _join(_without_running_heads(pages), outline)
    return Document("" if NO_TITLE.search(title) else title, text, over_all=True, pages=tuple(starts))


def _pages(reader: PdfReader) -> Iterator[list[str]]:
    """Yield the lines of each page; a page that cannot be read refuses the whole, for a half is no document."""
    room = limits.CHARACTERS
    for number, page in enumerate(reader.pages, start=1):
        with damage_of("a PDF", f"page {number}"):
            text = page.extract_text()
        room -= len(text)
        if room < 0:
            raise UnreadableError(f"expected at most {limits.CHARACTERS:,} characters, got more.", f"page {number}")
        lines = (" ".join(CONTROL.sub("", line).split()) for line in text.splitlines())
        yield [line for line in lines if not RULE.match(line)]


def _outline(reader: PdfReader) -> dict[int, list[tuple[int, str]]]:
    """Return the headings of each page, by its index, as (level, title); none where the outline is damaged."""
    found: dict[int, list[tuple[int, str]]] = {}
    pending: list[tuple[int, Any]] = []
    try:
        pending.append((1, reader.outline))
        while pending:
            level, item = pending.pop()
            if isinstance(item, list):
                pending.extend((level + isinstance(part, list), part) for part in reversed(item))
                continue
            title, page = " ".join(CONTROL.sub("", str(item.title)).split()), reader.get_destination_page_number(item)
            if title and page is not None and page >= 0:
                found.setdefault(page, []).append((min(level, 6), title))
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 (pypdf raises what it likes; the text without its outline is worth having)
        return {}
    return found


def _without_running_heads(pages: list[list[str]]) -> list[list[str]]:
    """Drop at the edges of pages what stands in the same place of most of them, and what counts them.

    What repeats behind a line of text is text too: the sentence that every sheet of a product has in common.
    """
    counts = Counter(
        (place, look)
        for index, lines in enumerate(pages)
        for place in (*TOP, *BOTTOM)
        if -len(lines) <= place < len(lines)
        for look in _looks(lines[place], index)
    )
    often = max(OFTEN, len(pages) // 2)
    heads = {head for head, count in counts.items() if count >= often}
    return [
        lines[_heads(lines, index, TOP, heads) : len(lines) - _heads(lines, index, BOTTOM, heads)]
        for index, lines in enumerate(pages)
    ]


def _heads(lines: Sequence[str], index: int, places: Sequence[int], heads: Set[tuple[int, str]]) -> int:
    """Return how many lines from an edge inwards are running heads."""
    for count, place in enumerate(places[: len(lines)]):
        if heads.isdisjoint((place, look) for look in _looks(lines[place], index)):
            return count
    return len(places)


def _looks(line: str, index: int) -> set[str]:
    """Return what a line has in common with running heads: itself, and for each number how far it is from the page's.

    Prices and names of products change from page to page too, but only a page number advances with the pages.
    """
    shape = NUMBER.sub("0", line)
    numbers = (number.group() for number in NUMBER.finditer(line))
    distances = {f"{shape}\n{i}\n{int(n) - index}" for i, n in enumerate(numbers) if len(n) <= DIGITS}
    return {line} | distances


def _join(pages: list[list[str]], outline: dict[int, list[tuple[int, str]]]) -> tuple[str, list[int]]:
    """Join lines to paragraphs, also over the ends of pages; returns the text and the first line of each page."""
    lengths = sorted(len(line) for lines in pages for line in lines)
    usual = lengths[len(lengths) * 9 // 10] if lengths else 0
    out: list[str] = []  # lines of Markdown; "" parts blocks
    starts: list[int] = []
    last = ""  # the line before as it came; empty behind a heading
    for index, lines in enumerate(pages):
        headings = {title.casefold(): (level, title) for level, title in outline.get(index, [])}
        unseen = [h for key, h in headings.items() if key not in {line.casefold() for line in lines}]
        starts.append(len(out) + 1)
        for level, title in unseen:
            out += ["", f"{'#' * level} {title}", ""]
            last = ""
        for line in lines:
            heading = headings.pop(line.casefold(), None)
            if heading:
                out += ["", f"{'#' * heading[0]} {heading[1]}", ""]
                last = ""
                continue
            _append(out, last, line, usual)
            last = line
    return "\n".join(out), starts


def _append(out: list[str], last: str, line: str, usual: int) -> None:
    text = literal(BULLET.sub("- ", line))
    begins = text.startswith("- ") or NUMBERED.match(text)
    ended = SENTENCE_END.search(last) and len(last) < ENDED * usual
    if last and not begins and not ended and len(last) >= max(SHORT, FULL * usual):
        if last.endswith("-") and last[-2:-1].isalpha() and text[:1].islower():
            out[-1] = out[-1][:-1] + text
        else:
            joint = "" if IDEOGRAPH.match(last[-1]) and IDEOGRAPH.match(text[:1]) else " "
            out[-1] += joint + text
        return
    if last and not begins and (SENTENCE_END.search(last) or not out[-1]):
        out.append("")
    out.append(text)

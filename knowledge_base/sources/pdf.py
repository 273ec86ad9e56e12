"""PDF by pypdf: the text of its pages as paragraphs, its outline as headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from knowledge_base.sources import limits
from knowledge_base.sources.document import Document, UnreadableError, damage_of

if TYPE_CHECKING:
    from pypdf import PdfReader

SENTENCE_END = re.compile(r"[.!?:;。！？：；][\"'”’)\]]?$")
BULLET = re.compile(r"^[•▪◦●■‣⁃·–*-]\s+")
NUMBERED = re.compile(r"^\(?\d{1,3}[.)]\s")
RULE = re.compile(r"^[-=_*~\s]+$")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
NO_TITLE = re.compile(r"^$|^untitled|^microsoft |\.(docx?|indd|pdf|rtf|odt|pages|xlsx?|pptx?|tex|qxp)$", re.IGNORECASE)
IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
EDGE = 2  # lines at the top and the bottom of a page among which running heads and page numbers are
FULL = 0.7  # of the usual length: a line this long goes on in the next one
ENDED = 0.9  # of the usual length: where a sentence ends in a shorter line, its author ended the line
OFTEN = 3  # pages, or half of them if that is more: what stands at the edge of as many is a running head
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
    """Drop the lines at the edges that most pages share, their numbers aside."""
    shapes = [_edges(lines) for lines in pages]
    counts = Counter(shape for page in shapes for shape in set(page.values()))
    often = max(OFTEN, len(pages) // 2)
    return [
        [line for i, line in enumerate(lines) if counts[page.get(i, "")] < often]
        for lines, page in zip(pages, shapes, strict=True)
    ]


def _edges(lines: Sequence[str]) -> dict[int, str]:
    places = [*range(min(EDGE, len(lines))), *range(max(0, len(lines) - EDGE), len(lines))]
    return {i: re.sub(r"\d+", "0", lines[i]) for i in places}


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
    text = BULLET.sub("- ", line)
    if re.match(r"#{1,6}\s", text):
        text = f"\\{text}"  # a number sign that begins a line of a PDF is no heading
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

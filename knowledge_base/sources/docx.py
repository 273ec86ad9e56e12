"""DOCX by mammoth: its styles become HTML, and that Markdown."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from knowledge_base.sources import archive, html
from knowledge_base.sources.document import Document, UnreadableError, damage_of

STYLES = "p[style-name='Title'] => h1:fresh"


def markdown(data: bytes) -> Document:
    """Convert a DOCX; pictures are left out.

    Raises:
        UnreadableError: it is not one, damaged or too large.
    """
    archive.check(data, "DOCX", "word/document.xml")
    import mammoth

    with damage_of("DOCX"):
        page = mammoth.convert_to_html(BytesIO(data), style_map=STYLES, convert_image=_no_image).value
    text = html.convert(page)
    if not text:
        raise UnreadableError("expected text, got a document without any. Are its pages pictures?")
    return Document(title="", markdown=text)


def _no_image(_image: Any) -> list[Any]:
    return []

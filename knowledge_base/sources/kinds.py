"""The kinds of documents, by the ending of their names, and the one way from bytes of a kind to rows of passages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from knowledge_base.sources import limits
from knowledge_base.sources.document import Document, UnreadableError, UnrecognisedError
from knowledge_base.sources.suspicion import suspicions, without_hidden

KINDS: Mapping[str, str] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".xlsx": "xlsx",
    ".json": "articles",
}
LINED = ("markdown", "text")  # their passages are known by their line; of others the file has no lines


@dataclass(frozen=True, slots=True)
class Row:
    """A passage as a row of the file format, but for its id and source.

    Args:
        key: names the document apart from its file, or is empty.
        part: what is added to the file's name as its source.
        line: where the passage begins in its file, if that has lines.
        place: where else it is ("page 3").
        values: the row.
    """

    key: str
    part: str
    line: int | None
    place: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """Something about a place in a file: why it is refused, or what is suspicious there."""

    line: int | None
    place: str
    reason: str


@dataclass(slots=True)
class Content:
    """What one file holds: passages or rows of sheets, what of it was refused, left out, suspicious."""

    rows: list[Row] = field(default_factory=list)
    sheets: list[tuple[str, list[tuple[int, list[str]]]]] = field(default_factory=list)
    refused: list[Found] = field(default_factory=list)
    suspicious: list[Found] = field(default_factory=list)
    drafts: int = 0
    recognised: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON objects."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Content:
        """Return what `to_json` gave."""
        return cls(
            rows=[Row(**row) for row in content["rows"]],
            sheets=[(name, [(number, cells) for number, cells in rows]) for name, rows in content["sheets"]],
            refused=[Found(**found) for found in content["refused"]],
            suspicious=[Found(**found) for found in content["suspicious"]],
            drafts=content["drafts"],
            recognised=content["recognised"],
        )


def kind_of(name: str) -> str | None:
    """Return the kind of document that a file's name says, or None."""
    dot = name.rfind(".")
    return KINDS.get(name[dot:].lower()) if dot >= 0 else None


def prepare(kind: str) -> None:
    """Load the libraries of a kind."""
    if kind == "pdf":
        import pypdf  # noqa: F401
    elif kind == "xlsx":
        import openpyxl  # noqa: F401
    elif kind == "docx":
        import mammoth  # noqa: F401
    if kind in ("html", "docx", "articles"):
        import knowledge_base.sources.html
    import knowledge_base.passages  # noqa: F401


def convert(kind: str, data: bytes, stem: str) -> Content:
    """Convert a file; `stem` is the title of a document that has none. What cannot be used is in `refused`."""
    content = Content()
    try:
        if kind == "xlsx":
            from knowledge_base.sources import xlsx

            content.sheets = [(sheet.name, sheet.rows) for sheet in xlsx.sheets(data) if sheet.rows]
            if not content.sheets:
                raise UnreadableError("expected columns question, answer; got an empty workbook.")
        else:
            for document in _documents(kind, data, content):
                _cut(document, stem, content, kind)
    except UnreadableError as error:
        return Content(refused=[_found(error)], recognised=not isinstance(error, UnrecognisedError))
    return content


def _documents(kind: str, data: bytes, content: Content) -> list[Document]:
    if kind == "articles":
        from knowledge_base.sources.articles import articles

        found = articles(data)
        content.drafts = found.drafts
        content.refused = [_found(error) for error in found.refused]
        return found.documents
    if kind == "pdf":
        from knowledge_base.sources.pdf import markdown
    elif kind == "docx":
        from knowledge_base.sources.docx import markdown
    elif kind == "html":
        from knowledge_base.sources.html import markdown
    elif kind == "text":
        from knowledge_base.sources.text import plain as markdown
    else:
        from knowledge_base.sources.text import markdown
    return [markdown(data)]


def _cut(document: Document, stem: str, content: Content, kind: str) -> None:
    from knowledge_base import passages

    lined = kind in LINED
    length = len(document.markdown)
    if length > limits.CHARACTERS:
        raise UnreadableError(f"expected at most {limits.CHARACTERS:,} characters, got {length:,}. Divide it.")
    title = document.title or stem
    root = title if document.over_all else ""
    for passage in passages.cut(document.markdown, title, root, converted=kind != "markdown"):
        page = bisect_right(document.pages, passage.line)
        place = document.place or (f"page {page}" if page else "" if lined else passage.heading)
        line = passage.line if lined else None
        for below, reason in suspicions(f"{passage.title}\n{passage.text}"):
            # The title stands on the line above the text or is not part of it.
            at = None if line is None else line + max(0, below - 1)
            content.suspicious.append(Found(at, "" if lined else place, reason))
        part = f"#page={page}" if page else document.part
        text = without_hidden(passage.text).strip()
        if not text:
            continue
        values = {
            "question": without_hidden(passage.title).strip() or stem,
            "answer": text,
            "heading": without_hidden(passage.heading),
            "url": document.url + (f"#page={page}" if page and document.url else ""),
            "language": document.language,
            "category": document.category,
            "updated_at": document.updated_at,
            "visibility": document.visibility,
            "approved": False,
        }
        content.rows.append(Row(document.key, part, line, "" if lined else place, values))


def _found(error: UnreadableError) -> Found:
    line = error.place.removeprefix("line ")
    if line.isdecimal() and line != error.place:
        return Found(int(line), "", str(error))
    return Found(None, error.place, str(error))

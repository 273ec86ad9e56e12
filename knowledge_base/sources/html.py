"""HTML: lexbor reads it as a browser does, what surrounds the text is dropped, markdownify writes the rest."""

from __future__ import annotations

import codecs
import re
from collections import deque
from copy import copy
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag
from markdownify import ATX, MarkdownConverter
from selectolax.lexbor import LexborHTMLParser, LexborNode

from knowledge_base.sources import limits, text
from knowledge_base.sources.document import Document, UnreadableError, damage_of, literal

CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]{1,40})", re.IGNORECASE)
LANGUAGE = re.compile(r"[a-z]{2}(?=$|[-_])")
NEVER = "script, style, template, noscript, svg, math, iframe, object, select, input, textarea, nav, dialog"
ROLES = ("navigation", "banner", "contentinfo", "search", "dialog", "alertdialog", "menu", "menubar")
AROUND = "header, footer, aside, [role=complementary]"  # dropped where no element says where the text is
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
QUESTIONS = ("dt", "summary")
TITLES = frozenset((*HEADINGS, *QUESTIONS))  # in these a button is the text of an accordion
LISTS = ("ul", "ol", "li")
CELLS = ("td", "th")
SPAN = 1_000  # rows or columns of a cell at most, as markdownify has it
SCHEMES = ("http", "https", "mailto", "tel")
# Around what is set high or low while it is converted: the sign that parts it from a digit before it, and one behind it.
JOINT = re.compile(r"(\d\**)\0(.)\0(?=[*\[]*\d)")
NO_JOINT = re.compile(r"\0.\0")


def markdown(data: bytes) -> Document:
    """Convert a page: its main text with headings, lists and tables, its title, address and language.

    Raises:
        UnreadableError: it is no text, has none, or is nested too deep.
    """
    text.check_not_foreign(data)
    source = _decode(data)
    if "\0" in source:
        line = source.count("\n", 0, source.index("\0")) + 1
        raise UnreadableError("expected HTML, got a NUL character. Is it another kind of file?", f"line {line}")
    with damage_of("HTML"):
        tree = LexborHTMLParser(source)
        _check_depth(tree)
        url = _address(tree)
        title = _words(tree.css_first("title")) or _meta(tree, "og:title")
        language = LANGUAGE.match(str((tree.root.attributes.get("lang") if tree.root else "") or "").lower())
        updated = _meta(tree, "article:modified_time")
        main = _main(tree)
        heading = _words(main.css_first("h1"))
        body = _write(main, url)
    if not body:
        raise UnreadableError("expected text, got a page without any. Does it need a browser to show it?")
    return Document(
        title=heading or title,
        markdown=body,
        over_all=bool(title) and not heading,
        url=url,
        language=language.group() if language else "",
        updated_at=updated if re.match(r"\d{4}-\d{2}-\d{2}(T|$)", updated) else "",
    )


def convert(fragment: str, url: str = "") -> str:
    """Return a piece of HTML as Markdown; links are resolved against `url`.

    Raises:
        UnreadableError: it is nested too deep.
    """
    with damage_of("HTML"):
        tree = LexborHTMLParser(fragment)
        _check_depth(tree)
        _drop(tree, NEVER)
        return _write(tree.body, url) if tree.body else ""


def _decode(data: bytes) -> str:
    named = CHARSET.search(data[:2048])
    if named and not data.startswith((codecs.BOM_UTF8, *text.UTF16_MARKS)):
        name = named.group(1).decode().lower()
        # Browsers, too, read the two subsets of GB18030 as the whole, and Latin-1 as its extension by Windows.
        name = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252"}.get(name, name)
        try:
            return data.decode(name)
        except (LookupError, UnicodeError):
            pass  # pages that name the wrong encoding are common; what the bytes are is looked at next
    return text.decode(data)[0]


def _check_depth(tree: LexborHTMLParser) -> None:
    """Walk without recursion: what is too deep here would be too deep for the conversion."""
    node, depth = tree.root, 1
    while node is not None:
        if depth > limits.HTML_DEPTH:
            raise UnreadableError(f"expected at most {limits.HTML_DEPTH} elements within each other, got more.")
        if node.first_child is not None:
            node, depth = node.first_child, depth + 1
            continue
        while node is not None and node.next is None:
            node, depth = node.parent, depth - 1
            if depth <= 1:
                return
        node = node.next if node is not None else None


def _main(tree: LexborHTMLParser) -> LexborNode:
    """Return the element with the text of the page, without what surrounds it."""
    _drop(tree, NEVER + "".join(f", [role={role}]" for role in ROLES))
    articles = tree.css("article")
    named = [tree.css_first("main"), tree.css_first("[role=main]"), articles[0] if len(articles) == 1 else None]
    for node in named:
        if node is not None and _words(node):
            return node
    _drop(tree, AROUND)
    if tree.body is None:
        raise UnreadableError("expected HTML, got a page without a body.")
    return tree.body


def _drop(tree: LexborHTMLParser, selector: str) -> None:
    for node in tree.css(selector):
        if not node.css_matches("main, [role=main], body"):
            node.decompose()
    for node in tree.css("button"):
        parent = node.parent
        while parent is not None and parent.tag not in TITLES:
            parent = parent.parent
        if parent is None:
            node.decompose()
        else:
            node.unwrap()


def _write(node: LexborNode, url: str) -> str:
    length = len(node.text() or "")
    if length > limits.CHARACTERS:  # seen here, because to convert them would take longer than a file may
        raise UnreadableError(f"expected at most {limits.CHARACTERS:,} characters, got {length:,}. Divide it.")
    written = NO_JOINT.sub("", JOINT.sub(r"\1\2", str(_Writer(url).convert(node.html or ""))))
    return re.sub(r"\n{3,}", "\n\n", written).strip()


def _apart(sign: str, text: str) -> str:
    return f"\0{sign}\0{text}\0 \0" if text else ""


def _prepare(soup: BeautifulSoup) -> None:
    """Undo what Markdown has no form for: headings in questions and lists, questions in a row, cells over rows."""
    for title in soup.find_all(QUESTIONS):
        for heading in title.find_all(HEADINGS):
            heading.unwrap()
    for title in soup.find_all([*TITLES, "details"]):
        for around in title.find_parents(LISTS):
            around.name = "div"
    for question in soup.find_all("dt"):
        before = question.find_previous_sibling()
        if isinstance(before, Tag) and before.name == "dt":
            before.extend([" / ", *question.contents])
            question.decompose()
    for section in soup.find_all(("thead", "tbody", "tfoot")):
        _repeat_cells(section)


def _repeat_cells(section: Tag) -> None:
    """Repeat a cell that goes over several rows in each of them, or the cells beside it would move into its place."""
    above: dict[int, tuple[Tag, int]] = {}  # by column: a cell of the row above, and in how many rows it goes on
    for row in section.find_all("tr", recursive=False):
        own = deque(row.find_all(CELLS, recursive=False))
        below: dict[int, tuple[Tag, int]] = {}
        column = 0
        while own or above:
            if own and column not in above:
                cell = own.popleft()
                rows = _span(cell, "rowspan")
            else:
                column = column if column in above else min(above)
                spanning, rows = above.pop(column)
                cell = copy(spanning)
                if own:
                    own[0].insert_before(cell)
                else:
                    row.append(cell)
            if rows > 1:
                below[column] = (cell, rows - 1)
            column += _span(cell, "colspan")
        above = below


def _span(cell: Tag, direction: str) -> int:
    number = str(cell.get(direction) or "").strip()
    return max(1, min(SPAN, int(number[:4]))) if number.isdecimal() else 1


def _address(tree: LexborHTMLParser) -> str:
    link = tree.css_first("link[rel=canonical]")
    address = str((link.attributes.get("href") if link else "") or "") or _meta(tree, "og:url")
    return address.strip() if _scheme(address) in ("http", "https") else ""


def _meta(tree: LexborHTMLParser, name: str) -> str:
    node = tree.css_first(f'meta[property="{name}"]')
    return str((node.attributes.get("content") if node else "") or "").strip()


def _words(node: LexborNode | None) -> str:
    return " ".join((node.text(separator=" ") or "").split()) if node else ""


def _scheme(address: str) -> str:
    try:
        return urlsplit(address.strip()).scheme.lower()
    except ValueError:
        return ""


_Converter: Any = MarkdownConverter  # what it has by name alone, its types do not know


class _Writer(_Converter):  # type: ignore[misc]
    """Markdown without pictures and rules; questions of definition lists and of accordions are headings."""

    def __init__(self, url: str) -> None:
        super().__init__(
            heading_style=ATX, bullets="-", escape_asterisks=False, escape_underscores=False, table_infer_header=True
        )
        self.url = url

    def convert_soup(self, soup: BeautifulSoup) -> str:
        _prepare(soup)
        return str(super().convert_soup(soup))

    def process_text(self, el: NavigableString, parent_tags: Any = None) -> str:
        return literal(str(super().process_text(el, parent_tags)))

    def convert_a(self, el: Tag, text: str, parent_tags: Any) -> str:
        address = str(el.get("href") or "")
        try:
            address = urljoin(self.url, address) if self.url else address
        except ValueError:
            address = ""
        if _scheme(address) not in SCHEMES:
            return text
        el["href"] = address
        return str(super().convert_a(el, text, parent_tags))

    def convert_hr(self, el: Tag, text: str, parent_tags: Any) -> str:
        return "\n\n"

    def convert_img(self, el: Tag, text: str, parent_tags: Any) -> str:
        return str(el.get("alt") or "")

    def convert_dt(self, el: Tag, text: str, parent_tags: Any) -> str:
        return str(self.convert_hN(6, el, text, parent_tags)) if text.strip() else ""

    convert_summary = convert_dt

    def convert_dd(self, el: Tag, text: str, parent_tags: Any) -> str:
        return f"\n\n{text.strip()}\n\n"

    def convert_sup(self, el: Tag, text: str, parent_tags: Any) -> str:
        # A power, cents, the mark of a footnote: written without a sign they would make another number.
        fraction = str(el.next_sibling or "").startswith(("/", "⁄"))
        return _apart(" " if fraction else "^", text)

    def convert_sub(self, el: Tag, text: str, parent_tags: Any) -> str:
        return _apart(" ", text)

    def convert_td(self, el: Tag, text: str, parent_tags: Any) -> str:
        return str(super().convert_td(el, text.replace("|", "\\|"), parent_tags))

    def convert_th(self, el: Tag, text: str, parent_tags: Any) -> str:
        return str(super().convert_th(el, text.replace("|", "\\|"), parent_tags))

"""Words as safe HTML: what a customer wrote is text, what the company wrote may be Markdown.

Customer text is escaped and nothing else. Text of the company or the bot is read as Markdown without HTML and then
passed through an allow-list in which there are no images: an address in a picture would leak what was said.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING

import nh3

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it import MarkdownIt

_BLOCKS = ("blockquote", "h3", "h4", "hr", "li", "ol", "p", "pre", "table", "tbody", "td", "th", "thead", "tr", "ul")
TAGS = frozenset((*_BLOCKS, "a", "b", "br", "code", "del", "em", "i", "strong", "sup"))
SCHEMES = frozenset({"https", "http", "mailto", "tel"})
_LEADING = re.compile(r"((?:\[\d{1,2}\]\s*)+)")
_POINTER = re.compile(r"\s?\[(\d{1,2})\](?!\()")


def text(content: str) -> str:
    """Return `content` as HTML that shows it as it was written, on one line of source."""
    return "<br>".join(escape(content.strip()).splitlines())  # every kind of line end


def line(content: str) -> str:
    """Return `content` as HTML on one line: a name, a title, a cell of a table."""
    return escape(" ".join(content.split()))


def markdown(content: str, numbers: Iterable[int] = ()) -> str:
    """Return Markdown `content` as safe HTML on one line of source.

    Args:
        content: The text; HTML in it is shown, not obeyed.
        numbers: Which pointers `[n]` refer to a source; they become raised numbers, others stay as they stand.
    """
    known = {str(number) for number in numbers}
    html = nh3.clean(
        _parser().render(_pointers_last(content) if known else content),
        tags=set(TAGS),
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    html = _POINTER.sub(lambda match: f"<sup>{match[1]}</sup>" if match[1] in known else match[0], html)
    # A blank line would end the HTML block for a Markdown reader behind us.
    return html.strip().replace("\n", "&#10;")


def link(url: str, label: str) -> str:
    """Return an anchor, or an empty string when the address is not one that may be followed."""
    scheme, colon, _ = url.partition(":")
    if not colon or scheme.lower() not in SCHEMES:
        return ""
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(label)}</a>'


def _pointers_last(content: str) -> str:
    """Put each pointer behind what it covers, as readers expect it; the model writes it before."""
    if not _LEADING.match(content):
        return content
    _before, *pieces = _LEADING.split(content)
    runs = zip(pieces[::2], pieces[1::2], strict=True)
    return "".join(f"{piece.rstrip()}{''.join(run.split())}{piece[len(piece.rstrip()) :]}" for run, piece in runs)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False})
    return parser.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])

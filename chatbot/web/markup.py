"""Words as safe HTML: what a customer wrote is text, what the company wrote may be Markdown.

Customer text is escaped and nothing else. Text of the company or the bot is read as Markdown without HTML and then
passed through an allow-list in which there are no images: an address in a picture would leak what was said.
"""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING

import nh3

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_BLOCKS = ("blockquote", "h3", "h4", "hr", "li", "ol", "p", "pre", "table", "tbody", "td", "th", "thead", "tr", "ul")
TAGS = frozenset((*_BLOCKS, "a", "b", "br", "code", "del", "em", "i", "strong"))
SCHEMES = frozenset({"https", "http", "mailto", "tel"})


def text(content: str) -> str:
    """Return `content` as HTML that shows it as it was written, on one line of source."""
    return "<br>".join(escape(content.strip()).splitlines())  # every kind of line end


def line(content: str) -> str:
    """Return `content` as HTML on one line: a name, a title, a cell of a table."""
    return escape(" ".join(content.split()))


def markdown(content: str) -> str:
    """Return Markdown `content` as safe HTML on one line of source; HTML in it is shown, not obeyed."""
    html = nh3.clean(
        _parser().render(content),
        tags=set(TAGS),
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    # A blank line would end the HTML block for a Markdown reader behind us.
    return html.strip().replace("\n", "&#10;")


def link(url: str, label: str) -> str:
    """Return an anchor, or an empty string when the address is not one that may be followed."""
    scheme, colon, _ = url.partition(":")
    if not colon or scheme.lower() not in SCHEMES:
        return ""
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(label)}</a>'


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False})
    return parser.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])

"""What the operators' pages have in common: the bar at their top, their tables, and lists shown page by page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

ANY = "any"  # in a filter: whatever it is
PAGE_ROWS = 25
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
PAGES = {"Conversations": "/admin/", "Knowledge": "/admin/knowledge/"}


def bar(company: str, here: str) -> str:
    """Return the head of a page: the company, the way to the other pages, and the way out."""
    links = "".join(
        f'<a href="{path}"{" aria-current=page" if name == here else ""}>{name}</a>' for name, path in PAGES.items()
    )
    return (
        f'<div class="fd-bar"><h1>{escape(company)} · {here}</h1><nav>{links}</nav>'
        '<form method="post" action="/sign-out"><button class="fd-out">Sign out</button></form></div>'
    )


def table(heads: Sequence[str], elem_id: str, widths: Sequence[str], max_height: int) -> gr.Dataframe:
    """Return a table of text that is read and chosen from, never edited; `max_height` in pixels."""
    return gr.Dataframe(
        headers=list(heads),
        datatype="str",
        type="array",
        interactive=False,
        wrap=False,
        show_label=False,
        buttons=[],
        max_height=max_height,
        elem_id=elem_id,
        elem_classes="fd-rows",
        column_widths=list(widths),
    )


class Paged(ABC):
    """A list that is shown PAGE_ROWS rows at a time; whoever inherits it says in `page` what stands on a page."""

    @abstractmethod
    def page(self, offset: int, *filters: Any) -> tuple[Any, ...]:
        """Return the rows from `offset` on that fit the filters, the offset, and what to say of the place."""

    def first(self, *filters: Any) -> tuple[Any, ...]:
        """Show the first page."""
        return self.page(0, *filters)

    def back(self, offset: int, *filters: Any) -> tuple[Any, ...]:
        """Show the page before this one."""
        return self.page(max(0, offset - PAGE_ROWS), *filters)

    def further(self, offset: int, *filters: Any) -> tuple[Any, ...]:
        """Show the page behind this one, if there is one."""
        page = self.page(offset + PAGE_ROWS, *filters)
        return page if page[0] else self.page(offset, *filters)

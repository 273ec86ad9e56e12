"""The operators' page: every conversation, found by what was said, how it was rated and what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from chatbot.errors import NotFoundError
from chatbot.store import ConversationFilter, ConversationRow
from chatbot.types import KINDS
from chatbot.ui import words
from chatbot.ui.desk import ANY, PAGE_ROWS, QUIET, Paged, bar, table

if TYPE_CHECKING:
    from chatbot.config import Settings
    from chatbot.store import Store

_HEADS = ["Last message", "Begins with", "Messages", "Thumbs", "Last reply", "Intent", "Least sure", "Visitor", "Id"]


def operator_page(store: Store, settings: Settings) -> gr.Blocks:
    """Return the page; who may see it is decided before it, at the doorway."""
    return _OperatorPage(store, settings).build()


class _OperatorPage(Paged):
    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def build(self) -> gr.Blocks:
        with gr.Blocks(title=f"Operators · {self._settings.company}", analytics_enabled=False) as page:
            gr.Markdown(bar(self._settings.company, "Conversations"), elem_id="fd-desk-head", sanitize_html=False)
            with gr.Row(elem_id="fd-filters"):
                text = gr.Textbox(label="Search", placeholder="Words in a message, or a visitor", scale=3)
                rating = gr.Dropdown([ANY, "up", "down"], value=ANY, label="Thumb", min_width=110)
                kind = gr.Dropdown([ANY, *KINDS], value=ANY, label="Kind of reply", min_width=150)
                known = sorted({*self._settings.intents, *self._store.intents()})
                intent = gr.Dropdown([ANY, *known], value=ANY, label="Intent", min_width=160, allow_custom_value=True)
                highest = gr.Slider(0, 1, value=1, step=0.05, label="Probability up to", min_width=200)
            filters = [text, rating, kind, intent, highest]
            widths = ["16%", "16%", "10%", "9%", "11%", "12%", "11%", "8%", "7%"]
            found = table(_HEADS, "fd-table", widths, max_height=360)
            with gr.Row(elem_id="fd-pages"):
                newer = gr.Button("← Newer", size="sm", scale=0, min_width=100)
                place = gr.Markdown(elem_id="fd-place", sanitize_html=True)
                older = gr.Button("Older →", size="sm", scale=0, min_width=100)
            detail = gr.Markdown(words.conversation([]), elem_id="fd-detail", sanitize_html=True, latex_delimiters=[])
            offset = gr.State(0)
            listing = [found, offset, place]
            changes = (text.submit, text.blur, rating.change, kind.change, intent.change, highest.release)
            for moment in (page.load, *changes):
                moment(self.first, filters, listing, **QUIET)
            newer.click(self.back, [offset, *filters], listing, **QUIET)
            older.click(self.further, [offset, *filters], listing, **QUIET)
            found.select(self.show, None, detail, **QUIET)
        return page

    def show(self, event: gr.SelectData) -> str:
        """Show the conversation of the row that was chosen, wherever the table was sorted to."""
        row = event.row_value if isinstance(event.row_value, list) else []
        try:
            return words.conversation(self._store.turns(str(row[-1])), str(row[-2])) if row else words.conversation([])
        except NotFoundError:
            return words.conversation([])

    def page(self, offset: int, *filters: Any) -> tuple[Any, ...]:
        """Show the conversations that fit, the newest first."""
        text, rating, kind, intent, highest = filters
        wanted = ConversationFilter(
            text=text.strip() or None,
            rating=None if rating == ANY else rating,
            kind=None if kind == ANY else kind,
            intent=None if intent == ANY else intent,
            max_probability=None if highest >= 1 else highest,
        )
        rows = self._store.search(wanted, limit=PAGE_ROWS, offset=offset)
        span = f"{offset + 1}–{offset + len(rows)}" if rows else "No conversation fits."
        return [_cells(row) for row in rows], offset, span


def _cells(row: ConversationRow) -> list[str]:
    thumbs = " ".join(part for part in ("👍" * min(row.rated_up, 1), "👎" * min(row.rated_down, 1)) if part)
    return [
        f"{row.updated_at:%Y-%m-%d %H:%M}",
        row.title,
        str(row.messages),
        thumbs,
        row.last_kind or "–",
        row.last_intent or "–",
        words.percent(row.lowest_probability),
        row.visitor_id,
        row.id,
    ]

"""The form of one entry on the knowledge page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from chatbot.ui import words
from knowledge_base.edits import version
from knowledge_base.entry import VISIBILITIES, Entry

if TYPE_CHECKING:
    from chatbot.curation import Item

COLUMNS = (
    "question", "answer", "alternatives", "subject", "category", "url", "visibility", "valid_from", "valid_until",
    "approved",
)  # fmt: skip
EMPTY = Entry("", "", "")


@dataclass(frozen=True, slots=True)
class Opened:
    """The entry that stands in the form as it was opened; without an id it is a new one."""

    id: str = ""
    version: str = ""


class EntryForm:
    """Makes the fields and buttons where it is made; `outputs` are what the other methods return values for."""

    def __init__(self) -> None:
        self.opened = gr.State(Opened())
        self._head = gr.Markdown(words.entry_head(None), elem_id="fd-entry-head", sanitize_html=True)
        question = gr.Textbox(label="Question, or title", elem_id="fd-question", lines=1, max_lines=3)
        answer = gr.Textbox(label="Answer", elem_id="fd-answer-text", lines=5, max_lines=14)
        alternatives = gr.Textbox(label="Other ways to ask, one a line", lines=2, max_lines=8)
        with gr.Row():
            subject = gr.Textbox(label="Subject (product, place or plan)", min_width=120)
            category = gr.Textbox(label="Category", min_width=120)
        url = gr.Textbox(label="Address on your site")
        visibility = gr.Radio(list(VISIBILITIES), value="public", label="Visibility")
        with gr.Row():
            valid_from = gr.Textbox(label="Valid from", placeholder="2026-01-31", min_width=100)
            valid_until = gr.Textbox(label="Valid until", placeholder="2026-12-31", min_width=100)
        approved = gr.Checkbox(label="Approved: the answer may be sent word for word", value=True)
        self.fields = [
            question, answer, alternatives, subject, category, url, visibility, valid_from, valid_until, approved,
        ]  # fmt: skip
        with gr.Row(elem_id="fd-form-buttons"):
            self.save = gr.Button("Save and publish", variant="primary", size="sm", min_width=130, elem_id="fd-save")
            self.retire = gr.Button("Retire", size="sm", min_width=80, elem_id="fd-retire")
            self.bring_back = gr.Button("Bring back", size="sm", min_width=90)
            self.take_back = gr.Button("Back to the sources", size="sm", min_width=130)
            self.new = gr.Button("New entry", size="sm", min_width=90, elem_id="fd-new-entry")
        self.outputs = [self.opened, self._head, *self.fields, self.retire, self.bring_back, self.take_back]

    def shown(self, item: Item | None) -> tuple[Any, ...]:
        """Return values that show an entry, or an empty form."""
        edit = item.edit if item else None
        retired, sourced = bool(edit and edit.retired), bool(edit and edit.source)
        opened = Opened(item.entry.id, version(item.entry, edit)) if item else Opened()
        return (
            opened,
            words.entry_head(item),
            *_values(item.entry if item else EMPTY),
            gr.update(visible=item is not None and not retired),
            gr.update(visible=retired),
            gr.update(visible=sourced),
        )

    def draft(self, question: str, answer: str) -> tuple[Any, ...]:
        """Return values that show a new entry of which some is known."""
        opened, head, _question, _answer, *rest = self.shown(None)
        return opened, head, question, answer, *rest

    def kept(self) -> tuple[Any, ...]:
        """Return values that leave the form as it is."""
        return tuple(gr.skip() for _ in self.outputs)

    @staticmethod
    def values(given: Sequence[Any]) -> dict[str, object]:
        """Return the columns of an entry from the values of the fields."""
        columns = dict(zip(COLUMNS, given, strict=True))
        return {**columns, "alternatives": str(columns["alternatives"] or "").splitlines()}


def _values(entry: Entry) -> list[Any]:
    row = {column: getattr(entry, column) for column in COLUMNS}
    return list({**row, "alternatives": "\n".join(entry.alternatives)}.values())

"""The knowledge page: what a message finds and why, the entries and their form, and what was asked in vain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from chatbot.curation import STATES, Curation, Gap, Item
from chatbot.errors import FrontdeskError
from chatbot.ui import words
from chatbot.ui.desk import ANY, PAGE_ROWS, QUIET, Paged, bar, table
from chatbot.ui.form import EntryForm, Opened
from chatbot.ui.screen import note
from knowledge_base.errors import InUseError

if TYPE_CHECKING:
    from chatbot.config import Settings
    from chatbot.web.cookies import Operators
    from knowledge_base.entry import Entry

_ENTRIES = ["Question", "Answer", "Subject", "Source", "Changed", "State", "Id"]
_HITS = ["Entry", "Answers with", "Why", "Id"]
_GAPS = ["Asked", "Times", "Last", "Also asked as", "Nearest entry", "Answers with", "Message"]
_IN_USE = "The knowledge is being changed by somebody else at this moment. Your text is kept here: save it again soon."
_SIGNED_OUT = "You are not signed in any more. Sign in again in another window, then save again."


class KnowledgePage(Paged):
    """Builds the page and answers its events; who may see it is decided before it, at the doorway."""

    def __init__(self, curation: Curation, settings: Settings, operators: Operators) -> None:
        self._curation, self._settings, self._operators = curation, settings, operators

    def build(self) -> gr.Blocks:
        """Return the page."""
        with gr.Blocks(title=f"Knowledge · {self._settings.company}", analytics_enabled=False) as page:
            gr.Markdown(bar(self._settings.company, "Knowledge"), elem_id="fd-desk-head", sanitize_html=False)
            with gr.Row(elem_id="fd-knowledge"):
                with gr.Column(scale=3, min_width=480), gr.Tabs():
                    with gr.Tab("Entries"):
                        self._build_entries()
                    with gr.Tab("Try a question"):
                        self._build_search()
                    with gr.Tab("Not answered") as unanswered:
                        self._build_gaps()
                with gr.Column(scale=2, min_width=360, elem_id="fd-form"):
                    self._form = EntryForm()
                    self._told = gr.Markdown(visible=False, elem_id="fd-told", sanitize_html=True)
            self._wire(page, unanswered)
        return page

    def _build_entries(self) -> None:
        with gr.Row(elem_id="fd-filters"):
            text = gr.Textbox(label="Search", placeholder="Words, or an id", scale=3, min_width=160)
            state = gr.Dropdown([ANY, *STATES], value=ANY, label="State", min_width=130)
            subject = gr.Dropdown([ANY], value=ANY, label="Subject", min_width=130, allow_custom_value=True)
            source = gr.Dropdown([ANY], value=ANY, label="Source", min_width=130, allow_custom_value=True)
        self._filters = [text, state, subject, source]
        self._entries = table(_ENTRIES, "fd-entries", ["25%", "20%", "12%", "12%", "15%", "11%", "5%"], max_height=520)
        with gr.Row(elem_id="fd-pages"):
            self._back = gr.Button("← Back", size="sm", scale=0, min_width=100)
            self._place = gr.Markdown(elem_id="fd-place", sanitize_html=True)
            self._further = gr.Button("Further →", size="sm", scale=0, min_width=100)
        self._offset = gr.State(0)

    def _build_search(self) -> None:
        self._message = gr.Textbox(label="A customer's message", elem_id="fd-message", max_length=4000)
        self._context = gr.Textbox(label="The customer's message before it (optional)", max_length=4000)
        self._find = gr.Button("Search as the bot does", variant="primary", size="sm", elem_id="fd-find")
        self._hits = table(_HITS, "fd-hits", ["36%", "12%", "42%", "10%"], max_height=520)
        self._why = gr.Markdown(elem_id="fd-why", sanitize_html=True, latex_delimiters=[])

    def _build_gaps(self) -> None:
        gr.Markdown(
            "What customers asked in vain, near questions together. Choose a line to begin its entry.",
            elem_id="fd-hint",
        )
        self._gaps = table(_GAPS, "fd-gaps", ["30%", "7%", "11%", "22%", "16%", "8%", "6%"], max_height=520)
        self._drafts = gr.State([])

    def _wire(self, page: gr.Blocks, unanswered: gr.Tab) -> None:
        text, state, subject, source = self._filters
        listing = [self._entries, self._offset, self._place]
        page.load(self.load, None, [*listing, subject, source, *self._form.outputs, self._told], **QUIET)
        for moment in (text.submit, text.blur, state.change, subject.change, source.change):
            moment(self.first, self._filters, listing, **QUIET)
        self._back.click(self.back, [self._offset, *self._filters], listing, **QUIET)
        self._further.click(self.further, [self._offset, *self._filters], listing, **QUIET)
        form = [*self._form.outputs, self._told]
        for found in (self._entries, self._hits):
            found.select(self.open, None, form, **QUIET)
        search = {"inputs": [self._message, self._context], "outputs": [self._hits, self._why], **QUIET}
        for moment in (self._find.click, self._message.submit, self._context.submit):
            moment(self.search, **search)
        unanswered.select(self.look, None, [self._gaps, self._drafts], **{**QUIET, "show_progress": "minimal"})
        self._gaps.select(self.draft, self._drafts, form, **QUIET)
        self._form.new.click(self.new, None, form, **QUIET)
        for button, handler, given in (
            (self._form.save, self.save, [self._form.opened, *self._form.fields]),
            (self._form.retire, self.retire, [self._form.opened]),
            (self._form.bring_back, self.bring_back, [self._form.opened]),
            (self._form.take_back, self.take_back, [self._form.opened]),
        ):
            published = button.click(handler, given, form, **QUIET)
            published.then(self.page, [self._offset, *self._filters], listing, **QUIET)

    # ----- the entries -----------------------------------------------------------------------------------------

    def load(self) -> tuple[Any, ...]:
        """Show the first entries and an empty form when the page opens."""
        items = self._curation.items()
        subjects, sources = ({item.entry.subject for item in items.values()}, {item.source for item in items.values()})
        choices = [gr.update(choices=[ANY, *sorted(filter(None, known))]) for known in (subjects, sources)]
        told = "" if self._curation.ready else "The knowledge is still being loaded. Load this page again in a moment."
        return *self.first("", ANY, ANY, ANY), *choices, *self._form.shown(None), note(told)

    def page(self, offset: int, *filters: str) -> tuple[Any, ...]:
        """Show the entries that fit, as they are by now."""
        text, state, subject, source = filters
        today, needle = datetime.now(UTC).date(), text.casefold().strip()
        fitting = [
            item
            for item in self._curation.items().values()
            if (state == ANY or state in item.states(today))
            and subject in (ANY, "", item.entry.subject)
            and source in (ANY, "", item.source)
            and _says(item.entry, needle)
        ]
        rows = [_cells(item) for item in fitting[offset : offset + PAGE_ROWS]]
        span = f"{offset + 1}–{offset + len(rows)} of {len(fitting):,}" if rows else "No entry fits."
        return rows, offset, span

    # ----- the form --------------------------------------------------------------------------------------------

    def open(self, event: gr.SelectData) -> tuple[Any, ...]:
        """Open the entry of the row that was chosen, wherever the table was sorted to."""
        row = event.row_value if isinstance(event.row_value, list) else [""]
        item = self._curation.items().get(str(row[-1]))
        return *self._form.shown(item), note("")

    def new(self) -> tuple[Any, ...]:
        """Empty the form for a new entry."""
        return *self._form.shown(None), note("")

    def save(self, opened: Opened, request: gr.Request, *values: Any) -> tuple[Any, ...]:
        """Publish what stands in the form."""
        given = EntryForm.values(values)

        def publish(by: str) -> Entry:
            editor = self._curation.editor()
            return editor.change(opened.id, given, by, opened.version) if opened.id else editor.add(given, by)

        return self._published(publish, "Saved. The chat knows it from the next message on.", request)

    def retire(self, opened: Opened, request: gr.Request) -> tuple[Any, ...]:
        """Take the entry in the form out of force."""
        done = "Retired. Nobody finds it any more, and no ingestion brings it back."
        return self._published(lambda by: self._curation.editor().retire(opened.id, by, opened.version), done, request)

    def bring_back(self, opened: Opened, request: gr.Request) -> tuple[Any, ...]:
        """Bring the retired entry in the form back."""
        return self._published(
            lambda by: self._curation.editor().bring_back(opened.id, by, opened.version), "In force again.", request
        )

    def take_back(self, opened: Opened, request: gr.Request) -> tuple[Any, ...]:
        """Forget what operators changed in the entry in the form."""
        done = "What the sources say counts again."
        return self._published(
            lambda by: self._curation.editor().take_back(opened.id, by, opened.version), done, request
        )

    def _published(self, publish: Callable[[str], Entry], done: str, request: gr.Request) -> tuple[Any, ...]:
        """Publish a change in the name of who is signed in; whatever prevents it, the form keeps what was written."""
        by = self._operators.identify(dict(request.cookies))
        try:
            if by is None:
                return *self._form.kept(), note(_SIGNED_OUT)
            entry = publish(by)
            return *self._form.shown(self._curation.items().get(entry.id)), note(escape(done))
        except InUseError:
            return *self._form.kept(), note(_IN_USE)
        except FrontdeskError as error:
            return *self._form.kept(), note(escape(str(error)))

    # ----- search and gaps -------------------------------------------------------------------------------------

    def search(self, message: str, context: str) -> tuple[Any, ...]:
        """Show what a message finds and why."""
        if not message.strip():
            return [], ""
        try:
            found = self._curation.search(message, context)
        except FrontdeskError as error:
            return [], escape(str(error))
        rows = [
            [one.hit.entry.question, words.percent(one.hit.probability), words.reasons(one), one.hit.entry.id]
            for one in found.found
        ]
        return rows, words.findings(found)

    def look(self) -> tuple[Any, ...]:
        """Show what was asked in vain."""
        gaps = self._curation.gaps() if self._curation.ready else []
        drafts = [(gap.questions[0].message_id, gap.questions[0].content, gap.answer) for gap in gaps]
        return [_gap_cells(gap) for gap in gaps], drafts

    def draft(self, drafts: list[tuple[str, str, str]], event: gr.SelectData) -> tuple[Any, ...]:
        """Begin the entry that a line calls for: its question, and the answer that a person gave, if one did."""
        row = event.row_value if isinstance(event.row_value, list) else [""]
        for message_id, question, answer in drafts:
            if message_id == str(row[-1]):
                return *self._form.draft(question, answer), note("")
        return *self._form.kept(), note("")


def _says(entry: Entry, needle: str) -> bool:
    texts = (entry.id, entry.question, *entry.alternatives, entry.answer, entry.heading)
    return not needle or any(needle in text.casefold() for text in texts)


def _cells(item: Item) -> list[str]:
    entry = item.entry
    return [
        entry.question,
        words.beginning(entry.answer),
        entry.subject,
        item.source,
        item.changed or "–",
        words.state(item, datetime.now(UTC).date()),
        entry.id,
    ]


def _gap_cells(gap: Gap) -> list[str]:
    first, nearest = gap.questions[0], gap.nearest
    others = dict.fromkeys(question.content for question in gap.questions if question.content != first.content)
    return [
        first.content,
        str(len(gap.questions)),
        f"{first.asked_at:%Y-%m-%d %H:%M}",
        " · ".join(others),
        nearest.entry.question if nearest else "–",
        words.percent(nearest.probability) if nearest else "–",
        first.message_id,
    ]

"""The customers' page. What it shows always comes from the store, under the visitor that the cookie proves."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from chatbot.errors import FrontdeskError, NotFoundError, StoreError, TurnError
from chatbot.store import mended
from chatbot.types import TurnRequest
from chatbot.ui import messages as shown
from chatbot.ui.screen import SEND, closed, foot, head, note, screen, unchanged, welcome

if TYPE_CHECKING:
    from chatbot.config import Settings
    from chatbot.store import Store, StoredMessage
    from chatbot.store.records import Rating
    from chatbot.web.app import Bot
    from chatbot.web.cookies import Visitors
    from chatbot.web.limits import Limits, Turns

_LOG = logging.getLogger(__name__)
_TICKET = re.compile(r"[0-9a-f]{32}")
_LISTED = 30
_NO_COOKIE = (
    "Your browser does not keep cookies for this chat, so it could not remember what you write. "
    'Allow cookies for it, or <a href="/" target="_blank" rel="noopener">open the chat in its own window</a>.'
)
_NOT_KEPT = "Your message could not be kept, so it was not sent. Please try again in a moment."
_OTHER_PAGE = "This page is out of date. Please load it again."


class ChatPage:
    """Builds the page and answers its events. One object serves all visitors: it keeps nothing of any of them."""

    def __init__(
        self, bot: Bot, store: Store, settings: Settings, visitors: Visitors, limits: Limits, turns: Turns
    ) -> None:
        self._bot, self._store, self._settings = bot, store, settings
        self._visitors, self._limits, self._turns = visitors, limits, turns

    def build(self) -> gr.Blocks:
        """Return the page."""
        settings = self._settings
        with gr.Blocks(title=settings.company, analytics_enabled=False, fill_height=True) as page:
            with gr.Row(elem_id="fd-head"):
                gr.Markdown(head(settings.company), elem_id="fd-title", sanitize_html=True)
                new = gr.Button("New chat", elem_id="fd-new", size="sm", min_width=90, scale=0)
                earlier = gr.Button("Earlier chats", elem_id="fd-earlier", size="sm", min_width=110, scale=0)
            self._is_open = gr.State(False)
            with gr.Column(visible=False, elem_id="fd-drawer") as self._drawer:
                self._list = gr.Dataset(
                    components=["textbox"], samples=[], label="Your earlier chats", elem_id="fd-list", type="values"
                )
            self._chat = self._chatbot()
            self._notice = gr.Markdown(visible=False, elem_id="fd-notice", sanitize_html=True)
            self._again = gr.Button("Try again", visible=False, elem_id="fd-again", size="sm", scale=0)
            with gr.Row(visible=False, elem_id="fd-comment") as self._comment_row:
                self._comment = gr.Textbox(
                    label="What was wrong? (optional)", elem_id="fd-comment-text", scale=4, max_length=1000
                )
                tell = gr.Button("Send feedback", size="sm", scale=0, min_width=130)
            self._loading = gr.Markdown(visible=False, elem_id="fd-loading", sanitize_html=True)
            self._box = gr.Textbox(
                label="Your message",
                show_label=False,
                container=False,
                placeholder="Write a message…",
                elem_id="fd-input",
                lines=1,
                max_lines=6,
                max_length=settings.limits.message_characters * 4,  # longer ones are refused in words, not cut
                submit_btn=SEND,
                autofocus=True,
                html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
            )
            gr.Markdown(foot(settings), elem_id="fd-foot", sanitize_html=True)
            # Names of rows, not proofs: each is looked up under the visitor of the cookie before it is used.
            self._conversation = gr.Textbox(visible="hidden", elem_id="fd-conversation")
            self._ticket = gr.Textbox(visible="hidden", elem_id="fd-ticket")
            self._rated = gr.Textbox(visible="hidden", elem_id="fd-rated")
            timer = gr.Timer(2, active=False)
            self._wire(page, new, earlier, tell, timer)
        return page

    def _chatbot(self) -> gr.Chatbot:
        starters = [{"text": starter} for starter in self._settings.starters]
        return gr.Chatbot(
            elem_id="fd-chat",
            label=f"Chat with {self._settings.company}",
            show_label=False,
            container=False,
            height=None,
            scale=1,
            placeholder=welcome(self._settings),
            examples=starters or None,
            buttons=["copy"],
            layout="bubble",
            sanitize_html=True,
            allow_tags=False,
            latex_delimiters=[],
            line_breaks=False,
            allow_file_downloads=False,
            group_consecutive_messages=False,
            feedback_options=("Like", "Dislike"),
        )

    def _wire(self, page: gr.Blocks, new: gr.Button, earlier: gr.Button, tell: gr.Button, timer: gr.Timer) -> None:
        state = [self._chat, self._box, self._conversation, self._ticket, self._notice, self._again, self._comment_row]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        free = {**quiet, "concurrency_limit": None}
        turn = {**free, "outputs": state}  # how many run at once is for the limits to say, in words
        sent = [self._conversation, self._ticket]
        # What is sent while a reply is written waits for its end; Gradio would drop it otherwise, also in the moment
        # between the reply's last words and the end of its event.
        self._box.submit(self.send, [self._box, *sent], **turn, trigger_mode="always_last")
        self._chat.example_select(self.pick, sent, **turn)
        self._chat.option_select(self.pick, sent, **turn)
        self._chat.retry(self.retry, self._conversation, **turn)
        self._again.click(self.retry, self._conversation, **turn)
        self._box.stop(self.stop, None, None, **free)
        rating = [self._comment_row, self._comment, self._rated, self._notice]
        self._chat.like(self.like, self._conversation, rating, **free)
        tell.click(self.tell, [self._rated, self._comment], rating, **free)
        self._comment.submit(self.tell, [self._rated, self._comment], rating, **free)
        earlier.click(self.toggle, self._is_open, [self._is_open, self._drawer, self._list], **free)
        self._list.click(self.open, self._list, [*state, self._is_open, self._drawer], **free)
        new.click(self.new, None, [*state, self._is_open, self._drawer], **free)
        page.load(self.load, None, [*state, self._loading, timer], **free)
        timer.tick(self.tick, None, [self._loading, timer], **free)

    # ----- events that answer a message ------------------------------------------------------------------------

    def send(self, text: str, conversation_id: str, ticket: str, request: gr.Request) -> Iterator[Any]:
        """Answer what was typed."""
        yield from self._turn(text, conversation_id, ticket, request, typed=True)

    def pick(self, conversation_id: str, ticket: str, request: gr.Request, event: gr.SelectData) -> Iterator[Any]:
        """Answer a first question or a quick reply that was picked."""
        value = event.value.get("text", "") if isinstance(event.value, dict) else event.value
        yield from self._turn(str(value or ""), conversation_id, ticket, request)

    def retry(self, conversation_id: str, request: gr.Request) -> Iterator[Any]:
        """Answer the last message of the conversation once more."""
        visitor_id = self._visitor(request)
        history = self._history(visitor_id, conversation_id)
        asked = next((message for message in reversed(history) if message.role == "user"), None)
        if visitor_id is None or asked is None or asked.client_message_id is None:
            yield screen(notice=_NO_COOKIE if visitor_id is None else _OTHER_PAGE)
            return
        again = TurnRequest(visitor_id, conversation_id, asked.content, asked.client_message_id, retry=True)
        try:
            self._limits.admit(visitor_id, _address(request), asked.content)
        except TurnError as error:
            yield screen(notice=escape(str(error)))
            return
        yield from self._answer(again, request, history[: history.index(asked) + 1])

    def _turn(
        self, text: str, conversation_id: str, ticket: str, request: gr.Request, *, typed: bool = False
    ) -> Iterator[Any]:
        visitor_id = self._visitor(request)
        kept = text if typed else None
        if visitor_id is None:
            yield screen(box=kept, notice=_NO_COOKIE)
            return
        if not text.strip():
            yield screen()
            return
        try:
            self._limits.admit(visitor_id, _address(request), text)
            client_message_id = ticket if _TICKET.fullmatch(ticket or "") else secrets.token_hex(16)
            asked = TurnRequest(visitor_id, conversation_id or None, mended(text).strip(), client_message_id)
            message = self._store.add_message(asked)  # from here on the message is kept, whatever happens
            if message.content != asked.content:  # the page's last message came through, the new ticket did not go back
                asked = replace(asked, client_message_id=secrets.token_hex(16))
                message = self._store.add_message(asked)
        except (TurnError, NotFoundError, StoreError) as error:
            if isinstance(error, StoreError):
                _LOG.error("a message was refused: %s", error)
            yield screen(box=kept, notice=_refusal(error))
            return
        history = self._history(visitor_id, message.conversation_id)
        yield from self._answer(replace(asked, conversation_id=message.conversation_id), request, history)

    def _answer(self, asked: TurnRequest, request: gr.Request, history: list[StoredMessage]) -> Iterator[Any]:
        """Show the reply as it grows, then the conversation as it is kept."""
        before = shown.stored(history)
        yield screen(
            messages=[*before, shown.assistant("", typing=True)],
            box="",
            conversation=asked.conversation_id,
            ticket=secrets.token_hex(16),
            writing=True,
        )
        notice, turn = "", None
        try:
            with self._limits.turn(), self._turns.start(asked.visitor_id, request.session_hash or "") as turn:
                for reply in self._bot.reply(asked, turn.cancelled):
                    if not turn.left:
                        yield screen(messages=[*before, shown.growing(reply)], writing=True)
        except TurnError as error:
            notice = escape(str(error))
        except Exception:  # noqa: BLE001 (the edge: the stack goes to the log, the customer gets a sentence)
            number = secrets.token_hex(4)
            _LOG.exception("turn failed, reference %s", number)
            contact = escape(self._settings.contact)
            notice = f"Something went wrong on our side (reference {number}). Please try again. {contact}"
        if turn and turn.left:  # the page shows something else by now
            yield unchanged()  # Gradio shows a generator's last output once more when it ends
            return
        kept = self._history(asked.visitor_id, asked.conversation_id or "")
        yield screen(
            messages=shown.stored(kept), thumbs=shown.feedback(kept), notice=notice, again=shown.needs_answer(kept)
        )

    # ----- other events ----------------------------------------------------------------------------------------

    def stop(self, request: gr.Request) -> None:
        """Stop the reply that is being written on this page."""
        self._turns.stop(self._visitor(request) or "", request.session_hash or "")

    def like(self, conversation_id: str, request: gr.Request, event: gr.LikeData) -> tuple[Any, ...]:
        """Keep a thumb; a thumb down asks what was wrong."""
        visitor_id = self._visitor(request)
        history = self._history(visitor_id, conversation_id)
        place = event.index if isinstance(event.index, int) else event.index[0]
        if visitor_id is None or not 0 <= place < len(history) or history[place].role != "assistant":
            return gr.skip(), gr.skip(), gr.skip(), note(_OTHER_PAGE)
        value: Rating | None = None  # a thumb that was taken back is an empty word
        if isinstance(event.liked, bool):
            value = "up" if event.liked else "down"
        self._store.rate(history[place].id, visitor_id, value)
        down = value == "down"
        return gr.update(visible=down), "", history[place].id if down else "", note("")

    def tell(self, message_id: str, comment: str, request: gr.Request) -> tuple[Any, ...]:
        """Keep what a visitor says was wrong with a reply."""
        visitor_id = self._visitor(request)
        if visitor_id is not None and message_id and comment.strip():
            try:
                self._store.rate(message_id, visitor_id, "down", comment.strip()[:1000])
            except NotFoundError:
                return gr.skip(), gr.skip(), gr.skip(), note(_OTHER_PAGE)
        return gr.update(visible=False), "", "", note("Thank you, that helps.")

    def toggle(self, is_open: bool, request: gr.Request) -> tuple[Any, ...]:
        """Show or hide the visitor's earlier conversations."""
        if is_open:
            return False, gr.update(visible=False), gr.skip()
        visitor_id = self._visitor(request)
        rows = self._store.conversations(visitor_id, limit=_LISTED) if visitor_id else []
        labels = [f"{row.title or '…'} · {row.updated_at.astimezone():%d %b %Y, %H:%M}" for row in rows]
        return True, gr.update(visible=True), gr.Dataset(samples=[[row.id] for row in rows], sample_labels=labels)

    def open(self, sample: list[str], request: gr.Request) -> tuple[Any, ...]:
        """Open one of the earlier conversations."""
        visitor_id = self._visitor(request)
        self._turns.stop(visitor_id or "", request.session_hash or "", leave=True)
        return *self._opened(visitor_id, str(sample[0])), *closed()

    def new(self, request: gr.Request) -> tuple[Any, ...]:
        """Begin a new conversation; it is kept from its first message on."""
        self._turns.stop(self._visitor(request) or "", request.session_hash or "", leave=True)
        shown_now = screen(messages=[], thumbs=[], box="", conversation="", ticket=secrets.token_hex(16))
        return *shown_now, *closed()

    def load(self, request: gr.Request) -> tuple[Any, ...]:
        """Show the visitor's latest conversation when the page opens."""
        visitor_id = self._visitor(request)
        latest = self._store.conversations(visitor_id, limit=1) if visitor_id else []
        shown_now = self._opened(visitor_id, latest[0].id if latest else "")
        return *shown_now, *self.tick()

    def tick(self) -> tuple[Any, Any]:
        """Say what is being loaded, until all is."""
        if self._bot.ready:
            return gr.update(visible=False), gr.Timer(active=False)
        if self._bot.failed:
            contact = escape(" ".join(self._settings.contact.split()))
            text = f'<p role="status">The assistant could not start. {contact}</p>'
            return gr.update(visible=True, value=text), gr.Timer(active=False)
        words = escape(self._bot.loading or "the models")
        later = "You can write already; it answers as soon as it can."
        text = f'<p role="status">The assistant is starting: {words}. {later}</p>'
        return gr.update(visible=True, value=text), gr.Timer(active=True)

    # ----- parts -----------------------------------------------------------------------------------------------

    def _opened(self, visitor_id: str | None, conversation_id: str) -> tuple[Any, ...]:
        history = self._history(visitor_id, conversation_id)
        return screen(
            messages=shown.stored(history),
            thumbs=shown.feedback(history),
            conversation=conversation_id if history else "",
            ticket=secrets.token_hex(16),
            notice=_NO_COOKIE if visitor_id is None else "",
            again=shown.needs_answer(history),
        )

    def _visitor(self, request: gr.Request) -> str | None:
        """Return the visitor that the cookie proves, if the page's session is theirs."""
        visitor_id = self._visitors.identify(dict(request.cookies))
        if visitor_id is None or not self._turns.owns(visitor_id, request.session_hash or ""):
            return None
        return visitor_id

    def _history(self, visitor_id: str | None, conversation_id: str) -> list[StoredMessage]:
        if visitor_id is None or not conversation_id:
            return []
        try:
            return list(self._store.conversation(conversation_id, visitor_id))
        except NotFoundError:
            return []


def _refusal(error: FrontdeskError) -> str:
    if isinstance(error, TurnError):
        return escape(str(error))
    return _OTHER_PAGE if isinstance(error, NotFoundError) else _NOT_KEPT


def _address(request: gr.Request) -> str:
    return str(request.client.host) if request.client else "unknown"

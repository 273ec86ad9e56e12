"""What the events of the customers' page put on the screen."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from chatbot.config import Settings

SEND = "➤"
STOP = "■"


def screen(
    *,
    messages: list[dict[str, Any]] | None = None,
    thumbs: list[str | None] | None = None,
    box: str | None = None,
    conversation: str | None = None,
    ticket: str | None = None,
    notice: str = "",
    again: bool = False,
    writing: bool = False,
) -> tuple[Any, ...]:
    """Return values for chat, input, conversation, ticket, notice, the button to try again, and no comment field."""
    chat: dict[str, Any] = {} if messages is None else {"value": messages}
    chat |= {} if thumbs is None else {"feedback_value": thumbs}
    field: dict[str, Any] = {"submit_btn": False if writing else SEND, "stop_btn": STOP if writing else False}
    field |= {} if box is None else {"value": box}
    return (
        gr.update(**chat) if chat else gr.skip(),
        gr.update(**field),
        gr.skip() if conversation is None else conversation,
        gr.skip() if ticket is None else ticket,
        note(notice),
        gr.update(visible=again),
        gr.update(visible=False),
    )


def unchanged() -> tuple[Any, ...]:
    """Return values that leave the screen as it is."""
    return tuple(gr.skip() for _ in screen())


def closed() -> tuple[Any, ...]:
    """Return values for the drawer of earlier chats that close it."""
    return False, gr.update(visible=False)


def note(sentence: str) -> Any:
    """Return the value of the line that tells a customer something; `sentence` is HTML, nothing hides the line."""
    text = f'<p role="alert">{sentence}</p>' if sentence else ""
    return gr.update(value=text, visible=bool(sentence))


def head(company: str) -> str:
    """Return the company's name and the notice that no person writes here."""
    return f'<h1>{escape(company)}</h1><p class="fd-ai">You are talking to an AI assistant. It can make mistakes.</p>'


def welcome(settings: Settings) -> str:
    """Return what stands in an empty conversation."""
    greeting = f'<div class="fd-greeting">{escape(settings.greeting)}</div>' if settings.greeting else ""
    return f'<div class="fd-welcome">{greeting}</div>'


def foot(settings: Settings) -> str:
    """Return when and where people of the company can be reached."""
    parts = [escape(part) for part in (settings.hours, settings.contact) if part]
    return f"<p>{' · '.join(parts)}</p>" if parts else ""

"""Stored messages and growing replies in the form in which `gr.Chatbot` shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from chatbot.store import StoredMessage
from chatbot.types import Citation, Option, Reply
from chatbot.web import markup

TYPING = '<span class="fd-typing" role="status" aria-label="The assistant is writing"><i></i><i></i><i></i></span>'
_FEEDBACK = {"up": "Like", "down": "Dislike"}


def customer(content: str) -> dict[str, Any]:
    """Return a customer's message; its text is shown as it was typed."""
    return {"role": "user", "content": f'<div class="fd-said">{markup.text(content)}</div>'}


def assistant(
    text: str,
    *,
    citations: Sequence[Citation] = (),
    options: Sequence[Option] = (),
    contact: str = "",
    note: str = "",
    typing: bool = False,
) -> dict[str, Any]:
    """Return a reply with its sources, its quick replies, the contact line and a note about how it ended."""
    parts = [f'<div class="fd-answer">{markup.markdown(text)}</div>' if text else ""]
    parts.append(TYPING if typing else "")
    parts.append(f'<p class="fd-contact">{markup.text(contact)}</p>' if contact and contact not in text else "")
    parts.append(_sources(citations) if citations else "")
    parts.append(f'<p class="fd-note">{escape(note)}</p>' if note else "")
    message: dict[str, Any] = {"role": "assistant", "content": f'<div class="fd-reply">{"".join(parts)}</div>'}
    if options:
        message["options"] = [{"label": option.label, "value": option.value} for option in options]
    return message


def growing(reply: Reply) -> dict[str, Any]:
    """Return a reply that is still being written."""
    if not reply.done:
        return assistant(reply.text, typing=True)
    return assistant(reply.text, citations=reply.citations, options=reply.options, contact=reply.contact)


def stored(messages: Sequence[StoredMessage]) -> list[dict[str, Any]]:
    """Return a conversation, oldest message first; only the last reply offers its quick replies."""
    shown = []
    for message in messages:
        if message.role == "user":
            shown.append(customer(message.content))
            continue
        last = message is messages[-1]
        shown.append(
            assistant(
                message.content,
                citations=message.citations,
                options=message.options if last else (),
                contact=message.contact,
                note=_ending(message),
                typing=message.status == "generating" and not message.content,
            )
        )
    return shown


def feedback(messages: Sequence[StoredMessage]) -> list[str | None]:
    """Return the thumbs of the replies, in order."""
    return [_FEEDBACK.get(message.rating or "") for message in messages if message.role == "assistant"]


def needs_answer(messages: Sequence[StoredMessage]) -> bool:
    """Say whether the conversation ends without a whole reply."""
    return bool(messages) and (messages[-1].role == "user" or messages[-1].status in ("interrupted", "failed"))


def _ending(message: StoredMessage) -> str:
    endings: Mapping[str, str] = {
        "interrupted": "Stopped before the end." if message.content else "Stopped before it began.",
        "failed": "This reply could not be finished.",
    }
    return endings.get(message.status, "")


def _sources(citations: Sequence[Citation]) -> str:
    """Each source opens on the spot; its text is the entry as it stood when it was cited."""
    items = []
    for citation in citations:
        page = (
            f'<a href="/sources/{quote(citation.entry_id, safe="")}" target="_blank" rel="noopener">Open this entry</a>'
        )
        site = markup.link(citation.url, "On our site") if citation.url else ""
        links = " · ".join(part for part in (page, site) if part)
        items.append(
            f'<details class="fd-source"><summary><span class="fd-number">{citation.number}</span>'
            f"{markup.line(citation.title)}</summary>"
            f'<div class="fd-entry">{markup.markdown(citation.text)}<p class="fd-links">{links}</p></div></details>'
        )
    label = "Source" if len(items) == 1 else "Sources"
    return f'<div class="fd-sources"><span class="fd-label">{label}</span>{"".join(items)}</div>'

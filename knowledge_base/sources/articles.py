"""The articles of a help centre as its API exports them: Zendesk Guide and Intercom, told apart by their content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from knowledge_base.sources import html, limits
from knowledge_base.sources.document import Document, UnreadableError, UnrecognisedError

KINDS = "an export of articles from Zendesk Guide or Intercom"


@dataclass(slots=True)
class Articles:
    """The published articles of an export, how many drafts were left out, and what was refused."""

    documents: list[Document] = field(default_factory=list)
    drafts: int = 0
    refused: list[UnreadableError] = field(default_factory=list)


def articles(data: bytes) -> Articles:
    """Read an export.

    Raises:
        UnrecognisedError: it is JSON of another kind.
        UnreadableError: it is no JSON.
    """
    try:
        content = json.loads(data)
    except UnicodeDecodeError:
        raise UnreadableError("expected JSON in UTF-8, got other bytes. Export it again.") from None
    except json.JSONDecodeError as error:
        reason = f"expected JSON, got none: {error.msg} at character {error.pos + 1}. Is the file whole?"
        raise UnreadableError(reason, f"line {error.lineno}") from None
    except (RecursionError, ValueError):
        raise UnreadableError("expected JSON, got it nested too deep or with a number too long.") from None
    found = Articles()
    seen: set[str] = set()
    for position, (article, read) in enumerate(_listed(content), start=1):
        number = article.get("id") if isinstance(article, dict) else None
        place = f"article {number}" if isinstance(number, int | str) and str(number) else f"article at place {position}"
        try:
            if not isinstance(article, dict):
                raise UnreadableError(f"expected an object, got {type(article).__name__}.")
            documents = list(read(article, place))
            if seen & {document.key for document in documents}:
                raise UnreadableError("expected every article once, got it again. Remove one.")
            seen.update(document.key for document in documents)
            found.documents.extend(documents)
            found.drafts += not documents
        except UnreadableError as error:
            found.refused.append(UnreadableError(str(error), place))
    return found


def _listed(content: object) -> Iterator[tuple[Any, Any]]:
    """Yield each article with the function that reads it."""
    if isinstance(content, dict):
        if isinstance(content.get("articles"), list):
            yield from ((article, _zendesk) for article in content["articles"])
            return
        if isinstance(content.get("data"), list) and _is_intercom(content):
            yield from ((article, _intercom) for article in content["data"])
            return
    raise UnrecognisedError(f"expected {KINDS}, got other JSON. Other data goes in as JSON Lines (.jsonl).")


def _is_intercom(content: Mapping[str, Any]) -> bool:
    if content.get("type") == "article.list":
        return True
    return any(isinstance(item, dict) and {"title", "body", "state"} <= set(item) for item in content["data"])


def _zendesk(article: Mapping[str, Any], place: str) -> Iterator[Document]:
    if article.get("draft") is True:
        return
    locale = _text(article, "locale")
    yield _document(
        article,
        place,
        key=f"zendesk:{_number(article)}:{locale}",
        url=_text(article, "html_url"),
        locale=locale,
        # Articles for signed-in customers or for agents belong to segments; those for everybody to none.
        visibility="public"
        if article.get("user_segment_id") is None and not article.get("user_segment_ids")
        else "internal",
    )


def _intercom(article: Mapping[str, Any], place: str) -> Iterator[Document]:
    default = _text(article, "default_locale")
    translations = article.get("translated_content")
    versions: dict[str, Mapping[str, Any]] = {default: article}
    if isinstance(translations, dict):
        versions |= {k: v for k, v in translations.items() if isinstance(v, dict) and k not in (default, "type")}
    for locale, version in versions.items():
        if _text(version, "state") == "published":
            key = f"intercom:{_number(article)}:{locale}"
            url = _text(version, "url")
            yield _document(version, place, key=key, url=url, locale=locale, visibility="public")


def _document(article: Mapping[str, Any], place: str, *, key: str, url: str, locale: str, visibility: str) -> Document:
    title, body = _text(article, "title").strip(), _text(article, "body")
    if not title:
        raise UnreadableError("expected a title, got none.")
    for name, value in (("title", title), ("body", body)):
        if "\0" in value:
            raise UnreadableError(f"{name}: expected text, got a NUL character in it.")
    if len(body) > limits.CHARACTERS:
        raise UnreadableError(f"expected at most {limits.CHARACTERS:,} characters, got {len(body):,}.")
    markdown = html.convert(body, url)
    if not markdown:
        raise UnreadableError("expected a body with text, got none.")
    return Document(
        title=title,
        markdown=markdown,
        over_all=True,
        url=url if url.startswith(("https://", "http://")) else "",
        language=locale[:2].lower() if locale[2:3] in ("", "-", "_") else "",
        updated_at=_time(article.get("updated_at")),
        visibility=visibility,
        key=key,
        part="#" + key.split(":")[1],
        place=place,
    )


def _number(article: Mapping[str, Any]) -> str:
    number = article.get("id")
    if isinstance(number, bool) or not isinstance(number, int | str) or not str(number).strip():
        raise UnreadableError("expected an id, got none.")
    return str(number).strip()[:80]


def _text(article: Mapping[str, Any], key: str) -> str:
    value = article.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableError(f"{key}: expected text, got {type(value).__name__}.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise UnreadableError(f"{key}: expected text, got half of a character pair.")
    return value


def _time(value: object) -> str:
    """Return a time in ISO 8601: Zendesk gives it so, Intercom in seconds since 1970."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).isoformat()
        return datetime.fromisoformat(str(value)).isoformat() if value else ""
    except (ValueError, OverflowError, OSError):
        return ""

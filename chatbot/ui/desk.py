"""What the operators' pages have in common: the bar at their top."""

from __future__ import annotations

from html import escape

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

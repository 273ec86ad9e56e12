"""The few pages that are not Gradio's: one source, the sign-in, and the script for a company's own site."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING

from chatbot.web import markup

if TYPE_CHECKING:
    from knowledge_base.entry import Entry

STYLE = """
:root { color-scheme: light dark; --ink: #1f2937; --soft: #6b7280; --paper: #f8fafc; --card: #fff; --line: #e2e8f0;
        --accent: #0f766e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e5e7eb; --soft: #9ca3af; --paper: #0b1220; --card: #131c2e; --line: #263248; --accent: #2dd4bf; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
       font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 42rem; margin: 0 auto; padding: 1.5rem 2rem 2rem; background: var(--card);
       border: 1px solid var(--line); border-radius: 14px; overflow-wrap: anywhere; }
main.narrow { max-width: 24rem; margin-top: 10vh; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: .3rem 0 1rem; }
a { color: var(--accent); } .soft { color: var(--soft); font-size: .9rem; margin: 0; }
label { display: block; margin: 1rem 0 .3rem; font-weight: 600; font-size: .95rem; }
input { width: 100%; padding: .65rem .75rem; font: inherit; color: inherit; background: var(--paper);
        border: 1px solid var(--line); border-radius: 9px; }
button { margin-top: 1.4rem; width: 100%; padding: .7rem; font: inherit; font-weight: 600; color: #fff; border: 0;
         background: #0f766e; border-radius: 9px; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.error { margin: 1rem 0 0; padding: .6rem .8rem; border-radius: 9px; background: #fee2e2; color: #7f1d1d; }
table { border-collapse: collapse; } td, th { border: 1px solid var(--line); padding: .3rem .6rem; }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

_PAGE = Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
    "<title>$title</title><style>$style</style></head><body>$body</body></html>"
)


def source(entry: Entry, company: str) -> str:
    """Return the page that shows one knowledge entry."""
    trail = " · ".join(escape(part) for part in (company, entry.category, entry.subject) if part)
    origin = markup.link(entry.url, "Read it on our site") if entry.url else ""
    updated = f"Last updated {escape(entry.updated_at[:10])}." if entry.updated_at else ""
    foot = " ".join(part for part in (origin, updated) if part)
    return _page(
        entry.question,
        f'<main><p class="soft">{trail}</p><h1>{escape(entry.question)}</h1>{markup.markdown(entry.answer)}'
        f'<p class="soft">{foot}</p></main>',
    )


def missing_source(company: str) -> str:
    """Return the page shown when an entry is not there any more."""
    body = "The chat quoted this text when it answered; the company has withdrawn it since."
    return _page(
        "Source not available",
        f'<main><p class="soft">{escape(company)}</p><h1>This source is no longer available</h1><p>{body}</p></main>',
    )


def sign_in(company: str, name: str = "", error: str = "") -> str:
    """Return the sign-in form of the operators, with the name that was tried and why it failed."""
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return _page(
        f"Sign in · {company}",
        f'<main class="narrow"><p class="soft">{escape(company)}</p><h1>Operator sign-in</h1>{alert}'
        '<form method="post" action="/sign-in"><label for="name">Name</label>'
        f'<input id="name" name="name" value="{escape(name)}" autocomplete="username" required autofocus>'
        '<label for="password">Password</label><input id="password" name="password" type="password" '
        'autocomplete="current-password" required><button>Sign in</button></form></main>',
    )


def _page(title: str, body: str) -> str:
    return _PAGE.substitute(title=escape(title), style=STYLE, body=body)

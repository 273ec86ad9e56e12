"""A turn in words: what was understood, what was found, what was decided and why. All of it escaped text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

from chatbot.curation import Finding, Findings, Item
from chatbot.store import TurnRecord
from chatbot.types import Citation, Decision
from chatbot.web import markup
from knowledge_base.edits import Edit

KINDS: Mapping[str, str] = {
    "approved": "Sent an approved answer, word for word",
    "grounded": "Wrote an answer from entries",
    "ask": "Asked back",
    "act": "Carried out an action",
    "chat": "Made small talk",
    "offer": "Offered something",
    "hand_over": "Handed over to a person",
    "decline": "Declined to answer",
}
REASONS: Mapping[str, str] = {
    "entry_answers": "one approved entry answers with the fitted certainty",
    "reading_picked": "the customer picked this entry of those offered",
    "evidence_supports": "the model wrote from the entries and the gate agreed",
    "evidence_quoted": "what the model wrote did not pass the gate, so the entry itself is quoted",
    "unclear": "two readings are likely and neither is certain",
    "small_talk": "no fact was asked for",
    "nothing_fits": "no entry answers",
    "none_picked": "the customer meant none of the entries offered",
    "out_of_scope": "it is not a matter of this company",
    "person_wanted": "the customer asked for a person",
    "model_failed": "a part failed while answering",
}
SETS: Mapping[str, str] = {
    "intent": "Intent",
    "next_step": "Next step",
}
SUPPORT: Mapping[str, str] = {
    "full": "wholly",
    "part": "in part",
    "none": "not at all",
}
WITNESSES: Sequence[str] = ("both", "model", "encoder", "person")
STEPS: Mapping[str, str] = {
    "read": "understanding",
    "find": "searching",
    "decide": "deciding",
    "write": "writing",
    "first_text": "until the first words",
}
SOURCES: Mapping[str, str] = {
    "adapter": "Adapter",
    "knowledge": "Knowledge",
    "calibration": "Calibration",
    "prompt_sha256": "Prompt",
    "seed": "Seed",
}
FEATURES: Mapping[str, str] = {
    "question": "Its question is near in meaning",
    "whole": "As a whole it is near in meaning",
    "question_in_context": "Its question is near, with the message before",
    "whole_in_context": "As a whole it is near, with the message before",
    "regression": "All texts and past questions near the message point at it",
    "regression_in_context": "All texts and past questions near it and the message before point at it",
    "words": "It shares words",
    "wording": "It says the words or others like them",
    "context_words": "It shares words with the message before",
    "recent": "It was just cited",
    "subject": "Its subject is named",
    "subject_before": "Its subject was spoken of before",
    "category": "Its category is named",
    "category_before": "Its category was spoken of before",
    "likeness": "The message is like the likeliest entries' questions",
    "background": "The message is like what people say that asks nothing",
    "length": "The message is long",
    "together": "What speaks for the entries, together",
    "nothing": "Fixed part",
}
_TOLD = {"hits", "pointers", "seconds", "support", "out_of_scope", *SOURCES}


def conversation(turns: Sequence[TurnRecord], visitor_id: str = "") -> str:
    """Return a visitor's conversation as an operator reads it: each turn with what led to its reply."""
    if not turns:
        return "<p>Choose a conversation in the list.</p>"
    head = f'<p class="fd-when">Visitor {escape(visitor_id)}</p>' if visitor_id else ""
    return f'<div class="fd-turns">{head}{"".join(_turn(turn) for turn in turns)}</div>'


def decision(made: Decision | None) -> str:
    """Return one sentence on what was decided and why."""
    if made is None:
        return "Nothing was decided: the turn ended before."
    sentence = f"{KINDS.get(made.kind, made.kind)}, because {REASONS.get(made.reason, made.reason)}"
    return sentence + (f" (probability {percent(made.probability)})." if made.probability is not None else ".")


def findings(found: Findings) -> str:
    """Return why hits rank where they do, of each feature its value times its weight; and why something or nothing fits."""
    shown = found.found
    names = [name for name in (shown[0].values if shown else ()) if any(round(one.values[name], 2) for one in shown)]
    rows = [
        (FEATURES.get(name, name), *(_share(one.values[name], one.contributions[name]) for one in shown))
        for name in names
    ]
    rows += [
        ("Sum", *(f"{one.hit.score:+.2f}" for one in shown)),
        ("Answers with", *(percent(one.hit.probability) for one in shown)),
    ]
    heads = ("", *(f"{rank}. {one.hit.entry.question}" for rank, one in enumerate(shown, start=1)))
    why = "; ".join(f"{FEATURES[name]} {value:+.1f}" for name, value in found.reasons.items() if round(value, 1))
    nothing = f'<p class="fd-why">Nothing fits: {percent(found.nothing)}</p>'
    nothing += f"<p>Log-odds that an entry answers: {why}</p>" if shown else ""
    told = (
        "<p>Which entry it is, if any, follows from the sums of the columns, each value times its fitted weight. The probabilities "
        "of all entries and of “nothing fits” together are 100 %.</p>"
    )
    return f'<div class="fd-found">{nothing}{_table("Why", heads, rows) + told if shown else ""}</div>'


def reasons(finding: Finding) -> str:
    """Return what speaks for a hit in words, the strongest first."""
    strongest = sorted(finding.contributions.items(), key=lambda pair: -abs(pair[1]))
    return "; ".join(f"{FEATURES.get(name, name)} {value:+.1f}" for name, value in strongest if round(value, 1))


def entry_head(item: Item | None) -> str:
    """Return what is known of an entry beside its text: where it comes from, who changed it, what the sources say."""
    if item is None:
        return "<h2>New entry</h2>"
    entry, edit = item.entry, item.edit
    facts = [f"id {entry.id}", f"from {item.source}" if item.source else "", entry.heading]
    facts += [f"last changed {item.changed}" if item.changed else ""]
    facts += [f"changed by {edit.by}, {edit.at[:16].replace('T', ' ')} UTC" if edit else ""]
    title = "Retired entry" if edit and edit.retired else "Entry"
    line = " · ".join(escape(fact) for fact in facts if fact)
    return f'<h2>{title}</h2><p class="fd-when">{line}</p>{_of_source(edit)}'


def state(item: Item, today: date) -> str:
    """Return the states of an entry, and from when to when it is in force."""
    bounds = (("from", item.entry.valid_from), ("until", item.entry.valid_until))
    return " · ".join([*item.states(today), *(f"{word} {day[:10]}" for word, day in bounds if day)])


def beginning(text: str) -> str:
    """Return the first words of a text on one line."""
    return textwrap.shorten(text, 120, placeholder=" …")


def _of_source(edit: Edit | None) -> str:
    if edit is None or edit.source is None or edit.source == edit.entry:
        return ""
    said = f"<p><b>{markup.line(edit.source.question)}</b></p><p>{markup.text(edit.source.answer)}</p>"
    return f"<details><summary>What the sources say</summary>{said}</details>"


def _share(value: float, contribution: float) -> str:
    return f"{value:.2f} × {contribution / value:.2f} = {contribution:+.2f}" if value else "0"


def percent(probability: float | None) -> str:
    """Return a probability as text."""
    return "–" if probability is None else f"{100 * probability:.1f} %"


def _turn(turn: TurnRecord) -> str:
    state = [] if turn.status == "done" else [f"{turn.status}"]
    state += ["replaced by a later reply"] if turn.superseded else []
    state += [f"thumb {turn.rating}"] if turn.rating else []
    tags = "".join(f'<span class="fd-tag">{escape(tag)}</span>' for tag in state)
    remark = f'<p class="fd-remark">“{markup.text(turn.comment)}”</p>' if turn.comment else ""
    time = f"{turn.started_at:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f'<section class="fd-turn"><p class="fd-when">{time} {tags}</p>'
        f'<div class="fd-line"><b>Customer</b><div>{markup.text(turn.message.content)}</div></div>'
        f'<div class="fd-line"><b>Reply</b><div>{markup.text(turn.reply.content) or "–"}</div></div>{remark}'
        f'<p class="fd-why">{escape(decision(turn.decision))}</p>'
        f"<details><summary>How it came about</summary>{_trace(turn)}</details></section>"
    )


def _trace(turn: TurnRecord) -> str:
    parts = [_understood(turn), _scope(turn.trace), _found(turn), _support(turn.trace), _cited(turn.reply.citations)]
    parts += [_timings(turn), _sources(turn.trace)]
    rest = {key: value for key, value in turn.trace.items() if key not in _TOLD}
    if rest:
        parts.append(_table("Further details", ("", ""), [(key, _plain(value)) for key, value in rest.items()]))
    return "".join(part for part in parts if part) or "<p>No trace was kept.</p>"


def _understood(turn: TurnRecord) -> str:
    tables = []
    for name in dict.fromkeys(label.set for label in turn.labels):
        labels = [label for label in turn.labels if label.set == name]
        witnesses = [witness for witness in WITNESSES if any(label.witness == witness for label in labels)]
        values: dict[tuple[str, str], float] = {(label.label, label.witness): label.probability for label in labels}
        rows = [
            (label, *(percent(values.get((label, witness))) for witness in witnesses))
            for label in dict.fromkeys(label.label for label in labels)
        ]
        title = f"Understood: {SETS.get(name, name)}"
        tables.append(_table(title, ("", *(f"by {witness}" for witness in witnesses)), rows))
    return "".join(tables)


def _found(turn: TurnRecord) -> str:
    rows = []
    for hit in turn.trace.get("hits") or []:
        if isinstance(hit, Mapping):
            score = _number(hit.get("score"), plain=True)
            rows.append((str(hit.get("id", "?")), _number(hit.get("probability")), score))
    return _table("Found in the knowledge base", ("entry", "answers with", "score"), rows) if rows else ""


def _scope(trace: Mapping[str, Any]) -> str:
    probability = trace.get("out_of_scope")
    return "" if probability is None else f"<p>None of the known intents: {escape(_number(probability))}.</p>"


def _support(trace: Mapping[str, Any]) -> str:
    support = trace.get("support")
    if not isinstance(support, Mapping) or not support:
        return ""
    words = ", ".join(f"{SUPPORT.get(label, label)} {_number(value)}" for label, value in support.items())
    first = ", ".join(f"[{place}] {_number(value)}" for place, value in enumerate(trace.get("pointers") or [], start=1))
    begins = f" A reply would begin with entry {escape(first)} of those found." if first else ""
    return f"<p>The model read the entries; they answer the question: {escape(words)}.{begins}</p>"


def _cited(citations: Sequence[Citation]) -> str:
    rows = [(f"[{cited.number}] {cited.entry_id}", cited.title) for cited in citations]
    return _table("Cited", ("entry", "title"), rows) if rows else ""


def _timings(turn: TurnRecord) -> str:
    seconds = [(STEPS.get(step, step), value) for step, value in turn.seconds.items()]
    words = ", ".join(f"{step} {value:.2f} s" for step, value in seconds if isinstance(value, int | float))
    return f"<p><b>Time:</b> {escape(words)}.</p>" if words else ""


def _sources(trace: Mapping[str, Any]) -> str:
    rows = [(name, _plain(trace[key])) for key, name in SOURCES.items() if trace.get(key) not in (None, "")]
    return _table("Made with", ("", ""), rows) if rows else ""


def _number(value: object, *, plain: bool = False) -> str:
    if not isinstance(value, int | float):
        return "–"
    return f"{value:.3f}" if plain else percent(float(value))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{markup.line(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{markup.line(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    top = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    return f"<h4>{escape(title)}</h4><table>{top}<tbody>{body}</tbody></table>"

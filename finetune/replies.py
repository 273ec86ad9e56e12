"""How well replies are written: perplexity of people's replies, and what is written for a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from chatbot import gate
from chatbot.model import reply_pieces
from chatbot.prompt import Renderer
from chatbot.writer import Writing
from finetune.reading import PACK_TOKENS, read_trees
from finetune.student import Reader, Student

if TYPE_CHECKING:
    from chatbot.engines.bases import Base
    from chatbot.model import Adapter
    from chatbot.types import Message
    from finetune.data import Lesson
    from finetune.tree import Tree
    from knowledge_base.entry import Entry


def reply_report(
    student: Student,
    adapter: Adapter,
    base: Base,
    renderer: Renderer,
    lessons: Sequence[Lesson],
    trees: Sequence[Tree],
    n_replies: int,
    *,
    bf16: bool,
) -> dict[str, Any]:
    """Return the measures of the adapted model and, under `base`, those of the base alone on the same turns."""
    asked = _asked(lessons)
    asked = asked[:: max(1, len(asked) // n_replies)][:n_replies] if n_replies else []
    report = _measures(student, renderer, trees, asked, base, adapter, bf16=bf16)
    with student.model.disable_adapter():
        report["base"] = _measures(student, renderer, trees, asked, base, None, bf16=bf16)
    return report


def _asked(lessons: Sequence[Lesson]) -> list[tuple[Any, tuple[Entry, ...], str]]:
    """Return (messages up to the customer's, entries shown, the person's reply) of turns that train writing."""
    asked = []
    for lesson in lessons:
        messages = lesson.transcript.messages
        for turn in lesson.turns:
            evidence = next((e for e in turn.evidence if e.sentences), None)
            if evidence or turn.writes:
                entries = evidence.entries if evidence else ()
                asked.append((messages[: turn.message + 1], entries, messages[turn.message + 1].content))
    return asked


def _measures(
    student: Student,
    renderer: Renderer,
    trees: Sequence[Tree],
    asked: Sequence[tuple[Any, tuple[Entry, ...], str]],
    base: Base,
    adapter: Adapter | None,
    *,
    bf16: bool,
) -> dict[str, Any]:
    words = read_trees(Reader(student, bf16=bf16), renderer.system, trees, PACK_TOKENS).words
    found: dict[str, Any] = {"n": len(asked), "perplexity": float(np.exp(-words.mean()))}
    if not asked:
        return found
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import corpus_chrf

    from chatbot.engines.transformers import TransformersEngine

    engine = TransformersEngine.load(base.folder, adapter.folder if adapter else None, {})
    written, ended, passed = [], 0, 0
    for messages, entries, _ in asked:
        shown = renderer.fitting(entries)
        writing = Writing(reply_pieces(engine, renderer, messages, shown, Event()))
        whole = "".join(writing)
        ended += writing.ended
        text, good = _through_gate(whole, messages, shown, cut=not writing.ended)
        passed += good
        written.append(text)
    wanted = [reply for _, _, reply in asked]
    scorer = RougeScorer(["rougeL"])
    rouge = [scorer.score(w, t)["rougeL"].fmeasure for w, t in zip(wanted, written, strict=True)]
    return {
        **found,
        "chrf": float(corpus_chrf(written, [wanted]).score),
        "rouge_l": float(np.mean(rouge)),
        "ends_by_itself": ended / len(asked),
        "passes_gate": passed / len(asked),
    }


def _through_gate(text: str, messages: Sequence[Message], shown: Sequence[Entry], *, cut: bool) -> tuple[str, bool]:
    """Return the text without pointers, and whether the gate would let it pass as it does when serving.

    Without entries a reply may repeat what was said; the company's name and contact, which serving knows, it does not know.
    """
    text = text.strip()
    if not shown:
        return text, not cut and gate.ungrounded(text, [message.content for message in messages]) is None
    watch = gate.Gate(shown)
    sentences = [*watch.feed(text), *watch.close(cut=cut)]
    good = watch.violation is None and bool(sentences)
    return " ".join(sentence.text for sentence in sentences) or text, good

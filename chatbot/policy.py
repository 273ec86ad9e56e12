"""What kind of reply a turn gets: a pure function of what was understood, found and fitted.

The order is from the surest ground to none: what was picked of what was offered, small talk, an approved entry, a
wish for a person, matters of others, a reply written from entries, a question back, and at last the word that we
cannot help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chatbot.calibration import Calibration, found_features, read_features
from chatbot.readings import NONE
from chatbot.types import Decision, EvidenceReading, Understanding
from knowledge_base.entry import Entry, Hit

CHAT, ASK, HAND_OVER, DECLINE = "chat", "ask", "hand_over", "decline"  # next steps with a meaning for the policy


def decide(
    understanding: Understanding,
    hits: Sequence[Hit],
    calibration: Calibration | None,
    read_evidence: Callable[[], EvidenceReading] | None = None,
    message: str = "",
    picked: str | None = None,
) -> Decision:
    """Return the decision for a turn.

    Args:
        understanding: what the message means; empty without an adapter.
        hits: what search found, likeliest first.
        calibration: the fitted numbers; without them no answer is certain, and the nearest entries are offered.
        read_evidence: has the model read the entries; asked only where it matters; None without an adapter, and then nothing
            is written.
        message: what the customer wrote; an entry that asks the same word for word answers it, with a calibration or without.
        picked: what the message picks of the readings offered before, see `readings.picked`.
    """
    if picked == NONE:
        return Decision("decline", "none_picked")
    meant = next((hit.entry for hit in hits if hit.entry.id == picked), None)
    if meant:  # nothing is surer than what customers say they mean
        return Decision("approved" if meant.approved else "grounded", "reading_picked", (meant.id,))
    same = _asking_the_same(hits, message)
    if calibration is None:
        return _uncalibrated(hits, same)
    best = same or (hits[0] if hits else None)
    certainty = best.probability if best else 0.0
    steps = understanding.next_step
    sure_step = _sure_step(steps, calibration)
    if sure_step == CHAT and not same and steps[CHAT] > certainty:
        return Decision("chat", "small_talk", probability=steps[CHAT])
    if best and best.entry.approved and (same or certainty >= calibration.threshold("approved")):
        return Decision("approved", "entry_answers", (best.entry.id,), certainty)
    if sure_step == HAND_OVER:
        return Decision("decline", "person_wanted", probability=steps[HAND_OVER])
    outside = understanding.out_of_scope or 0.0
    if sure_step == DECLINE or outside >= calibration.threshold("out_of_scope"):
        return Decision("decline", "out_of_scope", probability=max(outside, steps.get(DECLINE, 0.0)))
    if best and read_evidence and calibration.evidence:
        known = read_features(hits, read_evidence()) if calibration.reads else found_features(hits)
        rightness = calibration.evidence(known)
        if rightness >= calibration.threshold("grounded"):
            return Decision("grounded", "evidence_supports", tuple(hit.entry.id for hit in hits), rightness)
    if sure_step == ASK:
        return Decision("ask", "unclear", probability=steps[ASK])
    nearest = sum(hit.probability for hit in hits[:2])
    if best and nearest >= calibration.threshold("ask"):
        return Decision("ask", "unclear", tuple(hit.entry.id for hit in hits[:2]), min(nearest, 1.0))
    anything = sum(hit.probability for hit in hits)
    return Decision("decline", "nothing_fits", probability=max(0.0, 1.0 - anything))


def _sure_step(steps: Mapping[str, float], calibration: Calibration) -> str:
    """Return the likeliest next step if it is certain enough, else an empty string."""
    step = max(steps, key=lambda name: steps[name], default="")
    return step if step and steps[step] >= calibration.threshold(f"step:{step}") else ""


def _uncalibrated(hits: Sequence[Hit], same: Hit | None) -> Decision:
    """Answer word for word what was asked word for word; else offer the two nearest entries."""
    if not hits:
        return Decision("decline", "nothing_fits")
    if same:
        return Decision("approved", "entry_answers", (same.entry.id,))
    return Decision("ask", "unclear", tuple(hit.entry.id for hit in hits[:2]))


def _asking_the_same(hits: Sequence[Hit], message: str) -> Hit | None:
    """Return the one approved entry that asks word for word what the message asks, its subject among the words.

    None where several do, or where the words do not say of which subject: hundreds of entries may answer "is there parking".
    """
    asked = _plain(message)
    found = [hit for hit in hits if hit.entry.approved and asked in _asked_alone(hit.entry)]
    return found[0] if len(found) == 1 else None


def _asked_alone(entry: Entry) -> set[str]:
    """Return the texts that ask for an entry by themselves: those that name its subject if it has one."""
    texts = map(_plain, (entry.question, *entry.alternatives))
    return {text for text in texts if _plain(entry.subject) in text}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip("?!. ")

"""From transcripts to training trees: what each turn teaches, and why a reply is or is not learnt.

A reply is a target for writing only if it would pass the gate: with the entries it names, or with entries
that search finds for it. Replies without facts train as they are. The others stand as history and are counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatbot import gate
from chatbot.labels import OUT_OF_SCOPE
from chatbot.model import SHOWN_ENTRIES
from chatbot.prompt import Renderer
from chatbot.types import Message, said_before
from finetune.redaction import PLACEHOLDERS
from finetune.tree import ROOT, Node, Tree
from knowledge_base.entry import Entry

if TYPE_CHECKING:
    from finetune.transcripts import Transcript
    from knowledge_base.search import KnowledgeBase

SUPPORT = ("full", "part", "none")
MISSING = 1 / 4  # of the turns that entries answer are shown without them too: one row in five that is read


@dataclass(frozen=True, slots=True)
class Evidence:
    """Entries shown to one turn: how far they support an answer, and the answer written from them (or none).

    `altered` is the kind of the fact that was changed in entries and answer, if one was (see `finetune.alterations`).
    """

    entries: tuple[Entry, ...]
    support: str
    sentences: tuple[tuple[int, str], ...] = ()
    altered: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one customer message teaches. `message` is its index; `writes` says that the reply trains as it is.

    `silent` teaches too that nothing is written where no entry answers, nor, without entries, what stands in them.
    """

    message: int
    writes: bool = False
    evidence: tuple[Evidence, ...] = ()
    silent: bool = False


@dataclass(slots=True)
class Labels:
    """Label names a set, in row order."""

    sets: Mapping[str, tuple[str, ...]]
    index: dict[str, dict[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.index = {name: {label: i for i, label in enumerate(labels)} for name, labels in self.sets.items()}

    @classmethod
    def of(cls, transcripts: Sequence[Transcript]) -> Labels:
        """Collect the labels that occur, sorted by name."""
        messages = [message for transcript in transcripts for message in transcript.messages]
        intents = {intent for m in messages if m.role == "user" for intent in m.intents}
        steps = {action for m in messages if (action := human_action(m))}
        sets = {"intent": tuple(sorted(intents)), "next_step": tuple(sorted(steps)), "support": SUPPORT}
        return cls({name: labels for name, labels in sets.items() if labels})

    def target(self, name: str, labels: Sequence[str]) -> dict[int, float]:
        """Return the target distribution over a set; labels that the set does not know are left out."""
        known = [self.index[name][label] for label in labels if label in self.index.get(name, {})]
        return {i: 1 / len(known) for i in known}


@dataclass(slots=True)
class Lesson:
    """A transcript with what its turns teach."""

    transcript: Transcript
    turns: list[Turn]


def lessons(
    transcripts: Sequence[Transcript],
    knowledge: KnowledgeBase | None,
    *,
    unsupported_too: bool = False,
    seed: int = 0,
) -> tuple[list[Lesson], Counter[str]]:
    """Decide for every reply whether and how it trains writing; also return the counts of the decisions."""
    counts: Counter[str] = Counter()
    taught = []
    for transcript in transcripts:
        chance = random.Random(f"{seed}:{transcript.id}")  # noqa: S311 (variety of training rows, not secrecy)
        turns = [
            _turn(transcript.messages, index, knowledge, counts, chance, unsupported_too=unsupported_too)
            for index, message in enumerate(transcript.messages)
            if message.role == "user"
        ]
        taught.append(Lesson(transcript, turns))
    return taught, counts


def _turn(
    messages: Sequence[Message],
    index: int,
    knowledge: KnowledgeBase | None,
    counts: Counter[str],
    chance: random.Random,
    *,
    unsupported_too: bool,
) -> Turn:
    reply = reply_to(messages, index)
    if reply is None or reply.role != "assistant":
        return Turn(index)
    found = _found(knowledge, messages, index)
    unanswerable = OUT_OF_SCOPE in messages[index].intents or human_action(reply) == "decline"
    refusal = (Evidence(found[:SHOWN_ENTRIES], "none"),) if found and unanswerable else ()
    if by_bot(reply):
        counts["written by a bot"] += 1
        return Turn(index, evidence=refusal)
    if reply.content == reply.action:  # stories of other bots know steps without words
        counts["name a step only"] += 1
        return Turn(index, evidence=refusal)
    named = _named(knowledge, reply)
    evidence = grounded(reply.content, named, named, found, chance)
    if evidence:
        counts["grounded in the entries they name"] += 1
        return Turn(index, evidence=evidence)
    if not gate.has_facts(reply.content) and not any(mark in reply.content for mark in PLACEHOLDERS.values()):
        counts["without facts"] += 1
        return Turn(index, writes=True, evidence=refusal)
    evidence = grounded(reply.content, _for_reply(knowledge, reply, found), named, found, chance)
    if evidence:
        counts["grounded in entries that search finds"] += 1
        return Turn(index, evidence=evidence)
    counts["state facts that no entry holds"] += 1
    return Turn(index, writes=unsupported_too, evidence=refusal)


def _named(knowledge: KnowledgeBase | None, reply: Message) -> tuple[Entry, ...]:
    """Return the entries that a reply names, but for those that customers must not see."""
    entries = knowledge.entries if knowledge else {}
    named = (entries[i] for i in reply.evidence if i in entries)
    return tuple(entry for entry in named if entry.visibility == "public")


def _for_reply(knowledge: KnowledgeBase | None, reply: Message, found: Sequence[Entry] = ()) -> tuple[Entry, ...]:
    """Return entries that may hold a reply: those found for the message, then those found for its own words."""
    if knowledge is None:
        return ()
    hits = knowledge.search(reply.content, k=2 * SHOWN_ENTRIES)
    return tuple(dict.fromkeys([*found, *(hit.entry for hit in hits)]))


def supporting(knowledge: KnowledgeBase, reply: Message) -> frozenset[str]:
    """Return the ids of the entries that a reply rests on: those it names, else those found that hold its facts.

    What is found for the message itself plays no part: the result may judge the search.
    """
    named = frozenset(reply.evidence) & set(knowledge.entries)
    if named or not gate.has_facts(reply.content):
        return named
    entries = _for_reply(knowledge, reply)
    return frozenset(entries[number - 1].id for number, _ in gate.align(reply.content, entries) or ())


def grounded(
    reply: str, entries: Sequence[Entry], named: tuple[Entry, ...], found: tuple[Entry, ...], chance: random.Random
) -> tuple[Evidence, ...]:
    """Return the evidence of a reply that stands in entries; () if it does not, or in more than one turn shows.

    Args:
        reply: what a person wrote.
        entries: those that may hold it.
        named: those that answer, used or not: never shown as beside the point.
        found: what search finds for the customer's message, best first.
        chance: decides what is left to it.
    """
    sentences = gate.align(reply, entries) if entries else None
    used = sorted({number for number, _ in sentences or ()})
    if sentences is None or len(used) > SHOWN_ENTRIES:
        return ()
    renumbered = [(used.index(number) + 1, sentence) for number, sentence in sentences]
    return _shown(tuple(entries[number - 1] for number in used), renumbered, named, found, chance)


def _found(knowledge: KnowledgeBase | None, messages: Sequence[Message], index: int) -> tuple[Entry, ...]:
    """Return the entries that search finds for a message in its conversation, best first."""
    if knowledge is None:
        return ()
    hits = knowledge.search(messages[index].content, history=said_before(messages, index), k=2 * SHOWN_ENTRIES)
    return tuple(hit.entry for hit in hits)


def _shown(
    cited: tuple[Entry, ...],
    sentences: Sequence[tuple[int, str]],
    named: tuple[Entry, ...],
    found: tuple[Entry, ...],
    chance: random.Random,
) -> tuple[Evidence, ...]:
    """Return the evidence of a grounded turn, and in some turns the same turn with evidence missing.

    As when serving, entries stand in the order of search: beside the right one those that are nearly as near. A cited entry that search missed takes any place: were
    it always the last, the place and not the words would tell which entry answers.
    """
    ids = {entry.id for entry in cited}
    others = [entry for entry in found if entry not in cited and entry not in named]
    places = [*found[:SHOWN_ENTRIES]]
    for entry in cited:
        if entry not in places:
            last = max((i for i, e in enumerate(places) if e.id not in ids), default=None)
            if len(places) >= SHOWN_ENTRIES and last is not None:
                places.pop(last)
            places.insert(chance.randint(0, len(places)), entry)
    numbers = {entry.id: places.index(entry) + 1 for entry in cited}
    written = tuple((numbers[cited[number - 1].id], sentence) for number, sentence in sentences)
    evidence = [Evidence(tuple(places), "full", written)]
    if others and chance.random() < MISSING:
        used = [cited[number - 1] for number, _ in sentences]
        if len(set(used)) > 1:
            evidence.append(Evidence(tuple([used[0], *others][:SHOWN_ENTRIES]), "part"))
        else:
            evidence.append(Evidence(tuple(others[:SHOWN_ENTRIES]), "none"))
    return tuple(evidence)


def trees(lesson: Lesson, renderer: Renderer, labels: Labels, max_length: int) -> list[Tree]:
    """Return the trees of a conversation; it is cut between turns where one would exceed `max_length` tokens.

    The words before the first turn of a tree do not count: else every turn behind so many would be a tree with all
    of them, and they would be read again for each.
    """
    messages = lesson.transcript.messages
    segments = [renderer.message(message) for message in messages]
    firsts = renderer.firsts(segments)
    grown: list[Tree] = []
    turns = list(lesson.turns)
    while turns:
        first = firsts[turns[0].message]
        taken = 1
        before = sum(map(len, segments[first : turns[0].message]))
        tree = _tree(lesson, turns[:1], first, segments, renderer, labels)
        while taken < len(turns) and firsts[turns[taken].message] == first:
            larger = _tree(lesson, turns[: taken + 1], first, segments, renderer, labels)
            if larger.n_tokens - before > max_length:
                break
            tree, taken = larger, taken + 1
        if any(node.labels or node.n_written for node in tree.nodes):
            grown.append(tree)
        turns = turns[taken:]
    return grown


def _tree(
    lesson: Lesson,
    turns: Sequence[Turn],
    first: int,
    segments: Sequence[list[int]],
    renderer: Renderer,
    labels: Labels,
) -> Tree:
    """Build the trunk from message `first` to the last of the turns, and the leaves of these turns."""
    messages = lesson.transcript.messages
    by_message = {turn.message: turn for turn in turns}
    end = turns[-1].message
    nodes: list[Node] = []
    trunk = ROOT
    for index in range(first, end + 1):
        message = messages[index]
        if message.role == "assistant" and not (index > first and messages[index - 1].role == "user"):
            nodes.append(Node(trunk, tuple(segments[index])))
            trunk = len(nodes) - 1
        elif message.role == "user":
            turn = by_message.get(index)
            # Where entries are shown, or a reply is written, every word counts.
            reads_only = turn is not None and not turn.evidence and not turn.writes
            hideable = renderer.words(segments[index]) if reads_only else (0, 0)
            nodes.append(Node(trunk, tuple(segments[index]), hideable=hideable))
            trunk = len(nodes) - 1
            if turn:
                _add_evidence(nodes, trunk, turn, renderer, labels)
            followed = index + 1 < len(messages) and messages[index + 1].role == "assistant"
            target = _targets(messages, index, labels) if turn else {}
            reply_follows = followed and (index + 1 <= end or (turn is not None and turn.writes))
            closed_book = turn is not None and _is_silent_alone(turn)
            if target or reply_follows or closed_book:
                nodes.append(Node(trunk, tuple(renderer.reply_head), labels=target, key=(index, "H")))
            head = len(nodes) - 1
            if closed_book:
                nodes.append(Node(head, (renderer.end_of_turn,), 1, key=(index, "S")))
            if reply_follows:  # the reply continues H: both are the same tokens
                rest = segments[index + 1][len(renderer.reply_head) :]
                n_written = rest.index(renderer.end_of_turn) + 1 if turn and turn.writes else 0
                nodes.append(Node(head, tuple(rest), n_written, key=(index, "A")))
                trunk = len(nodes) - 1
    return Tree(lesson.transcript.id, tuple(nodes))


def _is_silent_alone(turn: Turn) -> bool:
    """Say whether a turn teaches silence without entries: its reply stands in some, and is not learnt as it is."""
    return turn.silent and not turn.writes and any(shown.sentences for shown in turn.evidence)


def reply_to(messages: Sequence[Message], index: int) -> Message | None:
    """Return what was said behind a message, of whomever; None behind the last."""
    return messages[index + 1] if index + 1 < len(messages) else None


def human_action(reply: Message | None) -> str | None:
    """Return the next step that a person took with a message; the bot's own steps teach nothing."""
    if reply is None or reply.role != "assistant" or by_bot(reply):
        return None
    return reply.action


def by_bot(reply: Message) -> bool:
    """Say whether the bot decided on a reply, and no person: it teaches nothing and judges nothing."""
    return reply.author in ("bot", "approved")


def _targets(messages: Sequence[Message], index: int, labels: Labels) -> dict[str, dict[int, float]]:
    action = human_action(reply_to(messages, index))
    targets: dict[str, dict[int, float]] = {}  # a label that the rows do not know leaves its target empty
    if messages[index].intents and "intent" in labels.sets:
        targets["intent"] = labels.target("intent", messages[index].intents)
    if action and "next_step" in labels.sets:
        targets["next_step"] = labels.target("next_step", [action])
    return targets


def _add_evidence(nodes: list[Node], trunk: int, turn: Turn, renderer: Renderer, labels: Labels) -> None:
    for evidence in turn.evidence:
        entries = renderer.fitting(evidence.entries)
        if any(number > len(entries) for number, _ in evidence.sentences):
            continue  # a cited entry did not fit into K
        nodes.append(Node(trunk, tuple(renderer.knowledge(entries))))
        support = {"support": labels.target("support", [evidence.support])}
        nodes.append(Node(len(nodes) - 1, tuple(renderer.reply_head), labels=support, key=(turn.message, "H'")))
        if evidence.sentences or (turn.silent and evidence.support == "none"):  # silence ends the turn at once
            written = renderer.written(list(evidence.sentences))
            nodes.append(Node(len(nodes) - 1, tuple(written), len(written), key=(turn.message, "W")))

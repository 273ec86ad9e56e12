"""The bot: the story of a turn, from the customer's message to the stored reply.

message -> keep -> read -> find -> decide -> write -> keep
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Timer
from typing import TYPE_CHECKING, Any

from chatbot import policy, readings, writer
from chatbot.calibration import SEARCHED_ENTRIES
from chatbot.errors import BusyError, TurnError
from chatbot.types import Decision, EvidenceReading, Message, Reply, TurnRequest, Understanding, said_before
from knowledge_base.entry import Entry, Hit

if TYPE_CHECKING:
    from chatbot.calibration import Calibration
    from chatbot.config import Settings
    from chatbot.model import DialogueModel
    from chatbot.store import Store, StoredMessage
    from knowledge_base.scorer import Scorer
    from knowledge_base.search import KnowledgeBase

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the bot answers with; without an adapter there is no model, without a fit no calibration."""

    knowledge: KnowledgeBase
    model: DialogueModel | None = None
    calibration: Calibration | None = None

    @property
    def scorer(self) -> Scorer:
        """The weights of the search: those that the thresholds were fitted with, where there are any."""
        return self.calibration.scorer if self.calibration else self.knowledge.scorer


@dataclass(slots=True)
class Turn:
    """What is known of a turn while it runs; `seconds` goes from step to duration.

    `recent` are the entries that the last two replies cited, `picked` the one that the message picks of those offered.
    """

    id: str
    messages: tuple[Message, ...]
    recent: tuple[str, ...]
    picked: str | None = None
    understanding: Understanding = field(default_factory=Understanding)
    hits: Sequence[Hit] = ()
    evidence: EvidenceReading = field(default_factory=EvidenceReading)
    decision: Decision | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time of a block to a step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start


class Bot:
    """Answers customers. It can be asked at once; while the parts load, a turn waits for them."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._parts: Parts | None = None
        self._loaded = Event()
        self._running: set[str] = set()
        self._lock = Lock()
        self.loading = "starting"
        self.failed = False

    @property
    def ready(self) -> bool:
        """Whether the parts are loaded."""
        return self._parts is not None

    @property
    def parts(self) -> Parts | None:
        """What the bot answers with; None while it is loaded."""
        return self._parts

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The present knowledge entries by id; empty while they are loaded."""
        return {} if self._parts is None else self._parts.knowledge.entries

    def furnish(self, load: Callable[[Callable[[str], None]], Parts]) -> None:
        """Load the parts; `load` is handed a function that tells what is being loaded."""
        try:
            self._parts = load(self._tell)
        except Exception:
            self.failed = True
            raise
        finally:
            self._loaded.set()

    def reply(self, request: TurnRequest, cancelled: Event) -> Iterator[Reply]:
        """Yield the growing reply to a customer's message; the last one is stored and done.

        Raises:
            TurnError: the message cannot be answered now.
            NotFoundError: the conversation is not this visitor's.
        """
        message = self._store.add_message(request)  # 1 keep
        stored = self._store.reply_to(message.id)
        if stored is not None and stored.status == "done" and not request.retry:
            yield _shown(stored)
            return
        with self._one_at_a_time(message.conversation_id):
            parts = self._wait(cancelled)
            parts.knowledge.refresh()
            turn = self._begin(message, request.visitor_id)
            reply = Reply("")
            status = "failed"
            try:
                with turn.timed("read"):  # 3 read
                    if parts.model:
                        turn.understanding = parts.model.understand(turn.messages)
                with turn.timed("find"):  # 4 find
                    turn.hits = _find(parts, turn, self._settings)
                with turn.timed("decide"):  # 5 decide
                    decision = turn.decision = _decide(parts, turn)
                for reply in self._write(parts, turn, cancelled):  # 6 write
                    self._store.save_partial(turn.id, reply.text)
                    yield reply
                cut_off = cancelled.is_set() and writer.is_written(decision, parts.model)
                status = "interrupted" if cut_off else "done"
            except GeneratorExit:  # the page is gone: what was shown is kept
                status = "interrupted"
                raise
            except Exception:
                LOGGER.exception("turn %s failed", turn.id)
                reply = writer.declined(Decision("decline", "model_failed"), self._settings)
            finally:  # 7 keep
                stored = self._store.finish_turn(
                    turn.id,
                    reply,
                    decision=turn.decision,
                    understanding=turn.understanding,
                    trace=_trace(parts, turn),
                    status=status,  # type: ignore[arg-type]
                )
        yield _shown(stored)

    def _tell(self, what: str) -> None:
        self.loading = what

    def _wait(self, cancelled: Event) -> Parts:
        """Wait until the parts are loaded, at most for the time of a turn."""
        ends = time.monotonic() + self._settings.limits.turn_seconds
        while not self._loaded.wait(timeout=0.1):
            if cancelled.is_set() or time.monotonic() > ends:
                raise BusyError("The assistant is still starting. Please try again in a moment.")
        if self._parts is None:
            raise TurnError(f"The assistant could not start. {self._settings.contact}".strip())
        return self._parts

    @contextmanager
    def _one_at_a_time(self, conversation_id: str) -> Iterator[None]:
        with self._lock:
            if conversation_id in self._running:
                raise BusyError("Your last message is still being answered. Please wait for the answer.")
            self._running.add(conversation_id)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(conversation_id)

    def _begin(self, message: StoredMessage, visitor_id: str) -> Turn:
        """Begin the turn and collect the conversation up to the message, from the store."""
        kept = self._store.conversation(message.conversation_id, visitor_id)
        before = [m for m in kept if m.seq <= message.seq and (m.content or m.role == "user")]
        said = tuple(Message(m.role, m.content, author=m.author) for m in before)
        replies = [m for m in before if m.role == "assistant"][-2:]
        recent = tuple(dict.fromkeys(citation.entry_id for m in replies for citation in m.citations))
        picked = readings.picked(replies[-1].options, message.content) if replies else None
        return Turn(self._store.begin_turn(message.id), said, recent, picked)

    def _write(self, parts: Parts, turn: Turn, cancelled: Event) -> Iterator[Reply]:
        """Yield the growing reply; when the time of a turn is up, writing is cancelled and what was shown is kept."""
        decision = turn.decision
        if decision is None:
            raise AssertionError("decided before writing")
        found = {hit.entry.id: hit.entry for hit in turn.hits}  # as they were found, whatever a refresh does meanwhile
        entries = [found[i] for i in decision.entry_ids]
        start = time.perf_counter()
        alarm = Timer(turn.began + self._settings.limits.turn_seconds - start, cancelled.set)
        alarm.daemon = True
        if writer.is_written(decision, parts.model):  # what is there at once is never cut off
            alarm.start()
        try:
            for reply in writer.write(decision, turn.messages, entries, parts.model, self._settings, cancelled):
                turn.seconds.setdefault("first_text", time.perf_counter() - turn.began)
                turn.seconds["write"] = time.perf_counter() - start
                turn.decision = replace(
                    decision, kind=reply.kind or decision.kind, reason=reply.reason or decision.reason
                )
                yield reply
        finally:
            alarm.cancel()


def _find(parts: Parts, turn: Turn, settings: Settings) -> Sequence[Hit]:
    """Search for the last message in its conversation, with the fitted weights where there is a calibration.

    Where the likeliest intent is set to be answered by one entry only, no other entry is a hit but one that was picked.
    """
    hits = parts.knowledge.search(
        turn.messages[-1].content,
        history=said_before(turn.messages, -1),
        recent=(*turn.recent, turn.picked) if turn.picked else turn.recent,
        k=SEARCHED_ENTRIES,
        scorer=parts.scorer,
    )
    likeliest = settings.intents.get(next(iter(turn.understanding.intent), ""))
    meant = {likeliest.entry, turn.picked} if likeliest and likeliest.strict else None
    return [hit for hit in hits if hit.entry.id in meant] if meant else hits


def _decide(parts: Parts, turn: Turn) -> Decision:
    """Decide; the model reads the entries only if the decision depends on it."""
    model = parts.model

    def read_evidence() -> EvidenceReading:
        if model is None:
            raise AssertionError("asked only with a model")
        turn.evidence = model.read_evidence(turn.messages, model.shown([hit.entry for hit in turn.hits]))
        return turn.evidence

    reads = read_evidence if model else None
    return policy.decide(
        turn.understanding, turn.hits, parts.calibration, reads, turn.messages[-1].content, turn.picked
    )


def _trace(parts: Parts, turn: Turn) -> dict[str, Any]:
    """Return what is needed to replay and to explain a turn."""
    prompt = "\n".join(f"{message.role}: {message.content}" for message in turn.messages)
    if parts.model:
        ids = parts.model.renderer.understanding(turn.messages)
        prompt = " ".join(str(i) for i in ids)
    return {
        "adapter": parts.model.sha256 if parts.model else "",
        "knowledge": parts.knowledge.snapshot_id,
        "calibration": parts.calibration.sha256 if parts.calibration else "",
        "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest(),
        "hits": [{"id": hit.entry.id, "probability": hit.probability, "score": hit.score} for hit in turn.hits],
        "out_of_scope": turn.understanding.out_of_scope,
        "support": dict(turn.evidence.support),
        "pointers": list(turn.evidence.pointers),
        "seed": 0,
        "seconds": {step: round(value, 4) for step, value in turn.seconds.items()},
    }


def _shown(stored: StoredMessage) -> Reply:
    return Reply(
        stored.content,
        kind=stored.kind,
        reason=stored.reason,
        citations=stored.citations,
        options=stored.options,
        contact=stored.contact,
        message_id=stored.id,
        done=True,
    )

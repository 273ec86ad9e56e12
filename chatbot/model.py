"""The adapted model: understands a message, judges evidence and writes, from one base with one adapter."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from chatbot.errors import AdapterError
from chatbot.examples import Examples
from chatbot.labels import LabelRows, log_softmax
from chatbot.prompt import REPLY_TOKENS, SHORT_REPLY_TOKENS, Renderer
from chatbot.types import EvidenceReading, Message, Understanding
from knowledge_base.entry import Entry
from knowledge_base.manifest import MANIFEST, sha256_of, verify
from knowledge_base.precedents import Precedents

if TYPE_CHECKING:
    from chatbot.engines.engine import Engine
    from knowledge_base.encoder import Encoder

SHOWN_ENTRIES = 3
PRECEDENTS_FILE = "precedents.safetensors"


@dataclass(frozen=True, slots=True)
class Adapter:
    """A verified adapter folder. `sha256` is that of its manifest."""

    folder: Path
    sha256: str
    base_id: str
    base_sha256: str
    encoder_sha256: str

    @classmethod
    def open(cls, folder: Path) -> Adapter:
        """Check an adapter folder before anything in it is used.

        Raises:
            AdapterError: it is missing, altered or not an adapter of ours.
        """
        manifest = verify(folder, "adapter", AdapterError)
        try:
            base = manifest["base"]
            config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            opened = cls(
                folder,
                sha256_of(folder / MANIFEST),
                str(base["id"]),
                str(base["sha256"]),
                str(run["encoder"]["sha256"]),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise AdapterError(
                f"{folder}: not an adapter of Frontdesk ({error}). Train one with finetune.lora."
            ) from error
        if config.get("peft_type") != "LORA" or config.get("r", 0) > 32 or config.get("auto_mapping"):
            raise AdapterError(
                f"{folder}: expected a plain LoRA adapter of rank 32 at most. Train it with finetune.lora."
            )
        return opened

    def require_encoder(self, sha256: str) -> None:
        """Refuse another encoder than the one that the adapter was trained with.

        Raises:
            AdapterError: the hashes differ.
        """
        if self.encoder_sha256 != sha256:
            raise AdapterError(
                f"{self.folder}: expected the encoder {self.encoder_sha256[:12]} that the adapter was trained with, "
                f"got {sha256[:12]}. Set `encoder` in frontdesk.yaml."
            )

    def precedents(self) -> Precedents | None:
        """Return what customers of the training chats asked, and which entries answered; None where none did.

        Raises:
            AdapterError: it cannot be read.
        """
        path = self.folder / PRECEDENTS_FILE
        try:
            return Precedents.load(path) if path.exists() else None
        except ValueError as error:
            raise AdapterError(f"{self.folder}: {error}. Train the adapter again.") from error


class DialogueModel:
    """Understands, judges and writes; holds no conversation."""

    def __init__(
        self,
        renderer: Renderer,
        engine: Engine,
        labels: LabelRows,
        encoder: Encoder,
        sha256: str,
        examples: Path | None = None,
    ) -> None:
        self.renderer = renderer
        self.engine = engine
        self.labels = labels
        self.sha256 = sha256
        self._encoder = encoder
        self._examples = Examples(examples, encoder)

    @classmethod
    def load(cls, adapter: Adapter, encoder: Encoder, place: str = "", examples: Path | None = None) -> DialogueModel:
        """Load the base (at `place` if given) with an adapter; `examples` is the folder of those added since.

        Raises:
            ModelError: the base is missing or not the one that the adapter was trained on.
            AdapterError: the adapter was trained with another encoder.
        """
        from chatbot.engines.bases import find_base, require_weights
        from chatbot.engines.tokenizer import BaseTokenizer, turn_marks
        from chatbot.engines.transformers import TransformersEngine

        adapter.require_encoder(encoder.sha256)
        base = find_base(adapter.base_id, place)
        require_weights(base, adapter.base_sha256)
        labels = LabelRows.load(adapter.folder)
        rows = {name: labels.rows[name] for name in labels.sets}  # those of the encoder stay with the labels
        renderer = Renderer(BaseTokenizer(base.folder), turn_marks(base.folder))
        engine = TransformersEngine.load(base.folder, adapter.folder, rows)
        return cls(renderer, engine, labels, encoder, adapter.sha256, examples)

    def understand(self, messages: Sequence[Message]) -> Understanding:
        """Return what the last message means; it is the customer's."""
        sets = [name for name in ("intent", "next_step") if name in self.labels.sets]
        if not sets:
            return Understanding()
        read = self.engine.read(self.renderer.understanding(messages), sets)
        vector = self._encoder.encode_query(messages[-1].content)
        return self.labels.understand(read, vector, self._examples.vectors())

    def shown(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Return the entries that the model is shown in one turn."""
        return self.renderer.fitting(entries[:SHOWN_ENTRIES])

    def read_evidence(self, messages: Sequence[Message], entries: Sequence[Entry]) -> EvidenceReading:
        """Return how far entries (see `shown`) support an answer, and which of them a reply would begin with."""
        path = self.renderer.evidence(messages, entries)
        support = self.labels.support(self.engine.read(path, ["support"])["support"])
        pointers = [self.renderer.pointer(number) for number in range(1, len(entries) + 1)]
        scores = np.array([self.engine.score([*path, *ids], len(ids)).sum() for ids in pointers])
        return EvidenceReading(support, tuple(float(p) for p in np.exp(log_softmax(scores))))

    def write(
        self, messages: Sequence[Message], entries: Sequence[Entry], cancelled: Event
    ) -> Generator[str, None, bool]:
        """Yield the reply piece by piece; see `reply_pieces`."""
        return reply_pieces(self.engine, self.renderer, messages, entries, cancelled)


def reply_pieces(
    engine: Engine, renderer: Renderer, messages: Sequence[Message], entries: Sequence[Entry], cancelled: Event
) -> Generator[str, None, bool]:
    """Yield a reply piece by piece, with pointers; without entries a reply that needs none.

    The generator returns whether the reply ended by itself: not cancelled, and not for want of room.
    """
    path = renderer.evidence(messages, entries) if entries else renderer.understanding(messages)
    ids: list[int] = []
    shown = ""
    room = REPLY_TOKENS if entries else SHORT_REPLY_TOKENS
    for token in engine.stream(path, room, frozenset([renderer.end_of_turn]), cancelled):
        ids.append(token.id)
        text = renderer.text(ids)
        if not text.endswith("\ufffd"):  # a character whose bytes are not all written yet
            yield text[len(shown) :]
            shown = text
    return len(ids) < room and not cancelled.is_set()

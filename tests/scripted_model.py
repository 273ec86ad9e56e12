"""The real dialogue model over an engine that follows a script: what is read and written is set by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event

import numpy as np
from conftest import WordEncoder

from chatbot.engines.engine import Array, Token
from chatbot.engines.tokenizer import BaseTokenizer
from chatbot.labels import LabelRows
from chatbot.model import DialogueModel
from chatbot.prompt import Marks, Renderer

SETS = {
    "intent": ("hello", "order", "out_of_scope"),
    "next_step": ("answer", "ask", "chat", "decline", "hand_over"),
    "support": ("full", "part", "none"),
}


class ScriptedEngine:
    """Reads `probabilities` and writes `text`; `on_token` is called before each token and may wait or raise."""

    def __init__(self, tokenizer: BaseTokenizer) -> None:
        self._tokenizer = tokenizer
        self.probabilities: dict[str, Mapping[str, float]] = {}
        self.text = ""
        self.on_token: Callable[[int], object] = lambda _number: None
        self.paths: list[list[int]] = []

    def read(self, ids: Sequence[int], sets: Sequence[str]) -> dict[str, Array]:
        self.paths.append(list(ids))
        return {name: self._read(name) for name in sets}

    def _read(self, name: str) -> Array:
        given = self.probabilities.get(name, {})
        rest = (1 - sum(given.values())) / max(1, len(SETS[name]) - len(given))
        probabilities = [given.get(label, rest) + 1e-9 for label in SETS[name]]
        return np.asarray(np.log(probabilities), np.float32)

    @property
    def n_tokens(self) -> int:
        """How many tokens the whole text has."""
        return len(self._tokenizer.content(self.text))

    def stream(
        self, ids: Sequence[int], max_new_tokens: int, stop_ids: frozenset[int], cancelled: Event
    ) -> Iterator[Token]:
        self.paths.append(list(ids))
        for number, token in enumerate(self._tokenizer.content(self.text)[:max_new_tokens]):
            self.on_token(number)
            if cancelled.is_set():
                return
            yield Token(token, -0.1)

    def score(self, ids: Sequence[int], n: int) -> Array:
        """What `text` begins with is nearly certain, anything else is not."""
        begins = self._tokenizer.content(self.text)[: n - 1] == list(ids[-n:])[: n - 1]
        return np.full(n, -0.01 if begins else -5.0, np.float32)


def scripted_model(base: Path) -> tuple[DialogueModel, ScriptedEngine]:
    """Return a model with its engine; its encoder is the `WordEncoder`. Of the base only the tokenizer is read."""
    tokenizer = BaseTokenizer(base)
    encoder = WordEncoder()
    engine = ScriptedEngine(tokenizer)
    n_intents = len(SETS["intent"])
    labels = LabelRows(
        SETS,
        {
            **{name: np.zeros((len(labels), 4), np.float32) for name, labels in SETS.items()},
            "encoder_intent": np.zeros((n_intents, encoder.dimension), np.float32),
            "kernel_messages": np.zeros((0, encoder.dimension), np.float32),
            "kernel_weights": np.zeros((0, n_intents), np.float32),
        },
        dict.fromkeys(SETS, 1.0),
        np.zeros(n_intents, np.float32),
        encoder.sha256,
        {"width": 1.0, "linear": 1.0, "kernel": 1.0},
        {"model": 1.0, "encoder": 1.0},
        np.zeros(n_intents, np.float32),
    )
    return DialogueModel(Renderer(tokenizer, Marks()), engine, labels, encoder, "a" * 64), engine

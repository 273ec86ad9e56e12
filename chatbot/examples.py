"""Labelled messages that were added since the training: a new intent works from its first examples on.

They are transcripts (JSON Lines) in the folder `examples/` of the data folder, as training reads them. A file that is
added or changed counts from the next message on.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knowledge_base.command import Refusal
from knowledge_base.errors import InputError
from knowledge_base.jsonl import SUFFIXES, read_objects
from knowledge_base.queries import ROLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from knowledge_base.encoder import Encoder

    Array = NDArray[np.float32]

LOGGER = logging.getLogger(__name__)


class Examples:
    """The examples of a folder as unit vectors, read again when a file of it changed; without a folder there are none."""

    def __init__(self, folder: Path | None, encoder: Encoder) -> None:
        self._folder = folder
        self._encoder = encoder
        self._state: tuple[tuple[str, int, int], ...] = ()
        self._vectors: dict[str, Array] = {}

    def vectors(self) -> Mapping[str, Array]:
        """Return (n_examples, dim) unit vectors an intent."""
        there = self._folder.iterdir() if self._folder and self._folder.is_dir() else ()
        files = sorted(path for path in there if path.name.endswith(SUFFIXES))
        state = tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        if state != self._state:
            self._vectors, self._state = self._read(files), state
        return self._vectors

    def _read(self, files: list[Path]) -> dict[str, Array]:
        said: dict[str, list[str]] = defaultdict(list)
        for file in files:
            try:
                for row in read_objects(file):
                    if isinstance(row, Refusal):
                        LOGGER.warning("not used: %s", row)
                        continue
                    found = list(_labelled(row[1]))
                    if not found:
                        LOGGER.warning("not used: %s:%d: no customer's message with an intent", file, row[0])
                    for intent, text in found:
                        said[intent].append(text)
            except InputError as error:
                LOGGER.warning("not used: %s", error)
        LOGGER.info(
            "examples: %s", ", ".join(f"{name} {len(texts):,}" for name, texts in sorted(said.items())) or "none"
        )
        return {name: self._encoder.encode_queries(list(dict.fromkeys(texts))) for name, texts in said.items()}


def _labelled(transcript: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (intent, words) of the customers' messages that have both."""
    messages = transcript.get("messages")
    for message in messages if isinstance(messages, list) else []:
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or ROLES.get(role.strip().casefold()) != "user" or message.get("note"):
            continue
        text, intents = message.get("content"), message.get("intent")
        names = [intents] if isinstance(intents, str) else intents if isinstance(intents, list) else []
        if isinstance(text, str) and text.strip():
            yield from ((name.strip(), text.strip()) for name in names if isinstance(name, str) and name.strip())

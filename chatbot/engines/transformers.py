"""The reference engine: transformers in this process, the LoRA adapter merged into the base.

It keeps the key-value caches of the last paths. What a path shares with a held one is not read again: a
trunk stays exact, since leaves (entries, drafts) are cut off before something else is read behind it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np

from chatbot.engines.engine import Array, Token
from chatbot.engines.threads import use_cores
from chatbot.labels import log_softmax

HELD_CACHES = 8


@dataclass(slots=True)
class _Held:
    """A cache and the ids that it has read, of equal length."""

    ids: list[int]
    cache: Any


class TransformersEngine:
    """Reads, writes and scores paths of ids in this process; see `chatbot.engines.engine.Engine`."""

    def __init__(self, model: Any, rows: Mapping[str, Array]) -> None:
        import torch

        self._torch = torch
        self._model = model.eval()
        self._body = model.base_model
        self._head = model.get_output_embeddings()
        self._device = next(model.parameters()).device
        self._rows = {name: np.asarray(values, dtype=np.float32) for name, values in rows.items()}
        self._held: list[_Held] = []
        self._pool = Lock()  # guards the list of held caches
        self._compute = Lock()  # one forward pass at a time; writers of several visitors take turns by token

    @classmethod
    def load(cls, base: Path, adapter: Path | None, rows: Mapping[str, Array]) -> TransformersEngine:
        """Load a base folder and merge the adapter into it; on a GPU where there is one."""
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        use_cores()
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
        model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32, **options)
        if adapter is not None:
            from peft import PeftModel

            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")  # peft's own call, not a user's
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload(safe_merge=True)
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), rows)

    def read(self, ids: Sequence[int], sets: Sequence[str]) -> dict[str, Array]:
        """Return (n_labels,) float32 log-probabilities a set, normalised in each set, at the last position."""
        hidden = self._advance(list(ids))[0][-1].float().cpu().numpy()
        return {name: np.asarray(log_softmax(self._rows[name] @ hidden), np.float32) for name in sets}

    def stream(
        self, ids: Sequence[int], max_new_tokens: int, stop_ids: frozenset[int], cancelled: Event
    ) -> Iterator[Token]:
        """Yield greedily written tokens until a stop id (not yielded), the limit, or `cancelled` is set."""
        path = list(ids)
        for _ in range(max_new_tokens):
            if cancelled.is_set():
                return
            hidden = self._advance(path)[0]
            with self._torch.inference_mode():
                logprobs = self._torch.log_softmax(self._head(hidden[-1:]).float()[0], dim=-1)
            best = int(logprobs.argmax())
            if best in stop_ids:
                return
            yield Token(best, float(logprobs[best]))
            path.append(best)

    def score(self, ids: Sequence[int], n: int) -> Array:
        """Return the (n,) float32 log-probabilities of the last n ids; there must be more than n ids."""
        path = list(ids)
        hidden, first = self._advance(path, fresh=n + 1)
        with self._torch.inference_mode():
            places = hidden[len(path) - n - 1 - first : len(path) - 1 - first]
            logprobs = self._torch.log_softmax(self._head(places).float(), dim=-1)
            wanted = self._torch.tensor(path[-n:], device=logprobs.device)
            return np.asarray(logprobs.gather(1, wanted[:, None])[:, 0].cpu().numpy(), dtype=np.float32)

    def _advance(self, path: list[int], fresh: int = 1) -> tuple[Any, int]:
        """Read what is new of a path; return the final hidden states of that part and where it begins.

        At least the last `fresh` ids are read again, so that their states are at hand.
        """
        held = self._take(path)
        kept = min(_shared(held.ids, path), len(path) - fresh)
        if kept < len(held.ids):
            held.cache.crop(kept - len(held.ids))
        torch = self._torch
        new = torch.tensor([path[kept:]], device=self._device)
        positions = torch.arange(kept, len(path), device=self._device)[None]
        with self._compute, torch.inference_mode():
            hidden = self._body(
                input_ids=new, position_ids=positions, past_key_values=held.cache, use_cache=True
            ).last_hidden_state[0]
        held.ids = list(path)
        with self._pool:
            self._held.append(held)
            del self._held[:-HELD_CACHES]
        return hidden, kept

    def _take(self, path: list[int]) -> _Held:
        """Take the held cache that shares most with the path out of the pool, or a new one.

        A cache is only cut where little is lost by it: another conversation that shares just the system text
        gets a cache of its own.
        """
        from transformers import DynamicCache

        with self._pool:
            best = max(self._held, key=lambda held: _shared(held.ids, path), default=None)
            if best is not None and (
                len(self._held) >= HELD_CACHES or 2 * _shared(best.ids, path) >= min(len(best.ids), len(path))
            ):
                self._held.remove(best)
                return best
        return _Held([], DynamicCache())


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the common prefix."""
    n = min(len(first), len(second))
    if first[:n] == second[:n]:
        return n
    return next(i for i in range(n) if first[i] != second[i])

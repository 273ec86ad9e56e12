"""The model in training: a base with a LoRA adapter and the label rows, fed with packs of trees.

Its state is only what is trained (adapter and rows), so checkpoints are small and the base stays untouched.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from chatbot.engines.threads import use_cores
from chatbot.labels import LabelRows
from finetune.tree import Pack

LORA_PREFIX, ROWS_PREFIX = "lora_", "rows."


class Student(nn.Module):
    """A PEFT model and one (n_labels, hidden size) row matrix a label set.

    `label_smoothing` is the share of a label's target that is spread over all labels of its set while training
    (Szegedy et al. 2016, arXiv 1512.00567).
    """

    def __init__(self, model: Any, n_labels: Mapping[str, int], label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.model, self._smoothing = model, label_smoothing
        self._config = model.get_base_model().config
        size, device = self._config.hidden_size, next(model.parameters()).device
        self.rows = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(n, size, device=device)) for name, n in n_labels.items()}
        )

    @classmethod
    def of_adapter(cls, base: Any, folder: Path, rows: LabelRows) -> Student:
        """Return the student of a trained adapter, for reading packs."""
        from peft import PeftModel

        student = cls(PeftModel.from_pretrained(base, str(folder)), {n: len(labels) for n, labels in rows.sets.items()})
        for name in rows.sets:
            student.rows[name].data = torch.from_numpy(rows.rows[name]).to(student.rows[name].device)
        return student

    @property
    def n_labels(self) -> dict[str, int]:
        """How many labels each set has."""
        return {name: len(rows) for name, rows in self.rows.items()}

    def hidden(self, pack: Mapping[str, Tensor]) -> Tensor:
        """Return the (n_tokens, hidden size) final states of a pack."""
        body = self.model.get_base_model().base_model
        states = body(
            input_ids=pack["ids"][None],
            attention_mask=self._visible(pack),
            position_ids=pack["positions"][None],
            use_cache=False,
        ).last_hidden_state
        return states[0]  # type: ignore[no-any-return]

    def _visible(self, pack: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """Return what is added to the scores of a pack, (1, 1, n, n), one a kind of layer if there are several kinds.

        Layers with a sliding window see what is near only, counted along the path as the server counts it.
        """
        visible, positions = pack["visible"], pack["positions"]
        window = getattr(self._config, "sliding_window", None)
        kinds = set(getattr(self._config, "layer_types", None) or ["sliding_attention" if window else "full_attention"])
        near = visible & (positions[:, None] - positions[None] < window) if window else visible
        masks = {"full_attention": self._added(visible), "sliding_attention": self._added(near)}
        if len(kinds) == 1:
            return masks[kinds.pop()]
        return {kind: masks[kind] for kind in kinds}

    def _added(self, visible: Tensor) -> Tensor:
        """Return what is added to the attention scores: nought where a token is seen, else the lowest number."""
        dtype = self.model.dtype
        scores = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return scores.masked_fill_(~visible, torch.finfo(dtype).min)[None, None]

    def forward(self, **pack: Tensor) -> dict[str, Tensor]:
        """Return the `loss` of a pack: the mean cross-entropy a label of each set, plus the mean one a written token."""
        states = self.hidden(pack)
        losses: list[Tensor] = []
        for name, logits in self.label_logits(states, pack).items():
            losses.append(cross_entropy(logits, pack[f"{name}.targets"], label_smoothing=self._smoothing))
        if len(pack["targets"]):
            losses.append(cross_entropy(self.word_logits(states, pack), pack["targets"]))
        return {"loss": torch.stack(losses).sum()}

    def label_logits(self, states: Tensor, pack: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return (n_readings, n_labels) float32 logits for each set that is read in the pack."""
        present = [name for name in self.rows if len(pack[f"{name}.places"])]
        with torch.autocast(states.device.type, enabled=False):
            return {name: states[pack[f"{name}.places"]].float() @ self.rows[name].T for name in present}

    def word_logits(self, states: Tensor, pack: Mapping[str, Tensor]) -> Tensor:
        """Return (n_targets, vocabulary) float32 logits at the places where words are written."""
        head = self.model.get_base_model().get_output_embeddings()
        return head(states[pack["sources"]]).float()  # type: ignore[no-any-return]

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return only what is trained."""
        full = super().state_dict(*args, **options)
        return {name: value for name, value in full.items() if LORA_PREFIX in name or name.startswith(ROWS_PREFIX)}


def tensors(packs: Sequence[Pack], n_labels: Mapping[str, int]) -> dict[str, Tensor]:
    """Return the tensors of one pack (a batch is always one pack)."""
    (pack,) = packs
    batch = {
        name: torch.from_numpy(getattr(pack, name)) for name in ("ids", "positions", "visible", "sources", "targets")
    }
    for name, n in n_labels.items():
        readings = [reading for reading in pack.readings if name in reading.labels]
        targets = np.zeros((len(readings), n), np.float32)
        for row, reading in enumerate(readings):
            for label, weight in reading.labels[name].items():
                targets[row, label] = weight
        batch[f"{name}.places"] = torch.tensor([reading.position for reading in readings], dtype=torch.long)
        batch[f"{name}.targets"] = torch.from_numpy(targets)
    return batch


def has_fast_bfloat16() -> bool:
    """Say whether the machine multiplies bfloat16 natively: a GPU since Ampere, or AVX512-BF16, AMX or SVE BF16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def load_base(folder: Path, *, bf16: bool) -> Any:
    """Load a base for training or for reading packs; no remote code, safetensors only."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    use_cores()
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")  # peft's own call, not a user's
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    gpu = torch.cuda.is_available()
    # On a CPU PyTorch's fused attention is slower in training than the plain products (docs/decisions.md).
    model = AutoModelForCausalLM.from_pretrained(
        str(folder),
        dtype=torch.bfloat16 if bf16 else torch.float32,
        attn_implementation="sdpa" if gpu else "eager",
        **options,
    )
    return model.to("cuda" if gpu else "cpu")


class Reader:
    """Reads packs without training: label log-probabilities and the losses of written words."""

    def __init__(self, student: Student, *, bf16: bool) -> None:
        self._student = student.eval()
        self._device = next(student.parameters()).device
        self._bf16 = bf16

    def read(self, pack: Pack) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        """Return {set: (n_readings, n_labels) log-probabilities} and the (n_targets,) word log-probabilities.

        The rows of a set follow the pack's readings that have this set among their labels.
        """
        batch = {name: value.to(self._device) for name, value in tensors([pack], self._student.n_labels).items()}
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            states = self._student.hidden(batch)
            read = {
                name: log_softmax(logits, dim=-1).cpu().numpy()
                for name, logits in self._student.label_logits(states, batch).items()
            }
            words = np.zeros(0, np.float32)
            if len(batch["targets"]):
                logprobs = log_softmax(self._student.word_logits(states, batch), dim=-1)
                words = logprobs.gather(1, batch["targets"][:, None])[:, 0].cpu().numpy()
        return read, words

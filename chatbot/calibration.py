"""The numbers that decide: fitted on held-out chats and queries, kept in a folder, never in code.

A folder holds `calibration.json` and a manifest that names the adapter, the knowledge and the encoder they
were fitted with. A threshold of None means that no score was certain enough: that kind of reply is not given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chatbot.errors import CalibrationError
from chatbot.types import EvidenceReading
from knowledge_base.entry import Hit
from knowledge_base.manifest import verify
from knowledge_base.scorer import Scorer

FILE = "calibration.json"
FOUND_FEATURES, READ_FEATURES = 1, 3  # of the evidence: what search says, and what the model's reading adds to it
SEARCHED_ENTRIES = 5  # found for a turn; thresholds are fitted on as many


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted probability: the logistic function of weighted features and a bias."""

    weights: tuple[float, ...]
    bias: float

    def __call__(self, features: Sequence[float]) -> float:
        """Return the probability for one row of features."""
        score = self.bias + sum(w * f for w, f in zip(self.weights, features, strict=True))
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, score))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted numbers of one deployment.

    `scorer` gives the probability that an entry answers; `evidence` the probability that a reply written from the
    entries is right, from `found_features` or, where the model's reading told more, from `read_features`; None where there
    was nothing to fit it on.
    `thresholds` are least probabilities: `approved`, `grounded`, `ask`, `out_of_scope` and `step:LABEL`.
    `adapter`, `knowledge` and `encoder` are the sha256 of what they were fitted with (adapter "" for none).
    """

    scorer: Scorer
    evidence: Logistic | None
    thresholds: Mapping[str, float | None]
    max_error: float
    adapter: str
    knowledge: str
    encoder: str
    fitted_on: Mapping[str, int] = field(default_factory=dict)
    sha256: str = ""

    @property
    def reads(self) -> bool:
        """Whether the model reads the entries before a reply is written from them."""
        return self.evidence is not None and len(self.evidence.weights) == READ_FEATURES

    def threshold(self, name: str) -> float:
        """Return a least probability; infinity where none is certain enough."""
        value = self.thresholds.get(name)
        return math.inf if value is None else value

    def save(self, folder: Path) -> None:
        """Write `calibration.json` into a folder that the caller seals."""
        facts = {name: value for name, value in asdict(self).items() if name != "sha256"}
        facts["scorer"] = self.scorer.to_json()
        (folder / FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Read a calibration folder.

        Raises:
            CalibrationError: it is missing, altered or not a calibration.
        """
        verify(folder, "calibration", CalibrationError)
        try:
            facts = json.loads((folder / FILE).read_text(encoding="utf-8"))
            evidence = facts.pop("evidence")
            return cls(
                scorer=Scorer.from_json(facts.pop("scorer")),
                evidence=None if evidence is None else _logistic(evidence),
                sha256=_sha256(folder),
                **facts,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CalibrationError(
                f"{folder}: not a calibration ({error}). Run python -m finetune.calibrate."
            ) from error

    def require(self, adapter: str, encoder: str) -> None:
        """Refuse a calibration that was fitted with another adapter or encoder.

        Raises:
            CalibrationError: the hashes differ.
        """
        for name, have, want in (("adapter", self.adapter, adapter), ("encoder", self.encoder, encoder)):
            if have != want:
                raise CalibrationError(
                    f"The calibration was fitted with another {name} ({have[:12] or 'none'}, not {want[:12] or 'none'}). "
                    "Run python -m finetune.calibrate again."
                )


def found_features(hits: Sequence[Hit]) -> tuple[float]:
    """Return the log-odds that the likeliest entry answers."""
    return (log_odds(hits[0].probability),)


def read_features(hits: Sequence[Hit], reading: EvidenceReading) -> tuple[float, float, float]:
    """Return three log-odds: that the entry which a reply would begin with answers, of full support, of its pointer."""
    place = pointed(reading)
    return (
        log_odds(hits[place].probability),
        log_odds(reading.support.get("full", 0.0)),
        log_odds(reading.pointers[place]),
    )


def pointed(reading: EvidenceReading) -> int:
    """Return the place of the entry that a reply would begin with."""
    return max(range(len(reading.pointers)), key=lambda place: reading.pointers[place])


def log_odds(probability: float) -> float:
    """Return the log-odds of a probability, bounded at a thousandth of a percent from 0 and 1."""
    bounded = min(max(probability, 1e-5), 1 - 1e-5)
    return math.log(bounded / (1 - bounded))


def _logistic(facts: Mapping[str, object]) -> Logistic:
    weights, bias = facts["weights"], facts["bias"]
    known = (FOUND_FEATURES, READ_FEATURES)
    if not isinstance(weights, list) or len(weights) not in known or not isinstance(bias, int | float):
        raise TypeError(f"expected {FOUND_FEATURES} or {READ_FEATURES} weights and a bias")
    return Logistic(tuple(float(w) for w in weights), float(bias))


def _sha256(folder: Path) -> str:
    from knowledge_base.manifest import MANIFEST, sha256_of

    return sha256_of(folder / MANIFEST)

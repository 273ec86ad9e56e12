"""What people say in service chats that asks nothing of a FAQ: greetings, choices, details, wishes to be carried out.

A message that is like one of these, and no more like anything in the knowledge, is no question (as speakers are told apart
from a background of others; Reynolds, Quatieri and Dunn 2000, "Speaker Verification Using Adapted Gaussian Mixture
Models"). Its words are those of everyday speech: a name that is made of them is less surely meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base.lexical import texts_sha256, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from knowledge_base.encoder import Encoder

FILE = Path(__file__).with_name("background.txt")  # written for Frontdesk, a line each
VECTORS = Path(__file__).with_name("background.safetensors")  # of the default encoder, in half precision


class Background:
    """The lines of `background.txt` with their vectors; never changed after it is built."""

    def __init__(self, encoder: Encoder) -> None:
        """Take the vectors that come with Frontdesk, or with another encoder embed the lines, which takes seconds."""
        kept = _read(encoder.sha256)
        self._vectors = encoder.encode_queries(lines()) if kept is None else kept

    def nearest(self, vector: NDArray[np.float32]) -> float:
        """Return the cosine of the unit vector of a message with the likest line."""
        return float((self._vectors @ vector).max())


@cache
def lines() -> Sequence[str]:
    """Return all lines."""
    return tuple(FILE.read_text(encoding="utf-8").splitlines())


@cache
def everyday_words() -> Sequence[frozenset[str]]:
    """Return the words of each line."""
    return tuple(frozenset(words(line)) for line in lines())


def write_vectors(encoder: Encoder) -> None:
    """Keep the vectors of the lines as an encoder embeds them, for those who use the same one."""
    import numpy as np
    from safetensors.numpy import save

    vectors = encoder.encode_queries(lines()).astype(np.float16)
    VECTORS.write_bytes(save({"vectors": vectors}, {"encoder": encoder.sha256, "lines": texts_sha256(lines())}))


def _read(encoder_sha256: str) -> NDArray[np.float32] | None:
    """Return the vectors that are kept, (lines, dimension), where they are those of this encoder and these lines."""
    import numpy as np
    from safetensors import safe_open

    with safe_open(VECTORS, framework="numpy") as file:
        if file.metadata() != {"encoder": encoder_sha256, "lines": texts_sha256(lines())}:
            return None
        return np.asarray(file.get_tensor("vectors"), np.float32)

"""What customers asked before and which entry answered them: ways to ask that no FAQ lists.

A precedent holds what a message means to the encoder, not its words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base.regression import REGRESSED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAME = 0.999  # the cosine of a message with itself, kept in half precision


@dataclass(frozen=True, slots=True)
class Precedents:
    """Messages that entries answered.

    `vectors` is (n, dimension), unit vectors of the messages alone; `answers` (n,) the ids of the entries.
    """

    vectors: NDArray[np.float32]
    answers: Sequence[str]

    def save(self, path: Path) -> None:
        """Write them to a file, vectors in half precision."""
        import numpy as np
        from safetensors.numpy import save_file

        halves = np.ascontiguousarray(self.vectors, np.float16)
        save_file({"vectors": halves}, path, {"answers": json.dumps(list(self.answers))})

    @classmethod
    def load(cls, path: Path) -> Precedents:
        """Read what `save` wrote, from a file that was verified before.

        Raises:
            ValueError: it is something else.
        """
        import numpy as np
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                answers = json.loads((file.metadata() or {})["answers"])
                vectors = np.asarray(file.get_tensor("vectors"), np.float32)
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{path.name} cannot be read: {error}") from error
        if vectors.ndim != 2 or not isinstance(answers, list) or len(answers) != len(vectors):
            raise ValueError(f"{path.name}: expected a vector for each of the answers, got {vectors.shape}")
        return cls(vectors, tuple(map(str, answers)))


class AskedBefore:
    """The precedents of one snapshot: those whose entries are in it.

    `vectors` is (n, dimension), `places` (n,) where the entries stand among those of the snapshot.
    """

    def __init__(
        self, precedents: Precedents | None, places: Mapping[str, int], kinds: NDArray[np.int64], dimension: int
    ) -> None:
        """Take what belongs to the entries at `places`; `kinds` numbers their questions, the same where these are the same."""
        import numpy as np

        answers = precedents.answers if precedents else ()
        found = np.array([places.get(answer, -1) for answer in answers], np.int64)
        self.places = found[found >= 0]
        self.vectors = precedents.vectors[found >= 0] if precedents else np.zeros((0, dimension), np.float32)
        self._kinds = kinds

    def cosines(
        self, vectors: NDArray[np.float32], allowed: NDArray[np.bool_], *, same_words: bool
    ) -> NDArray[np.float32]:
        """Return the (k, n) cosines of (k, dimension) vectors, -1 for precedents that are not `allowed` (n,).

        Without `same_words` what is the first vector itself is as if it had never been asked.
        """
        cosines = vectors @ self.vectors.T
        cosines[:, ~allowed] = -1.0
        if not same_words:
            cosines[:, cosines[0] > SAME] = -1.0
        return cosines

    def places_of_nearest(self, cosines: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Return the places that own the nearest of `cosines` (k, n), at most `count`."""
        nearest = _highest(cosines.mean(axis=0), count)
        found: NDArray[np.int64] = self.places[nearest[cosines[0, nearest] > -1.0]]
        return found

    def nearest_of(
        self, cosines: NDArray[np.float32], places: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the m precedents that count in a regression on the entries at `places` (p,), and for which of them.

        A precedent of an entry is one of all entries that ask the same, of whatever subject.

        Returns:
            (m,) numbers of precedents, the nearest by `cosines` (k, n); (m, p) 1 where one belongs to an entry, else 0.
        """
        import numpy as np

        if not len(self.places):
            return np.zeros(0, np.int64), np.zeros((0, len(places)), np.float32)
        kinds = self._kinds[places]
        known = np.flatnonzero(np.isin(self._kinds[self.places], kinds) & (cosines[0] > -1.0))
        known = known[_highest(cosines[:, known].mean(axis=0), REGRESSED)]
        owners = self._kinds[self.places[known]][:, None] == kinds[None]
        return known, owners.astype(np.float32)


def _highest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return where the `count` highest values are, in no order; ordering all of them would take most of a search's time."""
    import numpy as np

    return np.asarray(np.argpartition(-values, count)[:count] if len(values) > count else np.arange(len(values)))

"""What all texts near a question foresee together: a kernel regression, solved anew for each question."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Width and ridge are those that the intents take without data to choose by (finetune.kernel).
REGRESSED, WIDTH, RIDGE = 200, 1.0, 0.3
LEAST_SHARE = 0.02  # what any entry has: by what factor a share is above it, as a logarithm, is what is weighed


def foreseen(
    cosines: NDArray[np.float32], texts: NDArray[np.int64], vectors: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return (k, n): how far each of n texts foresees, where k questions are asked, the entry that it stands in.

    Kernel ridge regression (Saunders, Gammerman and Vovk 1998) of the entries on the texts nearest to the questions: texts
    of other entries that are as near take from each other, and several of one entry add up. What stands in
    several entries, as the same question about several subjects, counts once and speaks for each of them.

    Args:
        cosines: (k, n) of each question with each text.
        texts: (n,) numbers that are the same where the text is.
        vectors: gives the (m, dimension) unit vectors of the texts at m places.
    """
    import numpy as np
    from scipy.linalg.lapack import sposv

    _, first, inverse = np.unique(texts, return_index=True, return_inverse=True)
    nearest = np.argsort(-cosines[:, first].mean(axis=0), kind="stable")[:REGRESSED]
    kept = vectors(first[nearest])
    gram = np.exp(2 * WIDTH * (kept @ kept.T - 1))  # the distance of unit vectors, squared, is 2 - 2 * cosine
    gram[np.diag_indices(len(gram))] += RIDGE
    asked = np.exp(2 * WIDTH * (cosines[:, first[nearest]] - 1))
    weights = np.zeros((len(cosines), len(first)), np.float32)
    if len(nearest):  # by Cholesky, without the checks of scipy.linalg.solve, which take longer than the solving
        weights[:, nearest] = sposv(gram, asked.T, overwrite_a=1)[1].T
    return np.asarray(weights[:, inverse])


def above_least(shares: NDArray[Any]) -> NDArray[Any]:
    """Return by what factor shares are above the least, as a logarithm; 0 for what has less."""
    import numpy as np

    return np.asarray(np.log(shares.clip(LEAST_SHARE) / LEAST_SHARE))


def pointed_at(cosines: NDArray[np.float64], usual: float) -> NDArray[np.float64]:
    """Return what the regression gives a text at `cosines` (n,) to the message, among many at the cosine `usual` to all."""
    import numpy as np

    near, others = np.exp(2 * WIDTH * (cosines - 1)), np.exp(2 * WIDTH * (usual - 1))
    return above_least((near - others) / (1 + RIDGE - others))

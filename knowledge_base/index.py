"""The vector index: exact inner products over unit rows. The only module that imports faiss.

A FAISS file carries no checksum and a damaged one can load and search without an error: read one only after
its folder was verified.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_base.errors import SnapshotError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class VectorIndex:
    """Rows of unit vectors, searched by inner product (the cosine), exactly."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.rows = int(index.ntotal)
        self.dimension = int(index.d)

    @classmethod
    def build(cls, vectors: Vectors) -> VectorIndex:
        """Index unit rows, (n, dimension) float32."""
        import numpy as np

        index = _faiss().IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index)

    @classmethod
    def read(cls, path: Path) -> VectorIndex:
        """Read an index from a file that was verified before.

        Raises:
            SnapshotError: the file holds no flat inner-product index.
        """
        faiss = _faiss()
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise SnapshotError(f"{path}: expected a FAISS index, got a file that cannot be read.") from error
        if not isinstance(index, faiss.IndexFlatIP):
            raise SnapshotError(f"{path}: expected a flat inner-product index, got {type(index).__name__}.")
        return cls(index)

    def write(self, path: Path) -> None:
        """Write the index to a file."""
        _faiss().write_index(self._index, str(path))

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """Return the vectors of `rows`, (len(rows), dimension) float32."""
        import numpy as np

        result: Vectors = self._index.reconstruct_batch(np.asarray(rows, dtype=np.int64))
        return result

    def is_of_unit_rows(self) -> bool:
        """Say whether every row has length 1, as far as float32 can tell: a damaged one rarely has."""
        import numpy as np

        lengths = np.linalg.norm(self.vectors(np.arange(self.rows)), axis=1)
        return bool(np.abs(lengths - 1).max(initial=0) <= self.dimension * np.finfo(np.float32).eps)

    def search(
        self, vector: Vectors, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Return the k best rows and their inner products with `vector`, best first; fewer where there are fewer.

        Args:
            vector: (dimension,) float32.
            k: how many rows.
            allowed: (rows,) True where a row may be found; None means every row.
        """
        import numpy as np

        faiss = _faiss()

        parameters = None
        if allowed is not None:
            # Held in a variable: the selector reads the bitmap's memory and does not own it.
            bitmap = np.packbits(allowed, bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        # One query is one pass over the rows: a second thread would only take time from the language model. The
        # number counts for everything this thread computes with OpenMP, PyTorch too, so it is put back.
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            scores, rows = self._index.search(query, min(k, self.rows), params=parameters)
        finally:
            faiss.omp_set_num_threads(threads)
        found = rows[0] >= 0
        return rows[0][found], scores[0][found]


def _faiss() -> Any:
    import faiss

    return faiss  # typed Any: the library's annotations do not cover the Python side of its selectors

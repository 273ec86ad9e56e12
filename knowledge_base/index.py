"""The vector index: every unit row is compared. The only module that imports faiss.

A FAISS file carries no checksum and a damaged one can load and search without an error: read one only after
its folder was verified.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_base.errors import SnapshotError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


LARGEST = 127  # of 8 bits with a sign
ROUNDED_AT_ONCE = 1 << 14  # rows, in little memory


class VectorIndex:
    """Rows of unit vectors, searched by inner product (the cosine)."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.rows = int(index.ntotal)
        self.dimension = int(index.d)
        stored = _faiss().rev_swig_ptr(index.get_xb(), self.rows * self.dimension)
        self._stored: Vectors = stored.reshape(self.rows, self.dimension)  # the memory of the index itself

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
            raise SnapshotError(
                f"{path}: expected a FAISS index, got a file that cannot be read. Ingest again."
            ) from error
        if not isinstance(index, faiss.IndexFlatIP):
            raise SnapshotError(
                f"{path}: expected a flat inner-product index, got {type(index).__name__}. Ingest again."
            )
        return cls(index)

    def write(self, path: Path) -> None:
        """Write the index to a file."""
        _faiss().write_index(self._index, str(path))

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """Return the vectors of `rows`, (len(rows), dimension) float32."""
        result: Vectors = self._stored[rows]
        return result

    def is_of_unit_rows(self) -> bool:
        """Say whether every row has length 1, as far as float32 can tell: a damaged one rarely has."""
        import numpy as np

        lengths = np.linalg.norm(self.vectors(np.arange(self.rows)), axis=1)
        return bool(np.abs(lengths - 1).max(initial=0) <= self.dimension * np.finfo(np.float32).eps)

    @cached_property
    def usual_cosine(self) -> float:
        """The mean cosine of two different rows; 0 where there are no two."""
        total = self._stored.sum(axis=0, dtype=float)
        return float(total @ total - self.rows) / (self.rows * (self.rows - 1)) if self.rows > 1 else 0.0

    def prepare(self) -> None:
        """Make the rows ready to be searched, which the first search would have to wait for otherwise."""
        _ = self._rounded

    def search(self, vector: Vectors, k: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return the k rows nearest to `vector`, nearest first; fewer where there are fewer.

        Rows and vector are compared with their numbers rounded to 8 bits, which takes a third of the time: of rows whose
        cosines differ by less than some thousandths any may come first.

        Args:
            vector: (dimension,) float32.
            k: how many rows.
            allowed: (rows,) True where a row may be found; None means every row.

        Raises:
            ValueError: `vector` or `allowed` is of another length.
        """
        import numpy as np

        query = np.asarray(vector, dtype=np.float32)
        if query.shape != (self.dimension,) or (allowed is not None and allowed.shape != (self.rows,)):
            got = None if allowed is None else allowed.shape
            raise ValueError(f"expected ({self.dimension},) and ({self.rows},), got {query.shape} and {got}")
        if not self.rows or k < 1:
            return np.zeros(0, np.int64)
        faiss = _faiss()
        parameters = None
        if allowed is not None and not allowed.all():
            # Held in a variable: the selector reads the bitmap's memory and does not own it.
            bitmap = np.packbits(allowed, bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
        # One query is one pass, and a second thread would only take time from others. The number counts for everything
        # this thread computes with OpenMP, PyTorch too, so it is put back.
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            rounded = np.round(query.reshape(1, -1) * _scale(query))
            _, rows = self._rounded.search(rounded, min(k, self.rows), params=parameters)
        finally:
            faiss.omp_set_num_threads(threads)
        found: NDArray[np.int64] = rows[0][rows[0] >= 0]
        return found

    @cached_property
    def _rounded(self) -> Any:
        """The rows in whole numbers of 8 bits, all in one range, so that the largest product is that of the nearest row."""
        import numpy as np

        faiss = _faiss()
        kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
        rounded = faiss.IndexScalarQuantizer(self.dimension, kind, faiss.METRIC_INNER_PRODUCT)
        scale = _scale(self._stored)
        for start in range(0, self.rows, ROUNDED_AT_ONCE):
            rounded.add(np.round(self._stored[start : start + ROUNDED_AT_ONCE] * scale))
        return rounded


def _scale(vectors: Vectors) -> np.float32:
    """Return what the largest number is to be multiplied by to become LARGEST."""
    import numpy as np

    largest = max(float(vectors.max(initial=0.0)), -float(vectors.min(initial=0.0)))
    return np.float32(LARGEST / (largest or 1.0))


def _faiss() -> Any:
    import faiss

    return faiss  # typed Any: the library's annotations do not cover the Python side of its selectors

"""The vector index: every unit row is compared. The only module that imports faiss.

A FAISS file carries no checksum and a damaged one can load and search without an error: read one only after
its folder was verified.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_base.errors import SnapshotError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


ASIDE_ROWS = 8192  # from here on a search takes longer than it takes to wake another thread
PART_ROWS = 32768  # rows that a thread searches at a time, in about a millisecond


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
            raise SnapshotError(f"{path}: expected a FAISS index, got a file that cannot be read.") from error
        if not isinstance(index, faiss.IndexFlatIP):
            raise SnapshotError(f"{path}: expected a flat inner-product index, got {type(index).__name__}.")
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
        _ = self._parts

    def search(self, vector: Vectors, k: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return the k rows nearest to `vector`, nearest first; fewer where there are fewer.

        Rows are compared in half precision, which takes half the time: of rows whose cosines differ by less than 0.001
        any may come first.

        Args:
            vector: (dimension,) float32.
            k: how many rows.
            allowed: (rows,) True where a row may be found; None means every row.

        Raises:
            ValueError: `vector` or `allowed` is of another length.
        """
        return self.begin_search(vector, k, allowed)()

    def begin_search(
        self, vector: Vectors, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Callable[[], NDArray[np.int64]]:
        """Begin a search on another thread, where there are so many rows that it pays.

        Returns:
            What searches the rows that are left on the thread that calls it, waits for the end of the others, and gives
            what `search` does.
        """
        import numpy as np

        query = np.ascontiguousarray(vector, dtype=np.float32)
        wanted = np.ones(self.rows, np.bool_) if allowed is None else allowed
        if (query.shape, wanted.shape) != ((self.dimension,), (self.rows,)):
            raise ValueError(f"expected ({self.dimension},) and ({self.rows},), got {query.shape} and {wanted.shape}")
        left = deque(enumerate(self._parts))
        found: list[tuple[NDArray[np.int64], Vectors]] = []

        def work() -> None:
            while left:
                try:
                    number, part = left.popleft()
                except IndexError:  # the other thread was faster
                    return
                start = number * PART_ROWS
                rows, scores = _search(part, query, k, wanted[start : start + PART_ROWS])
                found.append((start + rows, scores))

        aside = _second_thread().submit(work) if self.rows > ASIDE_ROWS else None

        def result() -> NDArray[np.int64]:
            work()
            if aside is not None and not aside.cancel():  # it never began where other searches kept that thread
                aside.result()
            if not found:
                return np.zeros(0, np.int64)
            rows, scores = (np.concatenate(part) for part in zip(*found, strict=True))
            return np.asarray(rows[np.lexsort((rows, -scores))[:k]], np.int64)

        return result

    @cached_property
    def _parts(self) -> list[Any]:
        """The rows in half precision, PART_ROWS in each part."""
        faiss = _faiss()
        parts = []
        for start in range(0, self.rows, PART_ROWS):
            part = faiss.IndexScalarQuantizer(self.dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
            part.add(self._stored[start : start + PART_ROWS])
            parts.append(part)
        return parts


def _search(part: Any, query: Vectors, k: int, allowed: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Vectors]:
    import numpy as np

    faiss = _faiss()
    # Held in a variable: the selector reads the bitmap's memory and does not own it.
    bitmap = np.packbits(allowed, bitorder="little")
    parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
    # One query is one pass, and a second thread would only take time from others. The number counts for everything this
    # thread computes with OpenMP, PyTorch too, so it is put back.
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        scores, rows = part.search(query.reshape(1, -1), min(k, len(allowed)), params=parameters)
    finally:
        faiss.omp_set_num_threads(threads)
    found = rows[0] >= 0
    return rows[0][found], scores[0][found]


@cache
def _second_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "vector-index")


def _faiss() -> Any:
    import faiss

    return faiss  # typed Any: the library's annotations do not cover the Python side of its selectors

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from knowledge_base.errors import SnapshotError
from knowledge_base.index import LARGEST, ROUNDED_AT_ONCE, VectorIndex


def unit_rows(count: int, dimension: int, seed: int) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def rounding(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> float:
    """By how much two cosines with a query may seem nearer to each other when all numbers are rounded to 8 bits."""
    of_rows, of_query = (float(np.abs(numbers).max()) / (2 * LARGEST) for numbers in (vectors, query))
    longest = float(np.abs(vectors).sum(axis=1).max())
    both = of_rows * float(np.abs(query).sum()) + of_query * longest + vectors.shape[1] * of_rows * of_query
    return float(2 * both)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 300), k=st.integers(1, 320), seed=st.integers(0, 999), share=st.floats(0, 1))
def test_search_finds_what_comparing_with_every_row_finds(count: int, k: int, seed: int, share: float) -> None:
    vectors = unit_rows(count, 24, seed)
    query = unit_rows(1, 24, seed + 1000)[0]
    allowed = np.random.default_rng(seed).random(count) < share
    rows = VectorIndex.build(vectors).search(query, k, allowed)
    exact = vectors @ query
    wanted = sorted(np.flatnonzero(allowed), key=lambda row: -exact[row])[:k]
    assert len(rows) == len(wanted)
    np.testing.assert_allclose(exact[rows], exact[wanted], atol=rounding(vectors, query))
    assert len(set(rows.tolist())) == len(rows)
    assert allowed[rows].all()


def test_rows_that_are_rounded_in_several_parts_are_found_as_in_one() -> None:
    vectors = unit_rows(2 * ROUNDED_AT_ONCE + 5, 6, 4)
    query = unit_rows(1, 6, 7)[0]
    allowed = np.random.default_rng(4).random(len(vectors)) < 0.7
    rows = VectorIndex.build(vectors).search(query, 500, allowed)
    exact = np.where(allowed, vectors @ query, -2)
    np.testing.assert_allclose(exact[rows], np.sort(exact)[::-1][:500], atol=rounding(vectors, query))
    assert len(set(rows.tolist())) == 500


def test_of_400_rows_found_none_of_the_ten_nearest_is_missing_among_many_like_each_other() -> None:
    centres = unit_rows(40, 384, 5)
    noise = unit_rows(20_000, 384, 6)
    vectors = centres[np.arange(20_000) % 40] + 0.3 * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = VectorIndex.build(vectors)
    for query in vectors[:50] + 0.1 * unit_rows(50, 384, 7):
        nearest = np.argsort(-(vectors @ query))[:10]
        assert set(nearest.tolist()) <= set(index.search(query, 400).tolist())


@pytest.mark.parametrize("vectors", [np.zeros((0, 8), np.float32), np.zeros((3, 8), np.float32)])
def test_nothing_to_find_and_rows_of_nothing_are_searched_without_a_warning(vectors: NDArray[np.float32]) -> None:
    query = unit_rows(1, 8, 1)[0]
    assert len(VectorIndex.build(vectors).search(query, 2)) == min(2, len(vectors))
    assert len(VectorIndex.build(vectors).search(query, 0)) == 0


def test_without_a_mask_every_row_may_be_found() -> None:
    vectors = unit_rows(50, 8, 1)
    rows = VectorIndex.build(vectors).search(vectors[17], 3)
    assert rows[0] == 17
    assert len(rows) == 3


def test_a_written_index_reads_back_bit_for_bit(tmp_path: Path) -> None:
    vectors = unit_rows(37, 16, 2)
    VectorIndex.build(vectors).write(tmp_path / "index.faiss")
    index = VectorIndex.read(tmp_path / "index.faiss")
    assert (index.rows, index.dimension) == (37, 16)
    np.testing.assert_array_equal(index.vectors(np.array([5, 0, 36])), vectors[[5, 0, 36]])


def test_a_file_that_is_no_flat_index_is_refused(tmp_path: Path) -> None:
    faiss.write_index(faiss.IndexFlatL2(8), str(tmp_path / "distances.faiss"))
    with pytest.raises(SnapshotError, match="got IndexFlatL2"):
        VectorIndex.read(tmp_path / "distances.faiss")
    (tmp_path / "text.faiss").write_text("not an index at all")
    with pytest.raises(SnapshotError, match="cannot be read"):
        VectorIndex.read(tmp_path / "text.faiss")

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from knowledge_base.errors import SnapshotError
from knowledge_base.index import PART_ROWS, VectorIndex

HALF_PRECISION = 1e-3  # how far a sum of products of unit vectors in half precision may be off


def unit_rows(count: int, dimension: int, seed: int) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


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
    np.testing.assert_allclose(exact[rows], exact[wanted], atol=HALF_PRECISION)
    assert len(set(rows.tolist())) == len(rows)
    assert allowed[rows].all()


@pytest.mark.parametrize("count", [PART_ROWS, PART_ROWS + 1, 3 * PART_ROWS - 5])
def test_rows_that_several_threads_search_are_found_as_by_one(count: int) -> None:
    vectors = unit_rows(count, 6, count)
    query = unit_rows(1, 6, 7)[0]
    allowed = np.random.default_rng(count).random(count) < 0.7
    rows = VectorIndex.build(vectors).search(query, 500, allowed)
    exact = np.where(allowed, vectors @ query, -2)
    np.testing.assert_allclose(exact[rows], np.sort(exact)[::-1][:500], atol=HALF_PRECISION)
    assert len(set(rows.tolist())) == 500


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

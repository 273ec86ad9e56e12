"""Search over the current snapshot: exact, thread-safe, and following the home to new snapshots."""

from __future__ import annotations

import logging
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base import snapshots
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry, Hit
from knowledge_base.errors import SnapshotError
from knowledge_base.index import VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOGGER = logging.getLogger(__name__)
CONTEXT_CHARACTERS = 500  # the encoder cuts long text off at its end, where the message itself stands


class KnowledgeBase:
    """What the company knows, searchable. Any thread may search while another refreshes.

    The score of an entry is the mean of two cosines: that of its nearest question (or alternative) and that
    of the whole entry, question and answer together. With a context, the message is the mean of the message
    alone and of context and message together.
    """

    def __init__(self, home: Path, encoder: Encoder, *, today: Callable[[], date] = date.today) -> None:
        self._home = home
        self._encoder = encoder
        self._today = today
        self._refreshing = threading.Lock()
        self._refused = ""
        self._opened = _open(home, encoder)

    @classmethod
    def open(cls, home: Path, encoder: Encoder) -> KnowledgeBase:
        """Open the current snapshot of a knowledge home.

        Raises:
            SnapshotError: there is none, it is altered, or it was built with another encoder.
        """
        return cls(home, encoder)

    @property
    def encoder(self) -> Encoder:
        """The encoder that embeds queries."""
        return self._encoder

    @property
    def snapshot_id(self) -> str:
        """Name of the snapshot in use."""
        return self._opened.snapshot.id

    @property
    def sha256(self) -> str:
        """Hash of its manifest."""
        return self._opened.snapshot.sha256

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All entries by id, those that search never returns included."""
        return self._opened.snapshot.entries

    def rows(self) -> tuple[list[str], NDArray[np.float32]]:
        """Return the entry id of every row of the index, and the rows' vectors, (n, dimension).

        The rows of an entry stand together, in the order of its `searched_texts`.
        """
        return self._opened.rows()

    def search(self, message: str, *, context: str = "", recent: Sequence[str] = (), k: int = 5) -> list[Hit]:
        """Find the entries nearest to a message.

        Args:
            message: what the customer wrote.
            context: the customer's message before it.
            recent: ids of entries cited lately; they are scored and returned even where they are not among the k best.
            k: how many entries to find.

        Returns:
            One hit an entry, best first: the k best and the recent ones. Entries that are not public or not in
            force today are never among them.
        """
        import numpy as np

        message = _clean(message)
        if not message or k < 1:
            return []
        opened = self._opened  # one snapshot for the whole search, whatever a refresh does meanwhile
        vector = self._encoder.encode_query(message)
        if context := _clean(context)[-CONTEXT_CHARACTERS:]:
            vector = (vector + self._encoder.encode_query(f"{context}\n{message}")) * np.float32(0.5)
        return opened.search(vector, recent, k, self._today())

    def refresh(self) -> bool:
        """Change to a newer current snapshot if there is one; a bad one is reported once and the old one kept."""
        try:
            if snapshots.current_id(self._home) in (self.snapshot_id, self._refused):
                return False
        except SnapshotError as error:
            self._report("CURRENT", error)
            return False
        if not self._refreshing.acquire(blocking=False):
            return False  # another thread is reading it already
        try:
            return self._swap()
        finally:
            self._refreshing.release()

    def _swap(self) -> bool:
        name = ""
        try:
            name = snapshots.current_id(self._home)
            opened = _open(self._home, self._encoder)
        except SnapshotError as error:
            self._report(name, error)
            return False
        self._opened, self._refused = opened, ""
        return True

    def _report(self, name: str, error: SnapshotError) -> None:
        if self._refused != name:
            LOGGER.warning("the new knowledge is not used, the old one stays: %s", error)
        self._refused = name


CANDIDATES = 100  # entries whose score is computed exactly; the right one is among the nearest rows' by far


class _Opened:
    """One snapshot with its index; never changed after it is built."""

    def __init__(self, snapshot: snapshots.Snapshot, index: VectorIndex) -> None:
        import numpy as np

        self.snapshot = snapshot
        self._index = index
        self._entries = list(snapshot.entries.values())
        places = {entry.id: place for place, entry in enumerate(self._entries)}
        self._place_of_row = np.array([places[row.entry_id] for row in snapshot.rows], dtype=np.int64)
        self._places = places
        order = np.argsort(self._place_of_row, kind="stable")
        self._rows = np.split(order, np.cumsum(np.bincount(self._place_of_row, minlength=len(self._entries)))[:-1])
        self._allowed_rows = lru_cache(maxsize=2)(self._compute_allowed_rows)

    def rows(self) -> tuple[list[str], NDArray[np.float32]]:
        import numpy as np

        ids = [row.entry_id for row in self.snapshot.rows]
        return ids, self._index.vectors(np.arange(len(ids)))

    def search(self, vector: NDArray[np.float32], recent: Sequence[str], k: int, today: date) -> list[Hit]:
        import numpy as np

        allowed = self._allowed_rows(today)
        candidates = self._candidates(vector, allowed, k)
        best = self._scored(vector, candidates)[:k]
        named = {self._places[entry_id] for entry_id in recent if entry_id in self._places}
        missing = [place for place in named - {place for place, _ in best} if allowed[self._rows[place][0]]]
        ranked = sorted([*best, *self._scored(vector, missing)], key=lambda item: (-item[1], item[0]))
        return [Hit(self._entries[place], float(np.clip(score, -1.0, 1.0))) for place, score in ranked]

    def _candidates(self, vector: NDArray[np.float32], allowed: NDArray[np.bool_], k: int) -> list[int]:
        """Return the places of the entries that own the nearest rows: at least CANDIDATES of them, if there are."""
        available = int(allowed.sum())
        wanted = max(CANDIDATES, 4 * k)
        fetched = min(4 * wanted, available)
        while fetched:
            rows, _ = self._index.search(vector, fetched, allowed)
            places = list(dict.fromkeys(int(place) for place in self._place_of_row[rows]))
            if len(places) >= wanted or fetched == available:
                return places
            fetched = min(4 * fetched, available)
        return []

    def _scored(self, vector: NDArray[np.float32], places: Sequence[int]) -> list[tuple[int, float]]:
        """Return (place, score) of entries, best first; the last row of an entry is the whole of it."""
        import numpy as np

        if not places:
            return []
        rows = [self._rows[place] for place in places]
        values = self._index.vectors(np.concatenate(rows)) @ vector
        ends = np.cumsum([len(own) for own in rows])
        scored = []
        for place, own, end in zip(places, rows, ends, strict=True):
            cosines = values[end - len(own) : end]
            scored.append((place, float((cosines[:-1].max() + cosines[-1]) / 2)))
        return sorted(scored, key=lambda item: (-item[1], item[0]))

    def _compute_allowed_rows(self, today: date) -> NDArray[np.bool_]:
        import numpy as np

        allowed = [entry.visibility == "public" and entry.is_valid_on(today) for entry in self._entries]
        rows: NDArray[np.bool_] = np.array(allowed, dtype=np.bool_)[self._place_of_row]
        return rows


def _open(home: Path, encoder: Encoder) -> _Opened:
    snapshot, index = snapshots.open_current(home)
    if snapshot.encoder_sha256 != encoder.sha256:
        raise SnapshotError(
            f"{snapshot.folder}: expected knowledge made with the encoder {encoder.id} ({encoder.sha256[:12]}), "
            f"got {snapshot.encoder_id} ({snapshot.encoder_sha256[:12]}). Ingest again, or set that encoder."
        )
    return _Opened(snapshot, index)


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()

"""Search over the current snapshot: exact, thread-safe, and following the home to new snapshots."""

from __future__ import annotations

import logging
import threading
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base import snapshots
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry, Hit
from knowledge_base.errors import SnapshotError
from knowledge_base.scorer import FEATURES, Scorer, default_scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOGGER = logging.getLogger(__name__)
CONTEXT_CHARACTERS = 500  # the encoder cuts long text off at its end, where the message itself stands


@dataclass(frozen=True, slots=True)
class Candidates:
    """Entries that may answer a query, with what speaks for each: `features` is (n, len(FEATURES))."""

    entries: tuple[Entry, ...]
    features: NDArray[np.float32]

    def hits(self, scorer: Scorer, k: int, recent: Sequence[str] = ()) -> list[Hit]:
        """Return the k likeliest candidates and the recent ones, likeliest first."""
        utilities = scorer.utilities(self.features)
        probabilities = scorer.probabilities(utilities)
        ranked = sorted(range(len(self.entries)), key=lambda place: (-utilities[place], place))
        kept = [p for rank, p in enumerate(ranked) if rank < k or self.entries[p].id in recent]
        return [Hit(self.entries[p], float(utilities[p]), float(probabilities[p])) for p in kept]

    def answering(self, relevant: Collection[str]) -> NDArray[np.bool_]:
        """Return which candidates (n,) are among the relevant ids."""
        import numpy as np

        return np.array([entry.id in relevant for entry in self.entries], np.bool_)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What search is to do without: a question of an entry (0, or an alternative from 1 on), or the whole entry."""

    entry_id: str
    question: int | None = None


class KnowledgeBase:
    """What the company knows, searchable. Any thread may search while another refreshes.

    Candidates are the entries nearest by meaning and those that share most words with the message; a scorer weighs
    what speaks for each (see `knowledge_base.scorer`). With a context, the meaning of the message is the mean of the
    message alone and of context and message together.
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
    def home(self) -> Path:
        """The knowledge home."""
        return self._home

    @property
    def snapshot(self) -> snapshots.Snapshot:
        """The snapshot in use."""
        return self._opened.snapshot

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
    def scorer(self) -> Scorer:
        """The weights that were fitted for this knowledge, or those that come with Frontdesk."""
        return self._opened.snapshot.scorer or default_scorer()

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All entries by id, those that search never returns included."""
        return self._opened.snapshot.entries

    def search(
        self,
        message: str,
        *,
        context: str = "",
        recent: Sequence[str] = (),
        k: int = 5,
        scorer: Scorer | None = None,
    ) -> list[Hit]:
        """Find the entries that answer a message.

        Args:
            message: what the customer wrote.
            context: the customer's message before it.
            recent: ids of entries cited lately; they are scored and returned even where they are not among the k best.
            k: how many entries to find.
            scorer: other weights than those of this knowledge.

        Returns:
            One hit an entry, likeliest first: the k best and the recent ones. Entries that are not public or not in
            force today are never among them.
        """
        candidates = self.candidates(message, context=context, recent=recent)
        return candidates.hits(scorer or self.scorer, k, recent) if k > 0 else []

    def candidates(
        self, message: str, *, context: str = "", recent: Sequence[str] = (), held_out: HeldOut | None = None
    ) -> Candidates:
        """Return the entries that may answer a message, with what speaks for each.

        Args:
            message: what the customer wrote.
            context: the customer's message before it.
            recent: ids of entries cited lately.
            held_out: what is searched as if it did not exist, to ask the knowledge its own questions.
        """
        import numpy as np

        message, context = _clean(message), _clean(context)[-CONTEXT_CHARACTERS:]
        if not message:
            return Candidates((), np.zeros((0, len(FEATURES)), np.float32))
        opened = self._opened  # one snapshot for the whole search, whatever a refresh does meanwhile
        vector = self._encoder.encode_query(message)
        if context:
            vector = (vector + self._encoder.encode_query(f"{context}\n{message}")) * np.float32(0.5)
        return opened.candidates(_Query(vector, message, context, recent, held_out), self._today())

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


NEAREST, WORDIEST = 100, 50  # entries that are scored exactly: the nearest by meaning, and by words


@dataclass(frozen=True, slots=True)
class _Query:
    vector: NDArray[np.float32]
    message: str
    context: str
    recent: Sequence[str]
    held_out: HeldOut | None


class _Opened:
    """One snapshot with its indexes; never changed after it is built."""

    def __init__(self, snapshot: snapshots.Snapshot) -> None:
        import numpy as np

        self.snapshot = snapshot
        self._index = snapshot.read_index()
        self._lexical = snapshot.read_lexical()
        self._entries = list(snapshot.entries.values())
        self._places = {entry.id: place for place, entry in enumerate(self._entries)}
        self._place_of_row = np.array([self._places[row.entry_id] for row in snapshot.rows], dtype=np.int64)
        order = np.argsort(self._place_of_row, kind="stable")
        self._rows = np.split(order, np.cumsum(np.bincount(self._place_of_row, minlength=len(self._entries)))[:-1])
        self._allowed_rows = lru_cache(maxsize=2)(self._compute_allowed_rows)

    def candidates(self, query: _Query, today: date) -> Candidates:
        import numpy as np

        allowed = self._allowed_rows(today)
        out = query.held_out
        if out is not None:
            own = self._rows[self._places[out.entry_id]]
            allowed = allowed.copy()
            allowed[own if out.question is None else own[out.question]] = False
        by_words = self._words(query.message, out)
        places = set(self._nearest(query.vector, allowed))
        places.update(int(p) for p in np.argsort(-by_words, kind="stable")[:WORDIEST] if by_words[p] > 0)
        places.update(self._places[entry_id] for entry_id in query.recent if entry_id in self._places)
        # The last row of an entry is the whole of it and is never held out alone.
        found = sorted(place for place in places if allowed[self._rows[place][-1]])
        features = np.zeros((len(found), len(FEATURES)), np.float32)
        if found:
            features[:, :2] = self._cosines(query.vector, found, allowed)
            features[:, 2] = by_words[found]
            features[:, 3] = self._words(query.context, out)[found] if query.context else 0.0
            features[:, 4] = [self._entries[place].id in query.recent for place in found]
        return Candidates(tuple(self._entries[place] for place in found), features)

    def _words(self, text: str, out: HeldOut | None) -> NDArray[np.float32]:
        """Return the lexical score of every entry; of the one a question of which is held out, without it."""
        scores = self._lexical.scores(text)
        if out is not None and out.question is not None:
            place = self._places[out.entry_id]
            texts = self._entries[place].searched_texts
            left = texts[: out.question] + texts[out.question + 1 :]
            scores[place] = self._lexical.score(text, "\n".join(left))
        return scores

    def _nearest(self, vector: NDArray[np.float32], allowed: NDArray[np.bool_]) -> list[int]:
        """Return the places of the entries that own the nearest rows: at least NEAREST of them, if there are."""
        available = int(allowed.sum())
        fetched = min(4 * NEAREST, available)
        while fetched:
            rows, _ = self._index.search(vector, fetched, allowed)
            places = list(dict.fromkeys(int(place) for place in self._place_of_row[rows]))
            if len(places) >= NEAREST or fetched == available:
                return places
            fetched = min(4 * fetched, available)
        return []

    def _cosines(
        self, vector: NDArray[np.float32], places: Sequence[int], allowed: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return (n, 2): the cosine of the nearest question or alternative of each entry, and of the whole entry."""
        import numpy as np

        own = [self._rows[place] for place in places]
        rows = np.concatenate(own)
        values = self._index.vectors(rows) @ vector
        ends = np.cumsum([len(part) for part in own])
        whole = values[ends - 1]
        values = np.where(allowed[rows], values, np.float32(-1.0))
        values[ends - 1] = -1.0
        starts = np.concatenate([[0], ends[:-1]])
        best: NDArray[np.float32] = np.stack([np.maximum.reduceat(values, starts), whole], axis=1)
        return best.clip(-1.0, 1.0)

    def _compute_allowed_rows(self, today: date) -> NDArray[np.bool_]:
        import numpy as np

        allowed = [entry.visibility == "public" and entry.is_valid_on(today) for entry in self._entries]
        rows: NDArray[np.bool_] = np.array(allowed, dtype=np.bool_)[self._place_of_row]
        return rows


def _open(home: Path, encoder: Encoder) -> _Opened:
    def parse(folder: Path) -> _Opened:
        snapshot = snapshots.read(folder)
        snapshot.require_encoder(encoder.id, encoder.sha256)
        return _Opened(snapshot)

    return snapshots.while_current(home, parse)


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()

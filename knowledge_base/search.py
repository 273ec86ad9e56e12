"""Search over the current snapshot: exact, thread-safe, and following the home to new snapshots."""

from __future__ import annotations

import logging
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Self

from knowledge_base import snapshots
from knowledge_base.background import Background
from knowledge_base.candidates import Asked, Candidates, HeldOut, Shelf
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry, Hit
from knowledge_base.errors import SnapshotError
from knowledge_base.precedents import Precedents
from knowledge_base.scorer import FEATURES, Scorer, default_scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOGGER = logging.getLogger(__name__)
CONTEXT_CHARACTERS = 500  # of the message before: its end says what this one goes on with


class KnowledgeBase:
    """What the company knows, searchable. Any thread may search while another refreshes.

    Candidates are the entries nearest by meaning, those that share most words with the message and those of the
    subjects most spoken of; a scorer weighs what speaks for each (see `knowledge_base.scorer`).
    """

    def __init__(
        self,
        home: Path,
        encoder: Encoder,
        background: Background,
        precedents: Precedents | None,
        opened: Shelf,
        today: Callable[[], date],
    ) -> None:
        self._home = home
        self._background = background
        self._precedents = precedents
        self._encoder = encoder
        self._today = today
        self._refreshing = threading.Lock()
        self._refused = ""
        self._opened = opened

    @classmethod
    def open(
        cls,
        home: Path,
        encoder: Encoder,
        precedents: Precedents | None = None,
        *,
        today: Callable[[], date] = date.today,
    ) -> Self:
        """Open the current snapshot of a knowledge home; `precedents` are what customers asked before.

        Raises:
            SnapshotError: there is none, it is altered, or it was built with another encoder.
        """
        background = Background(encoder)
        return cls(home, encoder, background, precedents, _open(home, encoder, background, precedents), today)

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
    def precedents(self) -> Precedents | None:
        """What customers asked before, where it is known."""
        return self._precedents

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
        return self._opened.snapshot.scorer or self.default_scorer

    @property
    def default_scorer(self) -> Scorer:
        """The weights that come with Frontdesk for a knowledge like this."""
        return default_scorer(self._opened.with_subject, self._opened.with_alternatives)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All entries by id, those that search never returns included."""
        return self._opened.snapshot.entries

    @property
    def usual_cosine(self) -> float:
        """The mean cosine of two of its texts: how near what it says is to each other."""
        return self._opened.usual_cosine

    def search(
        self,
        message: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        recent: Sequence[str] = (),
        k: int = 5,
        scorer: Scorer | None = None,
        rerank: Callable[[Sequence[Hit]], Sequence[Hit]] | None = None,
    ) -> list[Hit]:
        """Find the entries that answer a message.

        Args:
            message: what the customer wrote.
            history: (role, content) of every message before it, oldest first; role is user or assistant.
            recent: ids of entries cited lately; they are scored and returned even where they are not among the k best.
            k: how many entries to find.
            scorer: other weights than those of this knowledge.
            rerank: gives the hits in another order.

        Returns:
            One hit an entry, likeliest first: the k best and the recent ones. Entries that are not public or not in
            force today are never among them.
        """
        candidates = self.candidates(message, history=history, recent=recent)
        hits = candidates.hits(scorer or self.scorer, k, recent) if k > 0 else []
        return list(rerank(hits)) if rerank else hits

    def candidates(
        self,
        message: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        recent: Sequence[str] = (),
        held_out: HeldOut | None = None,
    ) -> Candidates:
        """Return the entries that may answer a message, with what speaks for each.

        Args:
            message: what the customer wrote.
            history: (role, content) of every message before it, oldest first; role is user or assistant.
            recent: ids of entries cited lately.
            held_out: what is searched as if it did not exist, to ask the knowledge its own questions.
        """
        import numpy as np

        message = _clean(message)
        if not message:
            return Candidates((), np.zeros(0, np.int64), np.zeros((0, len(FEATURES)), np.float32))
        opened = self._opened  # one snapshot for the whole search, whatever a refresh does meanwhile
        context = _clean(next((content for role, content in reversed(history) if role == "user"), ""))
        context = context[-CONTEXT_CHARACTERS:]
        in_context = self._encoder.behind(context, message) if context else message
        asked = list(dict.fromkeys((opened.without_subject(message), in_context)))
        vector_of = {text: self._encoder.encode_query(text) for text in {*asked, message}}
        vectors, said = np.stack([vector_of[text] for text in asked]), [content for _, content in history]
        return opened.candidates(
            Asked(vector_of[message], vectors, message, context, said, recent, held_out), self._today()
        )

    def nearness(self, message: str) -> NDArray[np.float32]:
        """Return the cosine of a message, as it stands, with the nearest text of every entry, in the order of `entries`.

        It is -1 for those that search never finds. This is dense search alone, to compare with.
        """
        return self._opened.nearness(self._encoder.encode_query(_clean(message)), self._today())

    def refresh(self) -> bool:
        """Change to a newer current snapshot if there is one; a bad one is reported once and the old one kept.

        Whoever comes while another thread reads it waits: what is in force before the call is what is searched after it.
        """
        if not self._is_outdated():
            return False
        with self._refreshing:
            return self._is_outdated() and self._swap()

    def _is_outdated(self) -> bool:
        try:
            return snapshots.current_id(self._home) not in (self.snapshot_id, self._refused)
        except SnapshotError as error:
            self._report("CURRENT", error)
            return False

    def _swap(self) -> bool:
        name = ""
        try:
            name = snapshots.current_id(self._home)
            opened = _open(self._home, self._encoder, self._background, self._precedents)
        except SnapshotError as error:
            self._report(name, error)
            return False
        self._opened, self._refused = opened, ""
        return True

    def _report(self, name: str, error: SnapshotError) -> None:
        if self._refused != name:
            LOGGER.warning("the new knowledge is not used, the old one stays: %s", error)
        self._refused = name


def _open(home: Path, encoder: Encoder, background: Background, precedents: Precedents | None) -> Shelf:
    def parse(folder: Path) -> Shelf:
        snapshot = snapshots.read(folder)
        snapshot.require_encoder(encoder.id, encoder.sha256)
        return Shelf(snapshot, encoder.encode_words, background, precedents)

    return snapshots.while_current(home, parse)


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()

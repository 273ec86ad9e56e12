"""Which entries bear a name, and which names a conversation speaks of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from knowledge_base.lexical import words
from knowledge_base.subjects import Names, Vocabulary, spoken_of_before

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUBJECTS = 10  # names the entries of which are looked at: so many of those just named, and of those spoken of before
MOST_ENTRIES = 500  # of these names: where a name has thousands, as a category may, it does not choose


class Bearers:
    """Which of a few names each entry bears: its subject, or its category.

    `names` are all of them; an entry without a name has the place -1 among them.
    """

    def __init__(
        self,
        labels: Sequence[str],
        said: Sequence[Set[str]],
        vocabulary: Vocabulary,
        everyday: Sequence[Set[str]] = (),
    ) -> None:
        """Take the name of each entry, or "", and the words that it says; `everyday` as `Names` does."""
        import numpy as np

        found = list(dict.fromkeys(filter(None, labels)))
        together: dict[str | int, set[str]] = defaultdict(set)  # the words of all entries of a name, or of one without
        for place, (label, of_entry) in enumerate(zip(labels, said, strict=True)):
            together[label or place].update(of_entry, words(label))
        self.names = Names(found, together.values(), vocabulary, everyday)
        numbers = {name: number for number, name in enumerate(found)}
        self._of = np.array([numbers.get(label, -1) for label in labels], np.int64)
        order = np.argsort(self._of, kind="stable")
        self._bearers = np.split(order, np.searchsorted(self._of[order], np.arange(len(found) + 1)))[1:]

    def spoken_of(self, message: str, said: Sequence[str]) -> NDArray[np.float32]:
        """Return (2, names): how far each is named in the message, and how much it was spoken of before."""
        import numpy as np

        return np.stack(
            [self.names.mentions(message), spoken_of_before(map(self.names.mentions, said), len(self.names.names))]
        )

    def places_of_best(self, spoken: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the places of the entries of the names most named and most `spoken_of` before, (2, names).

        They are at most MOST_ENTRIES: those of the highest `scores`.
        """
        import numpy as np

        # Of each row, so that much talk of others hides no name just named.
        best = np.unique(np.concatenate([best_of(row, SUBJECTS) for row in spoken]))
        places = np.concatenate([self._bearers[number] for number in best]) if len(best) else best
        if len(places) > MOST_ENTRIES:
            places = places[np.argpartition(-scores[places], MOST_ENTRIES)[:MOST_ENTRIES]]
        return places

    def of_places(self, spoken: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (2, n): what `spoken_of` gave for the name of each entry; 0 without a name."""
        import numpy as np

        padded = np.concatenate([spoken, np.zeros((len(spoken), 1), np.float32)], axis=1)
        return np.asarray(padded[:, self._of[places]])


def best_of(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return where the k highest of `values` above 0 are, highest first; of equal ones the first.

    Few are high where a message has a rare word, and finding them takes a fraction of ordering all that share a common one.
    """
    import numpy as np

    highest = float(values.max(initial=0.0))
    share = 0.5
    found = np.flatnonzero(values >= share * highest)
    while len(found) < k and share > 0.01:
        share /= 2
        found = np.flatnonzero(values >= share * highest)
    if len(found) < k or not highest:
        found = np.flatnonzero(values > 0)
    return found[np.argsort(-values[found], kind="stable")[:k]]

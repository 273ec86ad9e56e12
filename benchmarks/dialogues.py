"""Generate spoken task dialogues over a FAQ of places, as judged queries, to fit and to measure the search on.

    python benchmarks/dialogues.py FAQ --part fit --out FILE
    python benchmarks/dialogues.py FAQ --part measure --out FILE

A customer looks for hotels, restaurants and sights, is offered places, changes their mind and books; the last turn asks
what an entry of the place answers (`relevant`), or is one more turn of booking that none answers (`relevant` empty). Two
in three dialogues are as speech recognition writes: no punctuation, fillers, names heard wrongly. The parts share no
place that is asked about and no wording: of every list in `spoken.py` each has one half. A run gives the same dialogues
for the same seed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import spoken

from knowledge_base.entry import Entry, parse_entry

PARTS = ("fit", "measure")
ASKING, UNANSWERED = 0.55, 0.06  # shares of dialogues whose last turn asks: an entry answers, or none of the place does
CONFUSIONS = (
    *("ph f", "f v", "v w", "b p", "d t", "g k", "c k", "s z", "ch sh", "th d", "m n", "er a", "ee i", "i e", "o u"),
    *("a e", "ou oo", "ai ay", "ll l", "tt t", "y ie", "qu kw", "x cks", "au o", "ea ee", "u oo", "or er", "h "),
)
SWITCHES = tuple((a, b) for pair in CONFUSIONS for a, b in (pair.split(" "), pair.split(" ")[::-1]) if a)
OFTEN = {"hotel": 10, "restaurant": 10, "attraction": 5, "train": 1, "taxi": 1}
RIDES = ("train", "taxi")  # they have no name
DROPPED = {"the", "hotel", "restaurant", "inn", "and", "cafe", "house", "guest", "san", "francisco", "bar", "cambridge"}

Judged = tuple[list[tuple[str, str]], list[str]]  # messages (role, content), and the ids of what answers the last


@dataclass(frozen=True, slots=True)
class Place:
    """What is asked about: a subject with its entries, or a ride, whose name is its category."""

    name: str
    category: str
    asked: tuple[tuple[str, str], ...]  # (id, question without the name) of every entry

    def answering(self, topic: spoken.Topic) -> list[str]:
        """Return the ids of the entries that are asked about a topic."""
        return [i for i, text in self.asked if topic.asked.search(text) and not topic.unlike.search(text)]

    def nears(self, topic: spoken.Topic) -> bool:
        """Say whether an entry may be about a topic, in whatever way."""
        return any(topic.asked.search(text) for _, text in self.asked)


@dataclass(slots=True)
class Talk:
    """A dialogue as it grows: (role, content) messages, and which place each is about, as far as that is clear."""

    messages: list[tuple[str, str]] = field(default_factory=list)
    about: list[Place | None] = field(default_factory=list)

    def add(self, role: str, content: str, place: Place | None) -> None:
        """Let somebody say something."""
        self.messages.append((role, content))
        self.about.append(place)


class Generator:
    """Makes dialogues of one part.

    Args:
        entries: a FAQ with subjects; its categories are those of `spoken.KINDS`.
        part: one of PARTS.
        seed: the same gives the same dialogues.
    """

    def __init__(self, entries: Sequence[Entry], part: str, seed: int) -> None:
        self._half = PARTS.index(part)
        self._chance = random.Random(f"{part}:{seed}")  # noqa: S311 (a sample, not a secret)
        of: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry.category in spoken.KINDS:
                of[entry.category, entry.subject or entry.category].append(entry)
        self._places: dict[str, list[Place]] = defaultdict(list)
        for (category, name), own in sorted(of.items()):
            asked = tuple((entry.id, entry.searched_texts[0]) for entry in own)
            self._places[category].append(Place(name, category, asked))
        self._usual = {category: self._usual_topics(category) for category in self._places}

    def query(self, number: int) -> dict[str, object]:
        """Return one dialogue as a judged query."""
        return self._query(f"{number}", self._in_dialogue)

    def first_query(self, number: int) -> dict[str, object]:
        """Return one first message that names its place, as a judged query."""
        return self._query(f"first-{number}", self._at_first)

    def _query(self, name: str, attempt: Callable[[], Judged | None]) -> dict[str, object]:
        """Return what an attempt makes; it gives None where the dialogue of its chance fits nothing."""
        made = None
        while made is None:
            self._spoken = self._chance.random() < 2 / 3
            self._garbled = self._chance.choice((0.0, 0.3, 0.6))
            made = attempt()
        messages = [{"role": role, "content": content} for role, content in made[0]]
        return {"id": f"{PARTS[self._half]}-{name}", "messages": messages, "relevant": made[1]}

    def _at_first(self) -> Judged | None:
        """Return a first message with what answers it: a question about a place by its name, or the wish for one."""
        kind = self._chance.choice([category for category in self._places if category not in RIDES])
        place, chance = self._chance.choice(self._own(kind)), self._chance.random()
        if chance >= ASKING + UNANSWERED:
            return [("user", self._said(self._line((*spoken.WANT_NAMED, *spoken.CHANGE)), place))], []
        asked = self._question(place, chance < ASKING, ("{name}",), spoken.GREETINGS, named=True)
        return ([("user", asked[0])], asked[1]) if asked else None

    def _in_dialogue(self) -> Judged | None:
        """Return messages with what answers the last, or None where it was to ask about a place and none was clear."""
        talk, kind = self._conversation(), self._chance.random()
        turn = self._chance.choice([i for i, (role, _) in enumerate(talk.messages) if role == "user" and i])
        if kind >= ASKING + UNANSWERED:
            return talk.messages[: turn + 1], []
        last = talk.about[turn - 1]
        if last is None:
            return None
        place = self._spoken_of_earlier(talk, turn, last)
        ways: tuple[str, ...] = (spoken.KINDS[place.category][0], "{name}")
        if place is last:
            ways = ("it", "they", spoken.KINDS[place.category][0], *spoken.KINDS[place.category], "{name}")
        asked = self._question(place, kind < ASKING, ways, spoken.LEADS, named=place is not last)
        return ([*talk.messages[:turn], ("user", asked[0])], asked[1]) if asked else None

    def _conversation(self) -> Talk:
        talk = Talk()
        often = [OFTEN[kind] for kind in self._places]
        kinds = self._chance.choices(tuple(self._places), often, k=self._chance.choice((1, 1, 2, 2, 3)))
        for kind in dict.fromkeys(kinds):
            place = self._chance.choice(self._own(kind))
            if kind in RIDES:
                self._user(talk, spoken.WANT_PLACE[kind], None, place)
                self._agent(talk, spoken.RIDES, place)
            else:
                place = self._found(talk, place)
            self._booked(talk, place)
        self._user(talk, spoken.THANKS, None, place)
        return talk

    def _own(self, kind: str) -> Sequence[Place]:
        """Return the places that this part asks about: every second one of a category, rides in both parts."""
        return self._places[kind][self._half :: 2] or self._places[kind]

    def _usual_topics(self, category: str) -> list[spoken.Topic]:
        """Return what is asked about every tenth place of a category at the least."""
        places = self._places[category]
        return [t for t in spoken.TOPICS if 10 * sum(place.nears(t) for place in places) >= len(places)]

    def _found(self, talk: Talk, place: Place) -> Place:
        """Let a place be found: the customer names it, or is offered it, alone or beside others."""
        way = self._chance.random()
        if way < 0.25:
            self._user(talk, spoken.WANT_NAMED, place, place)
            self._agent(talk, spoken.CONFIRM_NAMED, place)
            return place
        self._user(talk, spoken.WANT_PLACE[place.category], None, None)
        for _ in range(self._chance.choice((0, 1, 1, 2))):
            self._agent(talk, spoken.ASK_BACK, None)
            self._user(talk, spoken.ANSWER_BACK, None, None)
        for _ in range(self._chance.choice((0, 0, 1))):
            other = self._chance.choice(self._places[place.category])
            self._agent(talk, spoken.OFFER_ONE, other)
            self._user(talk, spoken.REFUSE, None, None)
        if way < 0.6:
            self._agent(talk, spoken.OFFER_ONE, place)
            self._user(talk, (*spoken.PICK, *spoken.PICK_NAMED, *spoken.DETAILS), place, place)
        else:
            self._agent(talk, spoken.OFFER_MORE, place, clear=False)
            self._user(talk, spoken.PICK_NAMED if way < 0.9 else ("the first one", "the last one"), place, None)
            self._agent(talk, spoken.CONFIRM_NAMED, place)
        if self._chance.random() < 0.15:
            place = self._chance.choice(self._own(place.category))
            self._user(talk, spoken.CHANGE, place, place)
            self._agent(talk, (*spoken.CONFIRM_NAMED, *spoken.BOOK_ASK), place)
        return place

    def _booked(self, talk: Talk, place: Place) -> None:
        """Let details be asked and a booking be made, or not."""
        for _ in range(self._chance.choice((0, 1, 2))):
            self._user(talk, spoken.DETAILS, None, place)
            self._agent(talk, spoken.DETAIL_ANSWERS, place)
        for _ in range(self._chance.choice((0, 1, 2, 3))):
            self._user(talk, (*spoken.BOOK, *spoken.CHATTER), None, place)
            self._agent(talk, spoken.BOOK_ASK, place)
        self._user(talk, spoken.BOOK, None, place)
        self._agent(talk, (*spoken.BOOKED, *spoken.ANYTHING), place)

    def _user(self, talk: Talk, lines: Sequence[str], named: Place | None, about: Place | None) -> None:
        if talk.messages and talk.messages[-1][0] == "user":
            self._agent(talk, spoken.ANYTHING, talk.about[-1])
        talk.add("user", self._said(self._line(lines), named), about)

    def _agent(self, talk: Talk, lines: Sequence[str], named: Place | None, clear: bool = True) -> None:
        talk.add("assistant", self._said(self._line(lines), named), named if clear else None)

    def _spoken_of_earlier(self, talk: Talk, turn: int, place: Place) -> Place:
        """Return now and then a place of another kind that was spoken of before, which is then asked about."""
        others = [p for p in talk.about[:turn] if p and p.category != place.category and p in self._own(p.category)]
        return self._chance.choice(others) if others and self._chance.random() < 0.15 else place

    def _question(
        self, place: Place, answered: bool, ways: Sequence[str], leads: Sequence[str], *, named: bool
    ) -> tuple[str, list[str]] | None:
        """Return a question about a place with what answers it, or None where nothing can be asked about it.

        `ways` are what the place is called, which it always is where it has to be `named`; `leads` begin the message.
        """
        if place not in self._own(place.category):
            return None
        topics = [t for t in spoken.TOPICS if bool(place.answering(t)) is answered]
        if not answered:  # a topic that nobody asks in this category would be no question of a customer
            topics = [t for t in topics if t in self._usual[place.category] and not place.nears(t)]
        if not topics:
            return None
        topic = self._chance.choice(topics)
        phrase = self._line(topic.phrases)
        if "{it}" not in phrase and (named or self._chance.random() < 0.15):
            phrase = f"{phrase} at {{it}}"
        phrase = phrase.replace("{it}", self._chance.choice(ways))
        if self._chance.random() < 0.1:
            phrase = f"{self._line(spoken.BOOK)} and {phrase}"
        text = f"{self._line(leads)}{self._line(spoken.ASKS)}{phrase}{self._line(spoken.TAILS)}"
        return self._said(text, place), place.answering(topic)

    def _line(self, lines: Sequence[str]) -> str:
        return self._chance.choice(lines[self._half :: 2])

    def _said(self, line: str, named: Place | None) -> str:
        """Return a line with its gaps filled, as it is typed or heard."""
        chance = self._chance
        gaps = {
            "area": chance.choice(spoken.AREAS),
            "price": chance.choice(spoken.PRICES),
            "food": chance.choice(spoken.FOODS),
            "day": chance.choice(spoken.DAYS),
            "time": chance.choice(spoken.TIMES),
            "people": chance.choice(spoken.NUMBERS),
            "nights": chance.choice(spoken.NUMBERS),
            "reference": "".join(chance.choices("abcdefghjkmnpqrstuvwxyz", k=5)),
            "name": self._called(named.name) if named else "it",
        }
        if named and "{first}" in line:
            others = chance.sample(self._places[named.category], 2)
            gaps |= {"first": self._called(others[0].name), "second": self._called(others[1].name)}
        text = line.format(**gaps)
        if not self._spoken:
            return text[:1].upper() + text[1:] + chance.choice(("", ".", "?"))
        parts = text.split()
        while chance.random() < 0.25:
            parts.insert(chance.randrange(len(parts) + 1), self._line(spoken.FILLERS))
        return " ".join(parts)

    def _called(self, name: str) -> str:
        """Return a name as somebody says it and it is understood: shortened, misspelt or misheard."""
        chance = self._chance
        if " - " in name and chance.random() < 0.6:
            name = name.split(" - ")[0]
        found = re.findall(r"\w+", name.lower().replace("&", " and ").replace("'", ""))
        if len(found) > 1 and chance.random() < 0.35:
            found = [word for word in found if word not in DROPPED] or found
        if not self._spoken:
            return " ".join(self._typed(word) for word in found).title()
        heard = [self._heard(word) if chance.random() < self._garbled else word for word in found]
        return " ".join(heard)

    def _typed(self, word: str) -> str:
        """Return a word with now and then two letters swapped or one left out."""
        if len(word) < 4 or self._chance.random() > self._garbled / 3:
            return word
        at = self._chance.randrange(1, len(word) - 1)
        return self._chance.choice((word[:at] + word[at + 1 :], word[:at] + word[at + 1] + word[at] + word[at + 2 :]))

    def _heard(self, word: str) -> str:
        """Return a word with a sound or two confused, or in two parts."""
        for _ in range(self._chance.choice((1, 1, 2))):
            fitting = [(a, b) for a, b in SWITCHES if a in word]
            if fitting:
                sound, other = self._chance.choice(fitting)
                word = word.replace(sound, other, 1)
        if len(word) > 5 and self._chance.random() < 0.25:
            at = self._chance.randrange(2, len(word) - 2)
            word = f"{word[:at]} {word[at:]}"
        return word or "the"


def main() -> None:
    """Write the dialogues of one part."""
    given = _parser().parse_args()
    opened = gzip.open if given.faq.endswith(".gz") else open
    with opened(given.faq, "rt", encoding="utf-8") as file:
        entries = [parse_entry(json.loads(line)) for line in file]
    generator = Generator(entries, given.part, given.seed)
    rows = [generator.query(number) for number in range(given.count)]
    rows += [generator.first_query(number) for number in range(given.first)]
    Path(given.out).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = sum(bool(row["relevant"]) for row in rows)
    print(f"{len(rows):,} queries, {asked:,} of them with an answer: {given.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faq", help="entries with subjects (JSON Lines, also .gz)")
    parser.add_argument("--part", choices=PARTS, required=True, help="whose places and wordings are used")
    parser.add_argument("--count", type=int, default=600, help="dialogues to make")
    parser.add_argument("--first", type=int, default=0, help="first messages that name their place to make beside them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="where the queries are written, JSON Lines")
    return parser


if __name__ == "__main__":
    main()

"""What operators changed: an edit stands in place of what the sources say of an entry, until it is taken back.

Edits are part of a snapshot (`edits.jsonl`), so that they come into force, and go back, together with what they change.
Every ingestion takes them over: the sources go on saying what they say, and the edits are laid over that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from knowledge_base.entry import COLUMNS, Entry, content_id, parse_entry

BOUND = ("question", "answer", "alternatives", "valid_from", "valid_until")  # columns that must fit each other


@dataclass(frozen=True, slots=True)
class Edit:
    """What operators made of one entry.

    `entry` is their text, also where it is `retired` and nobody finds it; `source` is what the sources say, None where
    they have no such entry; `by` is an operator's name and `at` a time in UTC (ISO 8601).
    """

    entry: Entry
    by: str
    at: str
    retired: bool = False
    source: Entry | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing is changed: the text is the source's, and in force."""
        return self.entry == self.source and not self.retired

    def renewed(self, source: Entry | None) -> Edit:
        """Return the edit over what the sources now say: each column that operators left alone follows them."""
        if source is None or self.source is None:
            return replace(self, source=source)
        left = {name for name in COLUMNS if getattr(self.entry, name) == getattr(self.source, name)}
        entry = _following(self.entry, source, left)
        try:
            parse_entry(entry.to_json())
        except ValueError:  # what both wrote is no entry together: it is too long, or it ends before it begins
            entry = _following(self.entry, source, left.difference(BOUND))
        return replace(self, entry=entry, source=source)

    def to_json(self) -> dict[str, Any]:
        """Return the edit as a JSON object."""
        return {
            "entry": self.entry.to_json(),
            "by": self.by,
            "at": self.at,
            "retired": self.retired,
            "source": self.source.to_json() if self.source else None,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Edit:
        """Read what `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        source = parse_entry(row["source"]) if row["source"] is not None else None
        return cls(parse_entry(row["entry"]), str(row["by"]), str(row["at"]), bool(row["retired"]), source)


def laid_over(
    given: Sequence[Entry],
    edits: Mapping[str, Edit],
    kept: Sequence[Entry] = (),
    before: Mapping[str, Entry] | None = None,
) -> tuple[list[Entry], dict[str, Edit]]:
    """Return the entries that are in force, and the edits with what the sources now say of each.

    Args:
        given: what the sources say now.
        edits: what operators changed, by the id of the entry.
        kept: what sources said earlier and still counts; ids that are not among those given.
        before: all that the sources said until now, by id.
    """
    held = {entry.id: entry for entry in kept}
    places = _places(edits, {entry.id: entry for entry in given}, held, before or {})
    said = {entry.id: entry for entry in (*given, *kept) if entry.id not in held or places.get(entry.id) is None}
    followed = (_put(edit, places[i]) if i in places else edit for i, edit in edits.items())
    renewed = {edit.entry.id: edit.renewed(said.get(edit.entry.id)) for edit in followed}
    current = {**said, **{entry_id: edit.entry for entry_id, edit in renewed.items()}}
    return [e for e in current.values() if e.id not in renewed or not renewed[e.id].retired], renewed


def _places(
    edits: Mapping[str, Edit], given: Mapping[str, Entry], kept: Mapping[str, Entry], before: Mapping[str, Entry]
) -> dict[str, Entry | None]:
    """Return where the texts now stand that edits were made of, for those that must leave their place; None is nowhere.

    Passages are numbered below their heading: where one is put in or deleted above another, that one takes an id that was
    another's, and the edit must go with the text. A text that stood in its place already has not moved there.
    """
    fresh = [e for e in given.values() if e.id not in before or _text(before[e.id]) != _text(e)]
    if not edits or not fresh:
        return {}
    standing: dict[str, list[Entry]] = defaultdict(list)
    for entry in fresh:
        standing[entry.answer].append(entry)
    known = {_text(entry) for entry in before.values()}
    unsettled = {i: e for i, e in edits.items() if not (e.source and i in given and _text(given[i]) == _text(e.source))}
    # Those in whose place another's text stands now.
    shifted = {i for i in unsettled if i in given and _text(given[i]) in known}
    # A row that is kept has a name of its own: the same text under another name is another row.
    sources = {i: e.source for i, e in unsettled.items() if e.source and (e.source.heading or i not in kept)}
    gone = {i: source for i, source in sources.items() if i not in given or i in shifted}
    places: dict[str, Entry | None] = {}
    taken: set[str] = set()
    for looked_for, alike in ((sources, _is_same), (gone, _is_below_another), (gone, _is_renamed)):
        for entry_id, source in looked_for.items():
            free = (entry for entry in standing[source.answer] if entry.id not in taken and alike(source, entry))
            if entry_id not in places and (place := next(free, None)):
                places[entry_id] = place
                taken.add(place.id)
    return places | {i: None for i in unsettled if i not in places and (i in shifted or i in taken)}


def _is_same(passage: Entry, now: Entry) -> bool:
    return _text(passage) == _text(now)


def _is_below_another(passage: Entry, now: Entry) -> bool:
    """Whether a passage stands below another heading than before and keeps its own."""
    return _is_renamed(passage, now) and passage.question == now.question


def _is_renamed(passage: Entry, now: Entry) -> bool:
    """Whether two passages with the same answer stand in one document, the headings over it being others now."""
    of_one = _document(passage) == _document(now) != ""
    return of_one and "" != passage.heading != now.heading != ""


def _document(passage: Entry) -> str:
    return passage.source.partition("#")[0]


def _put(edit: Edit, place: Entry | None) -> Edit:
    """Return an edit where its text now stands; without a place it is an entry of its own, which no source holds."""
    if place is None or edit.source is None:
        own = content_id(edit.entry.id, edit.entry.question, edit.entry.answer, edit.at)
        return replace(edit, entry=replace(edit.entry, id=own), source=None)
    return replace(edit, entry=replace(edit.entry, id=place.id), source=replace(edit.source, id=place.id))


def _following(entry: Entry, source: Entry, columns: Collection[str]) -> Entry:
    """Return an entry that says in some columns what its source says."""
    return replace(entry, **{name: getattr(source, name) for name in columns})


def _text(entry: Entry) -> tuple[object, ...]:
    return entry.question, entry.answer, entry.alternatives, entry.heading, entry.subject


def lifted(entries: Mapping[str, Entry], edits: Mapping[str, Edit]) -> dict[str, Entry]:
    """Return what the sources say, by id: the entries in force without what operators changed."""
    said = {entry_id: entry for entry_id, entry in entries.items() if entry_id not in edits}
    return said | {entry_id: edit.source for entry_id, edit in edits.items() if edit.source}


def version(entry: Entry, edit: Edit | None) -> str:
    """Return what changes with the text of an entry and with whether it is retired."""
    return f"{entry.sha256}-retired" if edit and edit.retired else entry.sha256

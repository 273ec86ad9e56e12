"""Exports of other systems as transcripts: one module a source, told apart by what a record holds, never by a name.

An importer is a module with a `NAME`, `recognises(value)`, which looks at one JSON value, and `records(values)`,
which turns all such values of a file into transcripts. To add one, write the module and list it here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from finetune.importers import alpaca, chatml, chatwoot, flat, freshdesk, intercom, openai, rasa, sharegpt, zendesk
from finetune.importers.draft import Placed, Record

__all__ = ["IMPORTERS", "Importer", "Placed", "Record", "importer_of"]


class Importer(Protocol):
    """What a module of this package offers."""

    NAME: str

    def recognises(self, value: object) -> bool:
        """Say whether a JSON value is a record, or a page of records, of this source."""
        ...

    def records(self, values: Sequence[Placed]) -> Iterator[Record]:
        """Yield what each record gives, in the order of the file; nothing in them raises."""
        ...


IMPORTERS: tuple[Importer, ...] = (zendesk, freshdesk, intercom, chatwoot, sharegpt, openai, alpaca, chatml, rasa, flat)


def importer_of(value: object) -> Importer | None:
    """Return the importer that recognises a value; None for our own transcripts and for what nobody knows."""
    return next((importer for importer in IMPORTERS if importer.recognises(value)), None)

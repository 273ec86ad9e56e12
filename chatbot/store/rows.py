"""From rows to records and back: the only place that knows both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, cast

from chatbot.store.records import Label, Rating, Status, StoredMessage, TurnRecord, Witness
from chatbot.store.tables import LabelTable, MessageTable, TurnTable
from chatbot.types import Author, Citation, Decision, Kind, Option, Reason, Role, Understanding

LABELS_KEPT = 5  # of each label set and witness, the likeliest; the trace is what a turn is replayed from


def stored_message(row: MessageTable) -> StoredMessage:
    """Return a message's record; its session must be open."""
    turn = row.turn
    return StoredMessage(
        id=row.id,
        conversation_id=row.conversation_id,
        seq=row.seq,
        role=cast(Role, row.role),
        content=row.content,
        author=cast(Author | None, row.author),
        created_at=row.created_at,
        status=cast(Status, turn.status) if turn else "done",
        client_message_id=row.client_message_id,
        reply_to=turn.message_id if turn else None,
        kind=cast(Kind | None, turn.kind) if turn else None,
        reason=cast(Reason | None, turn.reason) if turn else None,
        citations=tuple(Citation(**citation) for citation in row.citations),
        options=tuple(Option(**option) for option in row.options),
        contact=row.contact,
        rating=cast(Rating, row.rating.value) if row.rating else None,
    )


def turn_record(row: TurnTable) -> TurnRecord:
    """Return a turn's record; its session must be open."""
    rating = row.reply.rating
    return TurnRecord(
        id=row.id,
        message=stored_message(row.message),
        reply=stored_message(row.reply),
        status=cast(Status, row.status),
        superseded=row.reply.superseded,
        decision=_decision(row),
        labels=tuple(Label(x.set_name, cast(Witness, x.witness), x.label, x.probability) for x in row.labels),
        trace=row.trace,
        started_at=row.started_at,
        finished_at=row.finished_at,
        rating=cast(Rating, rating.value) if rating else None,
        comment=rating.comment if rating else "",
    )


def label_rows(understanding: Understanding) -> Iterator[LabelTable]:
    """Yield the likeliest labels of each witness as rows, likeliest first."""
    sets: Sequence[tuple[str, Witness, Mapping[str, float]]] = (
        ("intent", "both", understanding.intent),
        ("intent", "model", understanding.intent_model),
        ("intent", "encoder", understanding.intent_encoder),
        ("next_step", "model", understanding.next_step),
    )
    for set_name, witness, probabilities in sets:
        likeliest = sorted(probabilities.items(), key=lambda pair: (-pair[1], pair[0]))[:LABELS_KEPT]
        for label, probability in likeliest:
            if math.isfinite(probability):
                yield LabelTable(set_name=set_name, witness=witness, label=label, probability=float(probability))
    if understanding.out_of_scope is not None and math.isfinite(understanding.out_of_scope):
        probability = float(understanding.out_of_scope)
        yield LabelTable(set_name="out_of_scope", witness="both", label="out_of_scope", probability=probability)


def plain(value: Any) -> Any:
    """Return a trace's value as JSON knows it: a reply is never lost because its trace holds something odd."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if callable(to_list := getattr(value, "tolist", None)):  # numpy's scalars and arrays
        return plain(to_list())
    return str(value)


def _decision(row: TurnTable) -> Decision | None:
    if row.kind is None or row.reason is None:
        return None
    return Decision(cast(Kind, row.kind), cast(Reason, row.reason), tuple(row.entry_ids), row.probability)

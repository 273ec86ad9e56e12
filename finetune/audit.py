"""List messages whose intent is likely wrong: `python -m finetune.audit --dataset FILE... --json FILE`.

Nothing is changed: the list says where each message stands, what it is labelled with and what the other messages say
it is, so that a person can decide and correct the file.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.inputs import read_chats
from finetune.suspects import Suspect, require_new, write_csv
from knowledge_base.command import EXIT_DONE, EXIT_PARTLY_REFUSED, Parser, progress, run, say, write_json
from knowledge_base.encoder import DEFAULT_ENCODER
from knowledge_base.errors import InputError

if TYPE_CHECKING:
    from finetune.mislabelled import Judged, Labelled
    from finetune.records import Transcript

SHOWN = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module."""
    given = _parser().parse_args(argv)
    began = time.monotonic()
    output = Path(given.output) if given.output else None
    if output:
        require_new(output)
    reading = read_chats(given.dataset)
    messages = _messages(reading.transcripts, given.dataset[0])
    judged = _judge(messages, given.encoder, given.seed)
    if not judged.messages:
        raise InputError(
            f"{given.dataset[0]}: expected two intents with two messages each that differ, got fewer. Label more messages."
        )
    found = suspects(judged)
    report = {
        **summary(judged, messages),
        "findings": [asdict(suspect) for suspect in found],
        "overlapping": _overlapping(judged),
        "refused": [refusal.to_json() for refusal in reading.refusals],
        "encoder": given.encoder,
        "seed": given.seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    _say_report(report, found)
    if output:
        write_csv(output, found)
        say(f"the list is in {output}")
    write_json(given.json, report)
    return EXIT_PARTLY_REFUSED if reading.refusals else EXIT_DONE


def suspects(judged: Judged) -> list[Suspect]:
    """Return the messages that likely have a wrong intent, most suspicious first."""
    from finetune.mislabelled import mislabelled

    return [_suspect(judged, place) for place in mislabelled(judged)]


def summary(judged: Judged, messages: Sequence[Labelled]) -> dict[str, Any]:
    """Return how much was judged, what could not be, and how often the others point at a label that was given."""
    unjudged = Counter(intent for message in messages for intent in message.intents if intent not in judged.labels)
    return {
        "messages": len(messages),
        "judged": len(judged.messages),
        "intents": len(judged.labels),
        "agreement": float((judged.likeliest == judged.given).mean()),
        "not_judged": dict(sorted(unjudged.items())),
    }


def _suspect(judged: Judged, place: int) -> Suspect:
    message, row = judged.messages[place], judged.probabilities[place]
    file, _, line = message.transcript.source.rpartition(":")
    return Suspect(
        file,
        int(line),
        message.transcript.id,
        message.transcript.position(message.index),
        message.text,
        message.intents,
        judged.labels[row.argmax()],
        float(row[judged.given[place]]),
        float(row.max()),
    )


def _overlapping(judged: Judged) -> list[dict[str, Any]]:
    from finetune.mislabelled import overlaps

    return [asdict(overlap) for overlap in overlaps(judged)]


def _messages(transcripts: Sequence[Transcript], file: str) -> list[Labelled]:
    """Return the messages that have an intent, without personal data.

    Raises:
        InputError: there are none.
    """
    from finetune.material import without_personal_data
    from finetune.mislabelled import labelled

    own = [message.transcript for message in labelled(transcripts)]
    if not own:
        raise InputError(f'{file}: expected customers\' messages with an "intent", got none. Label some first.')
    return labelled(without_personal_data(list(dict.fromkeys(own)), None)[0])


def _judge(messages: Sequence[Labelled], encoder_name: str, seed: int) -> Judged:
    from finetune.mislabelled import judge
    from knowledge_base.encoder import load_encoder

    encoder = load_encoder(encoder_name)
    vectors = encoder.encode_queries([message.text for message in messages])
    with progress("judging", len(messages)) as advance:
        return judge(messages, vectors, seed, advance)


def _say_report(report: dict[str, Any], found: Sequence[Suspect]) -> None:
    from finetune.records import shown

    say(
        f"{report['judged']:,} of {report['messages']:,} messages judged, {report['intents']:,} intents; for "
        f"{report['agreement']:.1%} the other messages point at the given intent"
    )
    if report["not_judged"]:
        names = ", ".join(f"{shown(name)} {count:,}" for name, count in list(report["not_judged"].items())[:SHOWN])
        say(f"{len(report['not_judged']):,} intents with too few messages that differ cannot be judged: {names}")
    say(
        f"{len(found):,} messages look mislabelled, most suspicious first; the smaller that share, the more of them are right"
    )
    for suspect in found[:SHOWN]:
        say(
            f"  {suspect.file}:{suspect.line}: {shown(suspect.text)} is {shown('|'.join(suspect.given))} "
            f"({suspect.probability_given:.2f}), rather {shown(suspect.suggested)} ({suspect.probability_suggested:.2f})"
        )
    for overlap in report["overlapping"]:
        one, other = map(shown, overlap["labels"])
        say(f"{one} and {other} could be one intent: about {overlap['mixed']:,} of {overlap['messages']:,} mixed up")


def _parser() -> Parser:
    parser = Parser(prog="python -m finetune.audit", description="List messages whose intent is likely wrong.")
    parser.add_argument(
        "--dataset", nargs="+", required=True, help="labelled chats in any form that finetune.lora reads"
    )
    parser.add_argument("--json", required=True, help="the report; - is standard output")
    parser.add_argument("--output", default="", help="a new CSV file for the list, safe to open in a spreadsheet")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="the sentence encoder")
    parser.add_argument("--seed", type=int, default=0, help="seed of the folds")
    return parser


if __name__ == "__main__":
    run(main)

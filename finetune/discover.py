"""Propose intents, draft FAQ entries and gaps of the FAQ from chats without labels; then label the chats from the edited file.

    python -m finetune.discover --dataset FILE... --output_dir DIR [--knowledge HOME]
    python -m finetune.discover --apply DIR/intents.yaml --dataset FILE... --output FILE.jsonl

The first is work for the machine, between them a person edits `DIR/intents.yaml`. Labels that chats have are not looked at.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.inputs import load_knowledge, read_chats
from finetune.output_folder import output_folder, partial_of
from knowledge_base.command import (
    EXIT_DONE,
    EXIT_PARTLY_REFUSED,
    Parser,
    Refusal,
    progress,
    run,
    say,
    write_json,
)
from knowledge_base.encoder import DEFAULT_ENCODER
from knowledge_base.errors import InputError
from knowledge_base.manifest import flush, publish

if TYPE_CHECKING:
    from finetune.clusters import Clusters
    from finetune.coverage import Coverage
    from finetune.drafts import Drafts
    from finetune.naming import Proposal
    from finetune.records import Transcript
    from finetune.requests import Request
    from knowledge_base.encoder import Encoder
    from knowledge_base.search import KnowledgeBase

INTENTS_FILE, DRAFTS_FILE, MAP_FILE, COVERAGE_FILE = "intents.yaml", "faq_drafts.jsonl", "map.png", "coverage.md"


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found; `covered` has one value a proposal, or none without a catalogue."""

    requests: Sequence[Request]
    clusters: Clusters
    proposals: Sequence[Proposal]
    drafts: Drafts
    covered: Sequence[Coverage]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module."""
    given = _parser().parse_args(argv)
    _check(given)
    return _apply(given) if given.apply else _discover(given)


def _discover(given: Any) -> int:
    began = time.monotonic()
    output = output_folder(given.output_dir)
    if partial_of(output).exists():
        raise InputError(f"{partial_of(output)}: an unfinished run is there. Delete the folder.")
    reading = read_chats(given.dataset, strict=given.strict)
    encoder, knowledge = load_knowledge(given.knowledge, given.encoder)
    transcripts, refusals = reading.transcripts, reading.refusals
    transcripts, redacted = _redacted(transcripts, knowledge)
    found = discover(transcripts, encoder, knowledge, given)
    _write(output, found, given.seed)
    report = _report(found, transcripts, refusals, redacted)
    report["seconds"] = round(time.monotonic() - began, 1)
    _tell(found, output)
    if given.json:
        write_json(given.json, report)
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def discover(
    transcripts: Sequence[Transcript], encoder: Encoder, knowledge: KnowledgeBase | None, given: Any
) -> Findings:
    """Return what conversations without personal data hold; `given` has `seed`, `intents` and `smallest`.

    Raises:
        InputError: there are no two different requests.
    """
    from finetune.clusters import clustered, request_points
    from finetune.coverage import coverage
    from finetune.drafts import drafts
    from finetune.embeddings import Embeddings, distinct_texts
    from finetune.naming import proposals
    from finetune.requests import first_requests

    requests = first_requests(transcripts)
    texts = [request.text for request in requests]
    if len(set(texts)) < 2:
        raise InputError(
            f"{given.dataset[0]}: expected at least two different first requests of customers, got {len(set(texts))}. "
            "Give more chats."
        )
    say(f"{len(requests):,} of {len(transcripts):,} conversations hold a request, {len(set(texts)):,} different ones")
    with progress("encoding", len(distinct_texts(requests))) as advance:
        encoded = Embeddings.of(requests, encoder, advance)
    points = request_points(encoded.requests, encoded.following)
    clusters = clustered(points, given.seed, given.intents, given.smallest)
    proposed = proposals(texts, clusters)
    covered: list[Coverage] = []
    if knowledge is not None:
        with progress("searching the catalogue", len(proposed)) as advance:
            covered = coverage(texts, proposed, knowledge, advance)
    known = knowledge.entries.values() if knowledge else ()
    return Findings(requests, clusters, proposed, drafts(requests, proposed, known), covered)


def _apply(given: Any) -> int:
    """Write the chats with the intents of the edited file."""
    from finetune.intents_file import read_intents
    from finetune.labelled import labelled, write_transcripts

    output = Path(given.output)
    if output.exists() or not output.parent.is_dir():
        raise InputError(f"--output {output}: expected a new file in a folder that exists. Choose another name.")
    intents = read_intents(Path(given.apply))
    reading = read_chats(given.dataset, strict=given.strict)
    transcripts, refusals = reading.transcripts, reading.refusals
    knowledge = load_knowledge(given.knowledge, given.encoder)[1] if given.knowledge else None
    transcripts, redacted = _redacted(transcripts, knowledge)
    done, counts = labelled(transcripts, intents)
    if not counts["labelled"]:
        raise InputError(
            f"{given.dataset[0]}: expected requests that {given.apply} keeps, got none without an intent of its own. "
            "Are these the chats it was made from?"
        )
    write_transcripts(output, done)
    for name, count in counts.items():
        say(f"{count:,} {name}")
    say(f"the labelled chats are in {output}: python -m finetune.lora --dataset {output} --output_dir DIR")
    if given.json:
        refused = [refusal.to_json() for refusal in refusals]
        names = Counter(intents[place] for place in intents if intents[place])
        facts = {"conversations": len(done), "refused": refused, "redacted": dict(redacted), **counts}
        write_json(given.json, {**facts, "intents": dict(names.most_common())})
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def _redacted(
    transcripts: Sequence[Transcript], knowledge: KnowledgeBase | None
) -> tuple[list[Transcript], Counter[str]]:
    from finetune.material import without_personal_data

    done, redacted = without_personal_data(transcripts, knowledge)
    say("redacted: " + (", ".join(f"{n:,} {kind}" for kind, n in sorted(redacted.items())) or "nothing"))
    return done, redacted


def _write(output: Path, found: Findings, seed: int) -> None:
    """Build the folder aside and give it its name when it is whole."""
    from finetune.cluster_map import draw_map
    from finetune.coverage import coverage_lines
    from finetune.intents_file import REQUESTS_FILE, write_intents, write_places

    partial = partial_of(output)
    partial.mkdir(parents=True)
    try:
        write_intents(partial / INTENTS_FILE, found.proposals, found.covered)
        write_places(partial / REQUESTS_FILE, found.requests, found.proposals)
        rows = [json.dumps(entry.to_json(), ensure_ascii=False) + "\n" for entry in found.drafts.entries]
        (partial / DRAFTS_FILE).write_text("".join(rows), encoding="utf-8")
        if found.covered:
            lines = coverage_lines(found.proposals, found.covered)
            (partial / COVERAGE_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
        draw_map(partial / MAP_FILE, found.clusters, found.proposals, seed)
        for file in partial.iterdir():
            flush(file)
        if output.is_dir():
            output.rmdir()
        publish(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _report(
    found: Findings, transcripts: Sequence[Transcript], refusals: Sequence[Refusal], redacted: Counter[str]
) -> dict[str, Any]:
    intents: list[dict[str, Any]] = [
        {"name": p.name, "cluster": p.cluster, "requests": p.size, "words": list(p.words), "examples": list(p.examples)}
        for p in found.proposals
    ]
    for row, one in zip(intents, found.covered, strict=False):
        row["answered"], row["gap"] = round(one.probability, 4), not one.is_covered
    return {
        "conversations": len(transcripts),
        "requests": len(found.requests),
        "intents": intents,
        "drafts": {"written": len(found.drafts.entries), "left_out": dict(sorted(found.drafts.left_out.items()))},
        "refused": [refusal.to_json() for refusal in refusals],
        "redacted": dict(redacted),
    }


def _tell(found: Findings, output: Path) -> None:
    say(f"{len(found.proposals):,} intents proposed: {output / INTENTS_FILE}")
    say(f"{len(found.drafts.entries):,} FAQ entries drafted: {output / DRAFTS_FILE}")
    for reason, count in sorted(found.drafts.left_out.items()):
        say(f"  {count:,} recurring answers not drafted: {reason}")
    if found.covered:
        gaps = sum(not one.is_covered for one in found.covered)
        say(f"{gaps:,} of the intents are not covered by the catalogue: {output / COVERAGE_FILE}")
    say(f"a map of the clusters: {output / MAP_FILE}")


def _check(given: Any) -> None:
    if bool(given.apply) != bool(given.output) or bool(given.apply) == bool(given.output_dir):
        raise InputError(
            "python -m finetune.discover: expected --output_dir DIR, or --apply FILE with --output FILE. See --help."
        )
    if given.output and not given.output.endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"--output {given.output}: expected a name that ends in .jsonl or .jsonl.gz. Choose another.")
    for name, least in (("intents", 2), ("smallest", 2), ("seed", 0)):
        value = getattr(given, name)
        if value and value < least:
            raise InputError(f"--{name}: expected {least} or more, got {value}. Choose another value.")


def _parser() -> Parser:
    parser = Parser(
        prog="python -m finetune.discover",
        description="Propose intents, FAQ entries and gaps of the FAQ from chats without labels; label the chats.",
    )
    parser.add_argument("--dataset", nargs="+", required=True, help="chats in any form that finetune.lora reads")
    parser.add_argument("--output_dir", default="", help="the new folder of proposals; must be absent or empty")
    parser.add_argument("--knowledge", default="", help="a knowledge home: what it does not cover is told")
    parser.add_argument("--intents", type=int, default=0, help="how many intents; 0 leaves it to the chats")
    parser.add_argument(
        "--smallest",
        type=int,
        default=0,
        help="fewest requests of an intent; 0 means 0.5 %% of all, or 2 with --intents",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of samples and of the map")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="the sentence encoder")
    parser.add_argument("--strict", action="store_true", help="refuse to work when any row is refused")
    parser.add_argument("--json", default="", help="write a report as JSON to this file; - is standard output")
    parser.add_argument("--apply", default="", metavar="FILE", help="an edited intents.yaml: label the chats from it")
    parser.add_argument("--output", default="", metavar="FILE", help="the new file of labelled chats, with --apply")
    return parser


if __name__ == "__main__":
    run(main)

"""The file of proposed intents, which a person edits, and the file beside it that says which message is in which cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.coverage import Coverage
from finetune.naming import Proposal
from finetune.redaction import kept_id
from finetune.requests import Request
from knowledge_base.errors import InputError
from knowledge_base.jsonl import read_objects

REQUESTS_FILE = "requests.jsonl"
_FOUR_DIGITS = 0xFFFF  # the last code that YAML writes with them

_EXPLAINED = """\
# Proposed intents: what customers ask first, found without labels. The largest stand first. Edit this file:
#
#   name   what the intent shall be called. Two with the same name become one intent.
#   keep   true, or false for what is no intent (greetings, names, chatter). A deleted block counts as false.
#
# All else is for you to read and is not read back; leave `cluster` as it is, it says which messages are meant.
# Then label your chats and train from them:
#
#   python -m finetune.discover --apply FOLDER/{file} --dataset YOUR_CHATS --output labelled.jsonl
#   python -m finetune.lora --dataset labelled.jsonl --output_dir DIR
"""


def write_intents(path: Path, proposals: Sequence[Proposal], covered: Sequence[Coverage]) -> None:
    """Write the proposals as YAML with an explanation; `covered` has one value a proposal, or none at all."""
    total = sum(proposal.size for proposal in proposals)
    lines = [_EXPLAINED.format(file=path.name), "intents:"]
    for place, proposal in enumerate(proposals):
        lines += [
            f"- name: {_quoted(proposal.name)}",
            "  keep: true",
            f"  cluster: {proposal.cluster}",
            f"  requests: {proposal.size}  # {proposal.size / total:.1%} of all",
            f"  words: [{', '.join(map(_quoted, proposal.words))}]",
        ]
        if covered:
            lines.append(f"  answered: {covered[place].probability:.2f}  # mean probability that the FAQ answers")
        lines.append("  examples:")
        lines += [f"  - {_quoted(example)}" for example in proposal.examples]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_places(path: Path, requests: Sequence[Request], proposals: Sequence[Proposal]) -> None:
    """Write one line a request: the conversation, the 0-based message of its source, the cluster. No words."""
    cluster_of = {place: proposal.cluster for proposal in proposals for place in proposal.places}
    with path.open("w", encoding="utf-8") as file:
        for number, request in enumerate(requests):
            conversation, message = request.place
            row = {"id": kept_id(conversation), "message": message, "cluster": cluster_of[number]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_intents(path: Path) -> dict[tuple[str, int], str]:
    """Return for each request (conversation, 0-based message of its source) the name of its intent; "" drops it.

    Raises:
        InputError: the edited file, or the one beside it, cannot be used.
    """
    names = _names(path)
    beside = path.with_name(REQUESTS_FILE)
    found: dict[tuple[str, int], str] = {}
    clusters = set()
    for item in read_objects(beside):
        if not isinstance(item, tuple):
            raise InputError(f"{item}. Run python -m finetune.discover again.")
        number, row = item
        conversation, message, cluster = (row.get(key) for key in ("id", "message", "cluster"))
        if not isinstance(conversation, str) or type(message) is not int or type(cluster) is not int:
            raise InputError(
                f"{beside}:{number}: expected id, message and cluster. Run python -m finetune.discover again."
            )
        found[conversation, message] = names.get(cluster, "")
        clusters.add(cluster)
    unknown = sorted(set(names) - clusters)
    if unknown:
        raise InputError(
            f"{path}: cluster {unknown[0]}: expected a cluster that {REQUESTS_FILE} beside it knows, got another. "
            "Leave the numbers as they were."
        )
    return found


def _names(path: Path) -> dict[int, str]:
    """Return the name of each cluster of the edited file, empty where it is not kept."""
    names: dict[int, str] = {}
    for place, block in enumerate(_blocks(path), 1):
        where = f"{path}: intent {place}"
        if not isinstance(block, Mapping):
            raise InputError(
                f"{where}: expected name, keep and cluster, got {block!r}. Correct it, or delete the block."
            )
        cluster, name, keep = block.get("cluster"), block.get("name"), block.get("keep", True)
        if type(cluster) is not int:
            raise InputError(f"{where}: expected cluster, a number, got {cluster!r}. Put it back, or delete the block.")
        if cluster in names:
            raise InputError(
                f"{where}: expected each cluster once, got cluster {cluster} again. Delete one of the two."
            )
        if not isinstance(keep, bool):
            raise InputError(f"{where}: keep: expected true or false, got {keep!r}. Correct it.")
        if keep and (not isinstance(name, str) or not name.strip()):
            raise InputError(f"{where}: expected a name, got {name!r}. Give it one (in quotes), or set keep: false.")
        names[cluster] = str(name).strip() if keep else ""
    return names


def _blocks(path: Path) -> list[Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"--apply {path}: expected a file of intents, got: {error.strerror}. Check the path."
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or "no UTF-8"
        raise InputError(f"{place}: expected YAML, got: {reason}. Correct the line.") from error
    blocks = content.get("intents") if isinstance(content, Mapping) else None
    if not isinstance(blocks, list) or not blocks:
        raise InputError(f"{path}: expected a list of intents under `intents:`, got none. Is it the right file?")
    return blocks


def _quoted(text: str) -> str:
    """Return a text as a double-quoted string of YAML (1.2, 5.7 and 7.3.1); what cannot be seen is escaped."""
    return "".join(char if char.isprintable() else _escaped(char) for char in json.dumps(text, ensure_ascii=False))


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04X}" if ord(char) <= _FOUR_DIGITS else f"\\U{ord(char):08X}"

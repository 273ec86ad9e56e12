"""Transcripts with the intents that a person decided on, written in the form that finetune.lora reads."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chatbot.types import Message
from finetune.records import Transcript
from finetune.redaction import kept_id
from knowledge_base.errors import InputError


def labelled(
    transcripts: Sequence[Transcript], intents: Mapping[tuple[str, int], str]
) -> tuple[list[Transcript], Counter[str]]:
    """Return the transcripts with an intent on each request that has one; nothing else of them changes.

    Args:
        transcripts: the conversations.
        intents: the intent of (conversation, 0-based message of its source); "" means none.

    Returns:
        The conversations, and counts: messages "labelled", requests "dropped", messages that had an intent "already"
        and keep it, and requests "not in the dataset".
    """
    counts = Counter({"labelled": 0, "dropped": 0, "already": 0, "not in the dataset": 0})
    left = dict(intents)
    done = []
    for transcript in transcripts:
        messages = tuple(
            _with_intent(message, left.pop((kept_id(transcript.id), transcript.position(index)), None), counts)
            for index, message in enumerate(transcript.messages)
        )
        done.append(replace(transcript, messages=messages))
    counts["not in the dataset"] = len(left)
    return done, counts


def _with_intent(message: Message, intent: str | None, counts: Counter[str]) -> Message:
    if intent is None or message.role != "user":
        return message
    if message.intents:
        counts["already"] += 1
        return message
    counts["labelled" if intent else "dropped"] += 1
    return replace(message, intents=(intent,)) if intent else message


def write_transcripts(path: Path, transcripts: Iterable[Transcript]) -> None:
    """Write transcripts as JSON Lines (gzipped where the name ends in .gz); the file gets its name when it is whole.

    Raises:
        InputError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as raw:
            data = "".join(json.dumps(to_json(one), ensure_ascii=False) + "\n" for one in transcripts).encode()
            raw.write(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
            raw.flush()
            os.fsync(raw.fileno())
        partial.rename(path)
    except OSError as error:
        raise InputError(
            f"--output {path}: expected a file that can be written, got: {error.strerror}. Choose another place."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def to_json(transcript: Transcript) -> dict[str, Any]:
    """Return a transcript as the JSON object of the file format, without what is not given."""
    row = {
        "id": kept_id(transcript.id),
        "messages": [_message(message) for message in transcript.messages],
        "language": transcript.language,
        "tags": list(transcript.tags),
    }
    return {key: value for key, value in row.items() if value not in ("", [])}


def _message(message: Message) -> dict[str, Any]:
    row = {
        "role": message.role,
        "content": message.content,
        "author": message.author,
        "intent": message.intents[0] if len(message.intents) == 1 else list(message.intents),
        "action": message.action,
        "evidence": list(message.evidence),
        "entities": [{"type": e.type, "value": e.value, "start": e.start, "end": e.end} for e in message.entities],
    }
    return {key: value for key, value in row.items() if value not in (None, [])}

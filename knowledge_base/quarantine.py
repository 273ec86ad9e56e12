"""`HOME/quarantine.jsonl`: what the last ingestion refused, one place a line, to be mended; absent if nothing was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from knowledge_base.command import Refusal

FILE = "quarantine.jsonl"


def write(home: Path, refusals: Sequence[Refusal]) -> None:
    """Write the list of a run in place of the one before."""
    if not refusals:
        (home / FILE).unlink(missing_ok=True)
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    places = ((refusal, refusal.place_in_file or "the whole file") for refusal in refusals)
    rows = ({"file": r.file, "place": place, "reason": r.reason, "time": now} for r, place in places)
    partial = home / f"{FILE}.partial"
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    partial.replace(home / FILE)

"""How near ingestion comes to the encoder's own rate, both measured in one run on one machine.

    python benchmarks/ingestion.py FILE [--rows N]

The encoder's own rate is `SentenceTransformer.encode` over the same texts in one call, the model loaded and
warm, measured before and after the command and averaged. Of the command two rates are given: of its work
(comparing, embedding, building, verifying and naming the snapshot, without loading the encoder) and of the
whole process (with the start of Python and the loading of all libraries).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from knowledge_base.encoder import locate_encoder
from knowledge_base.entry import Entry
from knowledge_base.readers import read_entries


def own_rate(model: Any, texts: Sequence[str]) -> float:
    """Return texts a second of one call of the encoder."""
    started = time.perf_counter()
    model.encode(list(texts), show_progress_bar=False)
    return len(texts) / (time.perf_counter() - started)


def run_command(entries: Sequence[Entry]) -> tuple[dict[str, Any], float]:
    """Ingest the entries with the command; return its report and the seconds of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "faq.jsonl")
        lines = (json.dumps(entry.to_json(), ensure_ascii=False) + "\n" for entry in entries)
        source.write_text("".join(lines), encoding="utf-8")
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "knowledge_base.ingest", str(source), "--out", f"{folder}/home"]
        started = time.perf_counter()
        subprocess.run([*command, "--json", str(report)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        return json.loads(report.read_text(encoding="utf-8")), seconds


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description="Measure ingestion beside the encoder alone.")
    parser.add_argument("file", type=Path, help="knowledge entries (CSV, JSON Lines or Markdown)")
    parser.add_argument("--rows", type=int, help="take every n-th entry, so that about this many are used")
    arguments = parser.parse_args()
    entries, _ = read_entries([arguments.file])
    if arguments.rows:
        entries = entries[:: max(1, len(entries) // arguments.rows)]
    texts = list(
        dict.fromkeys(text for entry in entries for text in entry.searched_texts)
    )  # equal ones are embedded once

    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()

    model = SentenceTransformer(str(locate_encoder().folder), local_files_only=True)
    model.encode(texts[:64], show_progress_bar=False)
    before = own_rate(model, texts)
    report, seconds = run_command(entries)
    after = own_rate(model, texts)
    own = (before + after) / 2
    work = len(texts) / (report["seconds"] - report["seconds_loading"])
    whole = len(texts) / seconds
    figures = {
        "entries": len(entries),
        "texts": len(texts),
        "encoder_texts_per_second": round(own, 1),
        "encoder_before_and_after": [round(before, 1), round(after, 1)],
        "ingest_texts_per_second": round(work, 1),
        "process_texts_per_second": round(whole, 1),
        "ratio": round(work / own, 3),
        "ratio_of_the_whole_process": round(whole / own, 3),
        "seconds": round(seconds, 1),
        "seconds_loading": report["seconds_loading"],
        "seconds_embedding": report["seconds_embedding"],
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

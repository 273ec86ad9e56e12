"""The steps in which a snapshot is published, and a process that kills itself just before one of them.

    python tests/steps.py STEP MODULE ARGUMENT...

Steps are recognised by what the interpreter reports of itself (audit events): nothing in the code knows of them.
"""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ID = r"/snapshots/\d{8}T\d{6}Z-[0-9a-f]{8}"


@dataclass(frozen=True, slots=True)
class Step:
    """The first event of a kind whose path matches; `in_force` says whether the new snapshot is by then."""

    event: str
    path: str
    mode: str = ""
    in_force: bool = False

    def begins(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """Say whether this event is where the step begins."""
        if event != self.event or (self.mode and arguments[1] != self.mode):
            return False
        return re.search(self.path, str(arguments[0])) is not None


STEPS: Mapping[str, Step] = {
    "folder": Step("os.mkdir", r"/snapshots/[^/]+\.partial$"),
    "entries": Step("open", r"\.partial/entries\.jsonl$"),
    "rows": Step("open", r"\.partial/rows\.json$"),
    "words": Step(
        "open", r"\.partial/lexical\.safetensors$"
    ),  # the vectors, written without the interpreter, are there
    "hashes": Step("open", r"\.partial/entries\.jsonl$", mode="r"),
    "manifest": Step("open", r"\.partial/manifest\.json$", mode="w"),
    "check": Step("open", r"\.partial/manifest\.json$", mode="r"),
    "name": Step("os.rename", r"/snapshots/[^/]+\.partial$"),
    "announce": Step("open", r"/CURRENT\.partial$"),
    "switch": Step("os.rename", r"/CURRENT\.partial$"),
    "retire": Step("os.rename", _ID + "$", in_force=True),
    "remove": Step("shutil.rmtree", _ID + r"\.partial$", in_force=True),
}


def kill_before(name: str) -> None:
    """Have this process killed with SIGKILL where the step begins."""
    step = STEPS[name]

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if step.begins(event, arguments):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


if __name__ == "__main__":
    kill_before(sys.argv[1])
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

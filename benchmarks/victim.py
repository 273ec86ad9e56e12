"""A real process of ours that is killed with SIGKILL, and what a run of kills found."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
STEP = 0.002  # seconds between two looks at what is waited for


@dataclass(frozen=True, slots=True)
class Outcome:
    """What kills left behind: `counts` describe the run, every one of `faults` has to be 0."""

    kills: int
    counts: Mapping[str, Any]
    faults: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for: how many kills, where to work, how to draw the moments and where to tell of them."""

    kills: int
    folder: Path
    moments: random.Random
    say: Callable[[str], None]

    def attempts(self) -> range:
        """Number the attempts; an attempt whose process ends before its moment is no kill and is made up for."""
        return range(4 * self.kills + 4)


class Victim:
    """A process with its output in a file. Leaving the block kills it, whatever happened."""

    def __init__(self, command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command, stdout=file, stderr=file, cwd=ROOT, env={**os.environ, **(environ or {})}
            )
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def seconds(self) -> float:
        """How long ago the process was started."""
        return time.monotonic() - self._began

    def kill(self) -> bool:
        """Send SIGKILL and wait for the end; say whether it was the signal that ended the process."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        return self._process.wait() == -signal.SIGKILL

    def finish(self, *, within: float = 900) -> int:
        """Wait for the end and return the exit code."""
        return self._process.wait(timeout=within)

    def reaches(self, seconds: float = 900, seen: Callable[[], bool] = lambda: False) -> bool:
        """Wait until something is seen (False: or the time is over, or the process has ended first)."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self.ended:
            if seen():
                return True
            time.sleep(STEP)
        return False

    def output(self) -> str:
        """Return what the process wrote."""
        return self._log.read_text(encoding="utf-8", errors="replace")

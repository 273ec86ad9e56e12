"""Documents converted in a child process: what hangs, crashes or swells there is a refused file here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from knowledge_base.sources import limits
from knowledge_base.sources.kinds import LINED, Content, Found, convert

ROOT = Path(__file__).resolve().parents[2]
LONGEST_ANSWER = 16 * limits.CHARACTERS  # bytes: every character escaped, in several rows that repeat their heading


class Sandbox:
    """Converts files, one after the other, in one child process that is started when first needed.

    The child is started anew after a file that it did not survive. Close it, or use it in a `with` statement.
    """

    def __init__(self, guard: limits.Guard | None = None) -> None:
        self._guard = guard or limits.Guard()
        self._child: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def convert(self, kind: str, data: bytes, stem: str) -> Content:
        """Convert a file of a kind; never raises for what is in it.

        Short Markdown and text is converted here: its cost is bounded by its length.
        """
        if len(data) > limits.FILE_BYTES:
            return _refused(
                f"expected at most {limits.FILE_BYTES // limits.MB} MB, got {len(data):,} bytes. Divide it."
            )
        if kind in LINED and len(data) <= limits.INLINE_BYTES:
            return convert(kind, data, stem)
        child = self._started()
        try:
            answer = self._ask(child, kind, data, stem)
        except BaseException:
            self.close()
            raise
        if "failed" not in answer:
            return Content.from_json(answer)
        self.close()
        return _refused(f"expected a file that can be read within bounds, got one where {answer['failed']}.")

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):  # bytes that the dead child never took
                        pipe.close()
            child.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            # The child gets nothing of our environment: it has no use for it, and a secret may be among it.
            environment = {
                "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1",
                "PATH": os.defpath,
            }  # fmt: skip
            self._child = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "knowledge_base.sources.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            self.starts += 1
        return self._child

    def _ask(self, child: subprocess.Popen[bytes], kind: str, data: bytes, stem: str) -> Mapping[str, Any]:
        order = {
            "kind": kind,
            "stem": stem,
            "bytes": len(data),
            "memory_bytes": self._guard.memory_bytes,
            "cpu_seconds": self._guard.seconds,
        }
        ready = self._exchange(child, json.dumps(order).encode() + b"\n", self._guard.starting_seconds)
        return ready if "failed" in ready else self._exchange(child, data, self._guard.seconds)

    def _exchange(self, child: subprocess.Popen[bytes], sent: bytes, seconds: float) -> Mapping[str, Any]:
        """Send and read one line of JSON; where the child dies, slow ones by our hand, say of what it died."""
        assert child.stdin is not None  # noqa: S101 (both are pipes)
        assert child.stdout is not None  # noqa: S101
        late = threading.Event()

        def end() -> None:
            late.set()
            child.kill()

        watch = threading.Timer(seconds, end)
        watch.start()
        try:
            child.stdin.write(sent)
            child.stdin.flush()
            line = child.stdout.readline(LONGEST_ANSWER)
        except BrokenPipeError:
            line = b""
        finally:
            watch.cancel()
        if line.endswith(b"\n"):
            answer: Mapping[str, Any] = json.loads(line)
            return answer
        child.kill()
        code = child.wait()
        if late.is_set() or code == -signal.SIGXCPU:
            return {"failed": f"its reader is not done after {seconds:g} seconds"}
        if len(line) >= LONGEST_ANSWER:
            return {"failed": "its reader gives more text than a file may have"}
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        # Where memory is used up, Python 3.11 crashes now and then in place of raising MemoryError.
        perhaps = ", perhaps for want of memory" if code in (-signal.SIGSEGV, -signal.SIGABRT) else ""
        return {"failed": f"its reader crashed ({cause}{perhaps})"}


def _refused(reason: str) -> Content:
    return Content(refused=[Found(None, "", reason)])

"""The child process that reads documents: `python -m knowledge_base.sources.worker`, started by `sandbox` only.

It is given bytes and gives rows. It opens no file to write, no connection and no process: an audit hook refuses these
to everything that runs in it and cannot be taken off again; where the kernel lets it, it also leaves the network.
Its memory, processor time and open files are limited by the kernel. One line of JSON asks, one answers:

    {"kind", "stem", "bytes", "memory_bytes", "cpu_seconds"}  ->  {"ready": true}  ->  the bytes  ->  a `Content`, or {"failed": reason}
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import signal
import sys
from typing import IO, Any

from knowledge_base.sources import kinds

REFUSED = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.",
    "os.remove", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.truncate",
    "os.kill", "shutil.", "ftplib.", "smtplib.", "urllib.", "http.", "ctypes.dlopen", "webbrowser.",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
OPEN_FILES = 64
UNSHARE_USER_AND_NETWORK = 0x10000000 | 0x40000000
DEEPEST_CALL = 3_000  # Python's frames: enough for HTML as deep as we let it be


def main() -> None:
    """Serve until the parent closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this process
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints must not be taken for an answer.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)
    for unwanted in ("PIL", "numpy", "lxml"):
        sys.modules[unwanted] = None  # type: ignore[assignment]  # used by our libraries if they find it; slow to load
    _leave_network()
    sys.setrecursionlimit(DEEPEST_CALL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    sys.addaudithook(_audit)
    while line := orders.readline():
        _serve(json.loads(line), orders, answers)


def _serve(order: dict[str, Any], orders: IO[bytes], answers: IO[bytes]) -> None:
    kinds.prepare(order["kind"])
    _answer(answers, {"ready": True})
    data = orders.read(order["bytes"])
    _limit(order["memory_bytes"], order["cpu_seconds"])
    try:
        answer = kinds.convert(order["kind"], data, order["stem"]).to_json()
    except MemoryError:
        answer = {"failed": "it needs more memory than a file may take"}
    except RecursionError:
        answer = {"failed": "it is nested too deep"}
    except Exception as error:  # noqa: BLE001 (the edge of the process: whatever it was, the file is refused by name)
        answer = {"failed": f"its reader failed ({type(error).__name__}: {str(error)[:160]})"}
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    _answer(answers, answer)


def _answer(answers: IO[bytes], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


def _limit(memory_bytes: int, cpu_seconds: float) -> None:
    """Limit what the next file may use, above what is used already."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (nothing is left to import here)
        held = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + memory_bytes, resource.RLIM_INFINITY))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _leave_network() -> None:
    """Move into a network of our own without any device, if the kernel lets an ordinary user do so."""
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    if unshare is not None:
        unshare(UNSHARE_USER_AND_NETWORK)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(REFUSED):
        raise PermissionError(f"{event} is not allowed while a document is read")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        raise PermissionError("writing is not allowed while a document is read")


if __name__ == "__main__":
    main()

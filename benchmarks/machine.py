"""What the machine itself can do: the limits that figures are held against."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUFFER_BYTES = 1 << 30  # far more than any cache
REPEATS = 5


def bandwidth(device: Any = "cpu") -> float:
    """Return bytes a second of reading a large buffer once with all cores: the best of two ways, several times."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    buffer = torch.ones(BUFFER_BYTES // 4 // 4096, 4096, device=device)
    vector = torch.ones(4096, device=buffer.device)
    ways: list[Callable[[], Any]] = [buffer.sum, lambda: buffer @ vector]
    rates = [best_rate(2 * REPEATS, lambda _n, way=way: (BUFFER_BYTES, _seconds(way))) for way in ways]  # type: ignore[misc]
    torch.set_num_threads(threads)
    return max(rates)


def best_rate(repeats: int, work: Callable[[int], tuple[int, float]]) -> float:
    """Return the best rate of several, the first left out as a warm-up: others may be using the machine."""
    rates = [amount / seconds for amount, seconds in (work(number) for number in range(repeats + 1))]
    return max(rates[1:])


def processor() -> str:
    """Return the name of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    return next((row.split(":")[1].strip() for row in text.splitlines() if row.startswith("model name")), "unknown")


def _seconds(work: Callable[[], Any]) -> float:
    """Return the seconds of work whose last result is looked at, so that a GPU has done it."""
    began = time.perf_counter()
    work().sum().item()
    return time.perf_counter() - began

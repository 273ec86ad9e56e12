"""The processes of one run under torchrun: each learns from its share, all decide alike, the first one speaks and writes.

Without torchrun there is one process, and everything here answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Any, TypeVar

T = TypeVar("T")


def number() -> int:
    """Return how many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return which process this is, from 0."""
    return int(os.environ.get("RANK", "0"))


def join() -> None:
    """Meet the other processes; a GPU of its own becomes the current one of each."""
    if number() == 1:
        return
    import torch
    from accelerate import PartialState

    PartialState(cpu=not torch.cuda.is_available())


def leave() -> None:
    """Part from the other processes: all but the first end here.

    They end at once. At an orderly exit a thread of the communication that still runs aborts the process now and then
    (seen with torch 2.13 and gloo), and torchrun would end the first process for it.
    """
    if number() > 1:
        from torch import distributed

        distributed.destroy_process_group()
    if rank():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def everyone(value: T) -> list[T]:
    """Return what each process gives here, in the order of their ranks; waits for all of them."""
    if number() == 1:
        return [value]
    from torch import distributed

    given: list[Any] = [None] * number()
    distributed.all_gather_object(given, value)
    return given

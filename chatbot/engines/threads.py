"""How many threads PyTorch computes with."""

from __future__ import annotations

import os


def use_cores() -> None:
    """Compute on every core that this process may use, or on as many as OMP_NUM_THREADS says.

    Left to itself, PyTorch takes one thread for two hyper-threads, and all cores of a machine of which a container
    may use a few.
    """
    import torch

    wanted = os.environ.get("OMP_NUM_THREADS", "")
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(int(wanted) if wanted.isdigit() and int(wanted) else own)

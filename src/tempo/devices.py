"""Where to compute: devices by their names, and what a forked process can use of them."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from tempo.errors import TempoError, UsageError

_process = os.getpid()  # in which torch may use all of its threads


def pick_device(device: str | torch.device) -> torch.device:
    """Raises TempoError for a device that is not there."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise UsageError(f"device={device!r}: it can be auto, cpu, cuda, cuda:1, mps") from None
    present: dict[str, Callable[[], bool]] = {
        "cuda": lambda: torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if not present.get(chosen.type, lambda: False)():
        raise TempoError(f"device={device}: there is none on this machine; use device=auto or cpu")
    return chosen


def prepare_process(device: torch.device) -> None:
    """Make torch work in a process that was forked from one that may have computed.

    The threads that share out a CPU's work stay behind in the parent, and whoever waits for them waits for
    ever. So the child computes on one, as torch's own data loaders do.

    Raises:
        TempoError: the device is a GPU that the parent has opened.
    """
    global _process
    if os.getpid() == _process:
        return
    if device.type == "cuda" and getattr(torch.cuda, "_is_in_bad_fork", lambda: False)():
        raise TempoError(
            "a forked process cannot use the GPU that its parent uses; start workers with multiprocessing's "
            "spawn method and load the model in each"
        )
    torch.set_num_threads(1)
    _process = os.getpid()

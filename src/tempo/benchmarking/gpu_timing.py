"""Times work on a device, and sets it against what the device can do at most."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tempo.devices import peak_bytes

REPEATS = 5


@dataclass(frozen=True)
class Limits:
    """FLOP/s and bytes/s that a device reaches in this very process."""

    flops: float
    bytes: float


@dataclass(frozen=True)
class Timing:
    """What one call of an action takes.

    Attributes:
        seconds: the median of some calls.
        memory: the most bytes in use at once; on the host those of the process.
        launches: kernels, copies and graphs that it launches; None: not on a GPU.
    """

    seconds: float
    memory: int
    launches: int | None


def measure_limits(device: torch.device, dtype: torch.dtype, *, width: int) -> Limits:
    """Multiply square matrices of a width, and copy one of them; a large one does not fit into any cache."""
    left, right = (torch.randn(width, width, device=device).to(dtype) for _ in range(2))
    product = time_action(lambda: left @ right, device).seconds
    target = torch.empty_like(left)
    copied = time_action(lambda: target.copy_(left), device).seconds
    return Limits(2 * width**3 / product, 2 * left.nbytes / copied)


def time_action(action: Callable[[], object], device: torch.device, *, repeats: int = REPEATS) -> Timing:
    """Call an action some times, after once without looking."""
    action()
    _finish(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        action()
        _finish(device)
        taken.append(time.perf_counter() - begun)
    return Timing(statistics.median(taken), peak_bytes(device), _launches(action, device))


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _launches(action: Callable[[], object], device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        action()
        _finish(device)
    calls = ("cudaLaunchKernel", "cuLaunchKernel", "cudaMemcpyAsync", "cudaMemsetAsync", "cudaGraphLaunch")
    return sum(event.count for event in profiled.key_averages() if event.key.startswith(calls))

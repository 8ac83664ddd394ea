"""Measures the peak memory of a block of code, beyond what was in use before it."""

from __future__ import annotations

import gc
from pathlib import Path
from types import TracebackType

import torch

from tempo.host_memory import peak_resident_bytes, release_freed

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"


class PeakMemory:
    """A context manager that measures the peak memory of its block, beyond what was in use when it began.

    On the host that is resident memory, whose peak Linux can reset. Elsewhere only the peak of the whole
    process is known, so that a block counts only as far as it goes beyond everything before. On a GPU
    it is the memory of tensors, in addition to the host's.

    Attributes:
        bytes: on the host. gpu_bytes: on the GPU, 0 without one.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.bytes = self.gpu_bytes = 0

    def __enter__(self) -> PeakMemory:
        _give_back()
        self._rest = _resident()
        if _can_reset():
            _CLEAR.write_text(_RESET_PEAK)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._gpu_rest = torch.cuda.memory_allocated(self._device)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bytes = max(0, _highest() - self._rest)
        if self._device.type == "cuda":
            self.gpu_bytes = torch.cuda.max_memory_allocated(self._device) - self._gpu_rest


def _give_back() -> None:
    """Return freed memory to the system: otherwise it would count as in use before, and hide a peak."""
    gc.collect()
    release_freed()


def _can_reset() -> bool:
    return _CLEAR.exists()


def _resident() -> int:
    return _status("VmRSS") if _can_reset() else _highest()


def _highest() -> int:
    if _can_reset():
        return _status("VmHWM")
    return peak_resident_bytes()


def _status(name: str) -> int:
    """A line of the process's status, in bytes."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0

"""Times the phases of an answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch

# In this order they follow one another; together with what is between them they are the total.
PHASES = ("decode", "watch", "route", "distil", "answer")


class PhaseTimer:
    """Adds up how long each phase took, in seconds; a GPU's work counts for the phase that asked for it.

    Args:
        shared: other answers are computed meanwhile, so that only what is in the phases is this one's.
    """

    def __init__(self, device: torch.device, *, shared: bool = False) -> None:
        self._shared = shared
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._device = device
        self._begun = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self.seconds[name] += time.perf_counter() - start

    def timings(self) -> dict[str, float]:
        """Seconds by phase, and `total` since the timer was made; of a shared one, the sum of the phases."""
        total = sum(self.seconds.values()) if self._shared else time.perf_counter() - self._begun
        return {**self.seconds, "total": total}


@contextmanager
def phase_of_all(timers: Iterable[PhaseTimer], name: str) -> Iterator[None]:
    """A phase of answers that are computed together: each waits for all of it."""
    with ExitStack() as stack:
        for timer in timers:
            stack.enter_context(timer.phase(name))
        yield

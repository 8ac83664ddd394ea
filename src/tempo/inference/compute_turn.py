"""Whose turn it is to compute: questions before watching, and watching never starves."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# After a batch of segments was watched, questions have this many times as long to themselves.
QUESTIONS_SHARE = 3.0

_SMALL_BYTES = 10**9  # of weights; the matrices of larger models keep all cores busy with one question


class ComputeTurn:
    """Lanes with two queues, each in the order of asking. Whoever holds a lane offers it to the others
    between two steps, so that a question about a cached video waits for a batch of segments or a token at
    most, and not for an hour that is being watched. Questions go first; watching gets a quarter of the time,
    and never the last of several lanes.

    Args:
        lanes: how many compute at the same time. They share torch's threads.
    """

    def __init__(self, lanes: int = 1) -> None:
        self.lanes = self._free = lanes
        self._threads = torch.get_num_threads()
        self._guard = threading.Lock()
        self._questions: deque[threading.Event] = deque()
        self._watching: deque[threading.Event] = deque()
        self._watched_now = 0  # lanes in which a video is watched
        self._watching_due = 0.0  # until then questions go first

    @classmethod
    def of(cls, network: nn.Module, device: torch.device) -> ComputeTurn:
        """With as many lanes as pay: on a CPU, a small model's operators keep one core busy, not several."""
        small = sum(parameter.nbytes for parameter in network.parameters()) <= _SMALL_BYTES
        return cls(2 if small and device.type == "cpu" and torch.get_num_threads() > 1 else 1)

    @property
    def waiting(self) -> int:
        """How many wait for their next step."""
        return len(self._questions) + len(self._watching)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Compute for a question, once those who came before have had their turn."""
        self._acquire(self._questions)
        try:
            yield
        finally:
            self._release()
            self._share_threads(1)

    @contextmanager
    def take_to_watch(self) -> Iterator[None]:
        """Compute a batch of segments, once no question waits or watching is due."""
        self._acquire(self._watching)
        begun = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            self._watching_due = now + QUESTIONS_SHARE * (now - begun)
            self._release(watched=1)
            self._share_threads(1)

    def give_way(self) -> None:
        """Let those who wait take a step; a question calls it between two steps, while it holds a lane."""
        if self._questions or self._watching_is_due():
            self._release()
            self._acquire(self._questions)

    def _acquire(self, queue: deque[threading.Event]) -> None:
        mine = threading.Event()
        with self._guard:
            queue.append(mine)
            self._let_in()
        mine.wait()
        self._share_threads(self.lanes)

    def _share_threads(self, lanes: int) -> None:
        """Let this thread's operators use its part of torch's threads, or all of them."""
        if self.lanes > 1:
            torch.set_num_threads(max(1, self._threads // lanes))

    def _release(self, *, watched: int = 0) -> None:
        with self._guard:
            self._free += 1
            self._watched_now -= watched
            self._let_in()

    def _let_in(self) -> None:
        """Give free lanes to those who are first."""
        while self._free:
            if self._watching_is_due() or (not self._questions and self._may_watch()):
                self._watched_now += 1
                queue = self._watching
            elif self._questions:
                queue = self._questions
            else:
                return
            self._free -= 1
            queue.popleft().set()

    def _may_watch(self) -> bool:
        return bool(self._watching) and self._watched_now < max(1, self.lanes - 1)

    def _watching_is_due(self) -> bool:
        return self._may_watch() and time.monotonic() >= self._watching_due

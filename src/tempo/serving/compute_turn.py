"""Whose turn it is to compute: one request at a time, and long ones give way between two steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from .api_errors import ApiError


class ComputeTurn:
    """A fair lock. Whoever holds it offers it to the others between two steps, so that a question about a
    cached video waits for one batch of segments or one token, and not for an hour that is being watched.

    Args:
        most_waiting: requests that may wait; one more is refused.
    """

    def __init__(self, most_waiting: int) -> None:
        self.most_waiting = most_waiting
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Event] = deque()
        self._admitted = 0

    @property
    def waiting(self) -> int:
        """How many wait for their next step."""
        return len(self._waiting)

    def admit(self) -> None:
        """Count a request until it leaves.

        Raises:
            ApiError: too many are there already.
        """
        with self._guard:
            if self._admitted >= self.most_waiting:
                raise ApiError(429, f"{self._admitted} requests are waiting already; try again later")
            self._admitted += 1

    def leave(self) -> None:
        """A request that was admitted is over."""
        with self._guard:
            self._admitted -= 1

    @contextmanager
    def take(self) -> Iterator[None]:
        """Compute, once those who came before have had their turn."""
        self._acquire()
        try:
            yield
        finally:
            self._release()

    def give_way(self) -> None:
        """Let everybody who waits take one step; call it between two steps while holding the turn."""
        if self._waiting:
            self._release()
            self._acquire()

    def _acquire(self) -> None:
        with self._guard:
            if not self._held and not self._waiting:
                self._held = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def _release(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()  # it is held by whoever was first
            else:
                self._held = False

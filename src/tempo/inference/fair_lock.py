"""Whose turn it is to compute: one at a time, and long work gives way between two steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class FairLock:
    """A lock that is had in the order of asking. Whoever holds it offers it to the others between two steps,
    so that a question about a cached video waits for one batch of segments or one token, and not for an hour
    that is being watched.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their next step."""
        return len(self._waiting)

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

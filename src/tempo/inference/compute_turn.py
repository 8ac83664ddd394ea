"""Whose turn it is to compute: one at a time, questions before watching, and watching never starves."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

# After a batch of segments was watched, questions have this many times as long to themselves.
QUESTIONS_SHARE = 3.0


class ComputeTurn:
    """A lock with two queues, each in the order of asking. Whoever holds it offers it to the others between
    two steps, so that a question about a cached video waits for a batch of segments or a token at most, and
    not for an hour that is being watched. Questions go first; watching gets a quarter of the time.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._questions: deque[threading.Event] = deque()
        self._watching: deque[threading.Event] = deque()
        self._watching_due = 0.0  # until then questions go first

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
            self._release()

    def give_way(self) -> None:
        """Let those who wait take a step; a question calls it between two steps, while it holds the turn."""
        if self._questions or (self._watching and time.monotonic() >= self._watching_due):
            self._release()
            self._acquire(self._questions)

    def _acquire(self, queue: deque[threading.Event]) -> None:
        with self._guard:
            if not self._held and not self._questions and not self._watching:
                self._held = True
                return
            mine = threading.Event()
            queue.append(mine)
        mine.wait()

    def _release(self) -> None:
        with self._guard:
            due = self._watching and time.monotonic() >= self._watching_due
            queue = self._watching if due or not self._questions else self._questions
            if queue:
                queue.popleft().set()  # it is held by whoever was first
            else:
                self._held = False

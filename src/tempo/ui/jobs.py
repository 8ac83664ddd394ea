"""Work in a thread that can be followed from outside and stopped.

What a generator of the page waits for takes seconds or minutes. It runs in a thread of its own, so that the
page can show meanwhile how far it is, and is told to stop when its visitor leaves or asks for something else.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tempo.errors import TempoError

from .request_queue import Line

E = TypeVar("E")
TICK = 0.25  # seconds between signs of life


class Stopped(Exception):
    """The work is not wanted any more."""


class Task:
    """Something that a visitor waits for, until it is stopped.

    Args:
        asks: whether it answers a new question.
    """

    def __init__(self, *, asks: bool = False) -> None:
        self.asks = asks
        self._stop = threading.Event()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()

    def check(self) -> None:
        """Raises Stopped once it is stopped."""
        if self.stopped:
            raise Stopped


@dataclass(frozen=True)
class Waiting:
    """It is not our turn yet: so many are ahead."""

    ahead: int


@dataclass(frozen=True)
class Alive:
    """Nothing new since the last event; the work began so many seconds ago."""

    seconds: float


@dataclass(frozen=True)
class _Ended:
    error: BaseException | None


def follow(
    line: Line,
    task: Task,
    work: Callable[[Callable[[E], None]], None],
    *,
    longest: float = math.inf,
) -> Iterator[E | Waiting | Alive]:
    """Stand in LINE, do WORK in a thread, and yield what it reports, with signs of life between.

    WORK is called with a function that takes its events; that function raises Stopped once the TASK is
    stopped, which is where the work ends. The turn is over when the work has really ended. Closing this
    iterator stops the task. Nobody waits for WORK that takes more than LONGEST seconds.

    Raises:
        TempoError: too many wait already, or it took too long.
        Stopped: the task was stopped.
        Exception: whatever the work raised.
    """
    ticket = line.join()
    try:
        while ahead := ticket.ahead(TICK):
            task.check()
            yield Waiting(ahead)
        task.check()
    except BaseException:
        ticket.leave()
        raise

    events: queue.SimpleQueue[E | _Ended] = queue.SimpleQueue()

    def report(event: E) -> None:
        task.check()
        events.put(event)

    def run() -> None:
        error: BaseException | None = None
        try:
            work(report)
        except BaseException as caught:
            error = caught
        ticket.leave()
        events.put(_Ended(error))

    begun = time.monotonic()
    threading.Thread(target=run, name="tempo-ui-work", daemon=True).start()
    ended: _Ended | None = None
    try:
        while ended is None:
            try:
                event = events.get(timeout=TICK)
            except queue.Empty:
                task.check()
                if time.monotonic() - begun > longest:
                    raise TempoError(f"this takes longer than {longest:g} s, so it was given up") from None
                yield Alive(time.monotonic() - begun)
                continue
            if isinstance(event, _Ended):
                ended = event
            else:
                yield event
    finally:
        if ended is None:
            task.stop()
    if ended.error is not None:
        raise ended.error

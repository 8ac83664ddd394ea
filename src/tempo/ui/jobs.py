"""Run slow work in a thread, stream its progress, and stop it when nobody waits for it any more.

Watching and answering take seconds to minutes. A thread does the work while a generator yields its progress
events to the page; closing the generator or stopping the task ends the work.
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

from .request_queue import RequestQueue, Ticket

E = TypeVar("E")
TICK = 0.25  # seconds between heartbeats


class Stopped(Exception):
    """The task was stopped: its session closed or began something else."""


class Task:
    """Work that a session waits for, and the switch that stops it.

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
        """Raises Stopped if the task was stopped."""
        if self.stopped:
            raise Stopped


@dataclass(frozen=True)
class Queued:
    """The request waits for the model behind AHEAD others."""

    ahead: int


@dataclass(frozen=True)
class Heartbeat:
    """Nothing new since the last event; the work began SECONDS ago."""

    seconds: float


@dataclass(frozen=True)
class _Ended:
    error: BaseException | None


def follow(
    request_queue: RequestQueue,
    task: Task,
    work: Callable[[Callable[[E], None]], None],
    *,
    timeout: float = math.inf,
) -> Iterator[E | Queued | Heartbeat]:
    """Wait for admission, do WORK in a thread, and yield the events that it reports, with heartbeats between.

    WORK gets a function that takes its events; that function raises Stopped once the TASK is stopped, which
    is where the work ends. The next request is admitted when the work has really ended. Closing this iterator
    stops the task.

    Args:
        timeout: seconds after which the caller no longer waits for the work.

    Raises:
        TempoError: the queue is full, or the work took too long.
        Stopped: the task was stopped.
        Exception: whatever the work raised.
    """
    ticket = request_queue.join()
    try:
        while ahead := ticket.ahead(TICK):
            task.check()
            yield Queued(ahead)
        task.check()
    except BaseException:
        ticket.leave()
        raise
    yield from _events(task, _start(task, work, ticket), timeout)


def _start(
    task: Task, work: Callable[[Callable[[E], None]], None], ticket: Ticket
) -> queue.SimpleQueue[E | _Ended]:
    """Start WORK in a thread and return the queue of its events, of which the last is _Ended."""
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

    threading.Thread(target=run, name="tempo-ui-work", daemon=True).start()
    return events


def _events(task: Task, events: queue.SimpleQueue[E | _Ended], timeout: float) -> Iterator[E | Heartbeat]:
    """Yield events until the work has ended, and a heartbeat wherever none comes for a while."""
    begun = time.monotonic()
    ended: _Ended | None = None
    try:
        while ended is None:
            try:
                event = events.get(timeout=TICK)
            except queue.Empty:
                task.check()
                if time.monotonic() - begun > timeout:
                    raise TempoError(f"gave up after {timeout:g} s") from None
                yield Heartbeat(time.monotonic() - begun)
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

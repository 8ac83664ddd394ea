"""Runs a generator in a background thread, so that producing overlaps consuming."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """A bounded queue that either end can close."""

    def __init__(self, depth: int) -> None:
        self._items: deque[T] = deque()
        self._depth = depth
        self._change = threading.Condition()
        self._finished = False
        self._error: BaseException | None = None
        self.stop = threading.Event()

    def put(self, item: T) -> bool:
        """Wait until there is space and add `item`. False: the consumer has closed the queue."""
        with self._change:
            self._change.wait_for(lambda: len(self._items) < self._depth or self.stop.is_set())
            if self.stop.is_set():
                return False
            self._items.append(item)
            self._change.notify_all()
            return True

    def finish(self, error: BaseException | None) -> None:
        """Close the producer's end, with what it failed of."""
        with self._change:
            self._finished, self._error = True, error
            self._change.notify_all()

    def hang_up(self) -> None:
        """Close the consumer's end and drop the items."""
        with self._change:
            self.stop.set()
            self._items.clear()
            self._change.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._items or self._finished)
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._change.notify_all()
            yield item
            del item  # not kept alive while waiting for the next one


class Background(Iterator[T]):
    """Iterates over what `produce(stop)` yields, made in a thread from now on, at most `depth` items ahead.

    An exception of the producer is raised here, after the items before it.
    """

    def __init__(self, produce: Callable[[threading.Event], Iterator[T]], *, depth: int, name: str) -> None:
        self._handover: Handover[T] = Handover(depth)
        self._items = iter(self._handover)
        self._thread = threading.Thread(target=_run, args=(produce, self._handover), name=name, daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        try:
            return next(self._items)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Set `stop`, which the producer has to check, and wait for the thread to end."""
        self._handover.hang_up()
        self._thread.join(timeout=5)  # a read from the network may hang longer; the thread ends after it

    def __del__(self) -> None:
        self._handover.hang_up()


def _run(produce: Callable[[threading.Event], Iterator[T]], handover: Handover[T]) -> None:
    error: BaseException | None = None
    try:
        for item in produce(handover.stop):
            if not handover.put(item):
                break
    except BaseException as caught:
        error = caught
    handover.finish(error)

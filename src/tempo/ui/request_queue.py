"""A bounded first-in-first-out queue that admits requests to the model, one or a few at a time."""

from __future__ import annotations

import threading

from tempo.errors import TempoError


class RequestQueue:
    """Admits requests in the order of their arrival.

    Args:
        max_queued: requests that may wait; one more is refused.
        concurrency: requests that run at the same time.
    """

    def __init__(self, max_queued: int, *, concurrency: int = 1) -> None:
        self._max_queued = max_queued
        self._concurrency = concurrency
        self._change = threading.Condition()
        self._tickets: list[Ticket] = []

    def join(self) -> Ticket:
        """Join at the end of the queue. Raises TempoError if it is full."""
        with self._change:
            waiting = len(self._tickets) - self._concurrency
            if waiting >= self._max_queued:
                raise TempoError(
                    f"{waiting} {'request is' if waiting == 1 else 'requests are'} already waiting; "
                    "try again in a minute"
                )
            ticket = Ticket(self)
            self._tickets.append(ticket)
            return ticket

    def __len__(self) -> int:
        """Requests that run or wait."""
        return len(self._tickets)

    def _ahead(self, ticket: Ticket, seconds: float) -> int:
        with self._change:
            self._change.wait_for(lambda: not self._before(ticket), timeout=seconds)
            return self._before(ticket)

    def _before(self, ticket: Ticket) -> int:
        return max(0, self._tickets.index(ticket) - self._concurrency + 1)

    def _leave(self, ticket: Ticket) -> None:
        with self._change:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
                self._change.notify_all()


class Ticket:
    """The place of one request in a :class:`RequestQueue`."""

    def __init__(self, queue: RequestQueue) -> None:
        self._queue = queue

    def ahead(self, seconds: float) -> int:
        """Wait up to SECONDS to be admitted; return how many requests are still ahead, 0 once admitted."""
        return self._queue._ahead(self, seconds)

    def leave(self) -> None:
        """Leave the queue, whether the request ran or not. Leaving twice does nothing."""
        self._queue._leave(self)

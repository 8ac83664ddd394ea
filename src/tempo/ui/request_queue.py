"""Who computes next: one at a time or a few, first come first served, and only so many wait."""

from __future__ import annotations

import threading

from tempo.errors import TempoError


class Line:
    """A queue, in front of the model for example.

    Args:
        most_waiting: how many may wait behind those whose turn it is.
        at_once: how many have their turn at the same time.
    """

    def __init__(self, most_waiting: int, *, at_once: int = 1) -> None:
        self._most_waiting = most_waiting
        self._at_once = at_once
        self._change = threading.Condition()
        self._tickets: list[Ticket] = []

    def join(self) -> Ticket:
        """Stand at the end. Raises TempoError where too many wait already."""
        with self._change:
            waiting = len(self._tickets) - self._at_once
            if waiting >= self._most_waiting:
                raise TempoError(
                    f"{waiting} {'other is' if waiting == 1 else 'others are'} waiting already; "
                    "try again in a minute"
                )
            ticket = Ticket(self)
            self._tickets.append(ticket)
            return ticket

    def __len__(self) -> int:
        """How many there are, those whose turn it is included."""
        return len(self._tickets)

    def _ahead(self, ticket: Ticket, seconds: float) -> int:
        with self._change:
            self._change.wait_for(lambda: not self._before(ticket), timeout=seconds)
            return self._before(ticket)

    def _before(self, ticket: Ticket) -> int:
        return max(0, self._tickets.index(ticket) - self._at_once + 1)

    def _leave(self, ticket: Ticket) -> None:
        with self._change:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
                self._change.notify_all()


class Ticket:
    """A place in a :class:`Line`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def ahead(self, seconds: float) -> int:
        """Wait up to SECONDS for the turn and return how many are still ahead; 0: it is ours."""
        return self._line._ahead(self, seconds)

    def leave(self) -> None:
        """Give up the place, or the turn once it is done with. A second time does nothing."""
        self._line._leave(self)

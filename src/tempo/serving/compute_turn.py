"""Whose turn it is to compute, and how many requests may wait for theirs."""

from __future__ import annotations

from tempo.inference.fair_lock import FairLock

from .api_errors import ApiError


class ComputeTurn(FairLock):
    """A fair lock that counts the requests that it admits.

    Args:
        most_waiting: requests that may wait; one more is refused.
    """

    def __init__(self, most_waiting: int) -> None:
        super().__init__()
        self.most_waiting = most_waiting
        self._admitted = 0

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

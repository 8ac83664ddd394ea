"""A replica that another worker lends, and what does its part where it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from tempo.console import Progress
from tempo.errors import describe
from tempo.inference.cache_policy import CacheKind
from tempo.inference.keep_strategies import Keep

from .replica import (
    CancelledError,
    ForgottenError,
    RangeMemory,
    RangeReport,
    RangeScores,
    RangeWork,
    Replica,
    ReplicaDiedError,
)

T = TypeVar("T")


class LentReplica:
    """See :class:`.replica.Replica`. What the helper cannot do is done in this process.

    A machine may lack a file, a codec or the memory, so a helper that fails where this process does not is
    left out from then on, as one that dies is. Where both fail, the video is at fault, and the error is that
    of this process.

    Args:
        helper: the replica that is lent.
        here: makes a replica of this process, once it is needed.

    Attributes:
        failure: what the helper failed at and this process did not; None: nothing, or it died.
    """

    def __init__(self, helper: Replica, here: Callable[[], Replica]) -> None:
        self.name = helper.name
        self.failure: str | None = None
        self._helper: Replica | None = helper
        self._lent = helper  # it is closed also when it is left out
        self._start_here = here
        self._here: Replica | None = None
        self._guard = threading.Lock()
        self._watched = False

    @property
    def helps(self) -> bool:
        """Whether the helper has watched segments and still has them."""
        return self._watched and self._helper is not None

    def room(self, place: CacheKind) -> tuple[str, int]:
        return self._do(lambda replica: replica.room(place))

    def watch(self, work: RangeWork, progress: Progress) -> RangeReport:
        report = self._do(lambda replica: replica.watch(work, progress))
        self._watched |= bool(report.spans)
        return report

    def score(
        self, work: RangeWork, ask: str, questions: Sequence[list[int]], keep: Keep, progress: Progress
    ) -> RangeScores:
        scores = self._do(lambda replica: replica.score(work, ask, questions, keep, progress))
        self._watched |= bool(scores.spans)
        return scores

    def compress(self, ask: str, counts: Sequence[list[int]], progress: Progress) -> RangeMemory:
        return self._do(lambda replica: replica.compress(ask, counts, progress))

    def forget(self, key: str) -> None:
        for replica in (self._lent, self._here):
            if replica is not None:
                replica.forget(key)

    def close(self) -> None:
        for replica in (self._lent, self._here):
            if replica is not None:
                replica.close()

    def _do(self, action: Callable[[Replica], T]) -> T:
        """Let the helper do it, or else this process."""
        helper, failure = self._helper, None
        if helper is not None:
            try:
                return action(helper)
            except (CancelledError, ForgottenError):
                raise
            except ReplicaDiedError:
                self._helper = None
            except Exception as error:
                failure = describe(error)
        done = action(self._own())
        if failure is not None:
            self.failure, self._helper = failure, None
        return done

    def _own(self) -> Replica:
        with self._guard:
            if self._here is None:
                self._here = self._start_here()
            return self._here

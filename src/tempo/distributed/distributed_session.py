"""A video whose segments several replicas have watched, each a range of them."""

from __future__ import annotations

import itertools
import uuid
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeVar

from tempo.console import Progress, shown_progress
from tempo.errors import NoRoomError, TempoError, UsageError
from tempo.inference.keep_strategies import Keep
from tempo.inference.loaded_model import LoadedModel
from tempo.inference.phase_timer import PhaseTimer
from tempo.inference.pipeline import CompressedSegment, Step, Turn, go_on
from tempo.inference.prefix_cache import DiskCache
from tempo.inference.session import Session
from tempo.inference.watch_request import WatchRequest
from tempo.processing.batching import SegmentSpan

from .replica import (
    ForgottenError,
    RangeMemory,
    RangeReport,
    RangeScores,
    RangeWork,
    Replica,
    ReplicaDiedError,
)
from .replica_pool import Moved, ReplicaPool, ReplicaSlot

Works = list[tuple[ReplicaSlot, RangeWork]]
Found = TypeVar("Found", RangeReport, RangeScores)
RangeAction = Callable[[Replica, RangeWork, Moved], Found]


class DistributedSession(Session):
    """A session whose segments lie where they were watched.

    Args:
        works: the ranges, and whose each is.
    """

    def __init__(self, engine: LoadedModel, request: WatchRequest, pool: ReplicaPool, works: Works) -> None:
        super().__init__(engine, request, entries=None)
        self.pool, self._works = pool, works
        self._kept: list[RangeReport] = []
        self._keys = [work.key for _, work in works]  # of everything that is to be forgotten with the session
        self._on_disk: list[tuple[DiskCache, str]] = []
        weakref.finalize(self, _forget, pool, self._keys).atexit = False

    def watch(self) -> None:
        """Watch every range and keep it. Raises as :meth:`tempo.Tempo.watch`."""
        with shown_progress(self._request.progress, "watching", "frames") as progress:
            reports = self._on_every_range(
                lambda replica, work, moved: replica.watch(work, moved), progress, go_on
            )
            self._all_watched(progress)
        self._kept = reports
        self._on_disk = [entry for _, work in self._works if (entry := _entry_of(work))]
        self.damage = reports[-1].damage
        self.timings = _slowest([report.seconds for report in reports])

    @property
    def is_cached(self) -> bool:
        return bool(self._kept)

    @property
    def cached_bytes(self) -> int:
        return sum(report.nbytes for report in self._kept)

    @property
    def is_evicted(self) -> bool:
        """See :attr:`Session.is_evicted`. What other machines have on disks of their own does not count."""
        return not all(disk.has(key) for disk, key in self._on_disk)

    def touch(self) -> None:
        """See :meth:`Session.touch`."""
        for disk, key in self._on_disk:
            disk.touch(key)

    def score(
        self,
        questions: Sequence[list[int]],
        keep: Keep,
        timers: Sequence[PhaseTimer],
        step: Step = go_on,
        turn: Turn = nullcontext,
    ) -> GatheredScores:
        """See :meth:`Session.score`; the replicas take turns by themselves."""
        ask = uuid.uuid4().hex

        def score(replica: Replica, work: RangeWork, moved: Moved) -> RangeScores:
            return replica.score(work, ask, questions, keep, moved)

        shown = None if self.is_cached else self._request.progress
        try:
            with shown_progress(shown, "watching", "frames") as progress:
                found = self._on_every_range(score, progress, step)
                self._all_watched(progress)
        except BaseException:
            self.pool.forget_later(ask)  # by those that have scored it
            raise
        self.damage = found[-1].damage
        _add_slowest(timers, [one.seconds for one in found])
        return GatheredScores(self, ask, score, found, timers)

    def compress_ranges(
        self,
        ask: str,
        score: RangeAction[RangeScores],
        counts: Sequence[Sequence[Sequence[int]]],
        step: Step,
    ) -> list[RangeMemory]:
        """Compress scored questions where their segments lie.

        Args:
            counts: how many each segment keeps, for each range and question.
        """

        def compress(work: RangeWork, of_range: Sequence[list[int]]) -> Callable[..., RangeMemory]:
            def action(replica: Replica, moved: Moved) -> RangeMemory:
                try:
                    return replica.compress(ask, of_range, moved)
                except ForgottenError:  # it took the place of one that died
                    score(replica, work, moved)
                    return replica.compress(ask, of_range, moved)

            return action

        actions = [
            (slot, compress(work, [list(one) for one in of_range]))
            for (slot, work), of_range in zip(self._works, counts, strict=True)
        ]
        return self.pool.side_by_side(actions, moved=lambda done, total: step())

    def _segment_count(self) -> int:
        if self._kept:
            return sum(len(report.spans) for report in self._kept)
        return super()._segment_count()

    def _all_watched(self, progress: Progress | None) -> None:
        if progress is not None:
            progress(len(self.sampling), len(self.sampling))

    def _on_every_range(
        self, action: RangeAction[Found], progress: Progress | None, step: Step
    ) -> list[Found]:
        """Do something with every range, as if one device did it with the whole video.

        Lost frames move later ones into earlier segments, so that a range does not begin where it was dealt.
        Where some are lost, every replica decodes the file from its beginning.
        """
        counted = any(work.part.from_beginning for _, work in self._works)
        try:
            found = self._try_every_range(action, progress, step)
        except (NoRoomError, UsageError, ReplicaDiedError):
            raise
        except TempoError:
            if counted:
                raise
            found = []
        if counted or (found and not any(one.damage for one in found)):
            return found
        for key in [work.key for _, work in self._works]:
            self.pool.forget(key)
        self._works = [
            (
                slot,
                replace(
                    work,
                    key=f"{work.key}-counted",
                    part=replace(work.part, from_beginning=True),
                    disk_key=work.disk_key and f"{work.disk_key}-counted",
                ),
            )
            for slot, work in self._works
        ]
        self._keys += [work.key for _, work in self._works]
        return self._try_every_range(action, progress, step)

    def _try_every_range(
        self, action: RangeAction[Found], progress: Progress | None, step: Step
    ) -> list[Found]:
        frames = len(self.sampling)

        def moved(done: int, total: int) -> None:
            if progress is not None and done:
                progress(min(done, frames), frames)
            step()

        def bound(work: RangeWork) -> Callable[[Replica, Moved], Found]:
            return lambda replica, of_range: action(replica, work, of_range)

        return self.pool.side_by_side([(slot, bound(work)) for slot, work in self._works], moved=moved)


class GatheredScores:
    """Questions that every replica has scored; see :class:`tempo.inference.pipeline.ScoredQuestions`."""

    def __init__(
        self,
        session: DistributedSession,
        ask: str,
        score: RangeAction[RangeScores],
        found: Sequence[RangeScores],
        timers: Sequence[PhaseTimer],
    ) -> None:
        self._session, self._ask, self._score, self._timers = session, ask, score, timers
        self._lengths = [len(one.spans) for one in found]
        self.spans: list[SegmentSpan] = [span for one in found for span in one.spans]
        self.relevance: list[list[float]] = [
            [value for one in found for value in one.relevance[question]] for question in range(len(timers))
        ]
        weakref.finalize(self, _forget, session.pool, [ask]).atexit = False

    def compress(
        self, counts: Sequence[Sequence[int]], *, step: Step = go_on
    ) -> list[list[CompressedSegment]]:
        """See :class:`tempo.inference.pipeline.ScoredQuestions`."""
        ends = [0, *itertools.accumulate(self._lengths)]
        of_ranges = [[one[start:stop] for one in counts] for start, stop in itertools.pairwise(ends)]
        found = self._session.compress_ranges(self._ask, self._score, of_ranges, step)
        _add_slowest(self._timers, [one.seconds for one in found])
        device = self._session.engine.device
        compressed = []
        for number in range(len(counts)):
            memory = [
                memory_kD
                for one, of_range in zip(found, of_ranges, strict=True)
                for memory_kD in one.memory_kD[number].to(device).split(list(of_range[number]))
            ]
            compressed.append(
                [
                    CompressedSegment(span, relevance, memory_kD)
                    for span, relevance, memory_kD in zip(
                        self.spans, self.relevance[number], memory, strict=True
                    )
                ]
            )
        return compressed


def _forget(pool: ReplicaPool, keys: Iterable[str]) -> None:
    for key in keys:
        pool.forget_later(key)


def _entry_of(work: RangeWork) -> tuple[DiskCache, str] | None:
    """What a watched range is read from; None: nothing on this machine's disk."""
    if work.place != "disk":
        return None
    keys = (work.whole_disk_key, work.disk_key)
    return next(((work.disk, key) for key in keys if work.disk.has(key)), None)


def _slowest(seconds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The phases of the replica that the others, which worked beside it, were waited for with."""
    return max(seconds, key=lambda phases: sum(phases.values()))


def _add_slowest(timers: Sequence[PhaseTimer], seconds: Sequence[Sequence[dict[str, float]]]) -> None:
    """Count the phases of replicas that worked side by side, for each question."""
    for number, timer in enumerate(timers):
        for phase, took in _slowest([one[number] for one in seconds]).items():
            timer.seconds[phase] += took

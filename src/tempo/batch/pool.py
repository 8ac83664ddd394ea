"""Distribute the videos of a batch run to workers, and replace workers that die.

A worker is a process of this machine (:mod:`tempo.batch.processes`) or of a Ray cluster
(:mod:`tempo.batch.ray_workers`). One that dies (out of memory, of a file that crashes the decoder, or with
its machine) costs its current case at most.

A video of several workers waits until so many are idle; until then, those that are take other videos. One of
its workers answers its cases, and the others help: they watch ranges of it, until the last case is answered.
What a helper that dies had to do, the first one does.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from tempo.errors import TempoError, UsageError

from .cases import Case, VideoGroup
from .splitting import planned

# ("ready", its kind): the model is loaded, and only workers of one kind compute the same; ("load_error", the
# error); ("record", (number of the case, its record)); ("done", None): the group is answered.
Message = tuple[Literal["ready", "load_error", "record", "done"], Any]


# How much of an attempt at a case it is that a machine goes down: rarely the fault of its video, but a video
# that takes every machine down must not do so for ever.
MACHINE_LOST = 1 / 4


class WorkerDiedError(Exception):
    """A worker is gone. The text says how it ended.

    Attributes:
        attempt: how much of an attempt at its case that was.
    """

    def __init__(self, how: str, *, attempt: float = 1) -> None:
        super().__init__(how)
        self.attempt = attempt


class Worker(Protocol):
    """A process that answers the cases of one group after another."""

    def assign(self, group: VideoGroup | None, helpers: Sequence[Any] = ()) -> None:
        """Send a group to the process; None ends it once it has nothing left to do.

        HELPERS, workers of the same pool, watch ranges of the video. Each says "done" when it has helped.
        """

    def release(self) -> None:
        """Let a helper go on: whom it helped is through, or gone."""

    def receive(self) -> Message:
        """The next message; there is one. Raises WorkerDiedError."""

    def end(self, *, at_once: bool) -> None:
        """End the process and wait for its end; AT_ONCE: whatever it is doing."""


class Pool(Protocol):
    """Where workers run.

    Attributes:
        attempts: at a case, before it fails because its worker died.
        alike: whether what the first worker cannot load, no other can.
        missing: what to do where workers die while they load the model.
        shares: whether several workers can share a video.
    """

    attempts: int
    alike: bool
    missing: str
    shares: bool

    def start(self, index: int) -> Worker:
        """Start the worker of a place; it loads the model."""

    def ready(self, workers: Sequence[Any], patience: float | None = None) -> list[Any]:
        """Wait for a message of any of WORKERS → those that have one, or have died.

        PATIENCE: seconds after which none has.
        """


# Seconds for which idle workers, if there is nothing else to do, wait for others that still load the model.
PATIENCE = 60.0


@dataclass
class _Place:
    """A worker and what it is doing. Another one takes its place when it dies."""

    index: int
    worker: Worker
    state: Literal["loading", "idle", "busy", "helping", "dismissed"] = "loading"
    kind: str | None = None
    group: VideoGroup | None = None
    remaining: list[Case] = field(default_factory=list)
    helpers: Sequence[_Place] = ()

    def assign(self, group: VideoGroup, helpers: Sequence[_Place]) -> None:
        self.state, self.group, self.remaining = "busy", group, list(group.cases)
        self.helpers = helpers
        for one in helpers:
            one.state = "helping"
        self.worker.assign(group, [one.worker for one in helpers])

    def dismiss(self) -> None:
        self.state = "dismissed"
        self.worker.assign(None)

    def finish(self) -> None:
        """It is through with what it did, or dead."""
        self.state, self.group = "idle", None
        for one in self.helpers:
            one.worker.release()
        self.helpers = ()

    def complete(self, number: int) -> Case:
        """Cross a case off the group."""
        case = next(case for case in self.remaining if case.number == number)
        self.remaining.remove(case)
        return case


def run_groups(
    groups: Sequence[VideoGroup], pool: Pool, workers: int, *, warn: Callable[[str], None]
) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Answer every case of GROUPS and yield (case, record) in the order of completion.

    Closing the iterator ends the workers.

    Args:
        workers: how many at once, at most.
        warn: is told which worker cannot load the model, where others can.

    Raises:
        UsageError, TempoError: no worker can load the model.
    """
    return _Run(groups, pool, warn).run(workers)


class _Run:
    """A batch run: what is waiting, who works on what, and which case killed its workers."""

    def __init__(self, groups: Sequence[VideoGroup], pool: Pool, warn: Callable[[str], None]) -> None:
        self.pool, self.warn = pool, warn
        self.pending = list(groups)
        self.planned_for = 0  # workers, so many of which are to share each pending video
        self.places: list[_Place] = []
        self.attempts: defaultdict[int, float] = defaultdict(float)  # at cases, that ended in death
        self.loaded = False  # whether any worker has loaded the model
        self.unloaded = 0.0  # the same of workers that died one after another while they loaded the model
        self.patient = True  # while videos of several workers wait for those that load the model
        self.idle_since: float | None = None  # while any worker is

    def run(self, workers: int) -> Iterator[tuple[Case, dict[str, Any]]]:
        try:
            self._plan(workers)
            for index in range(min(workers, sum(group.workers for group in self.pending))):
                self.places.append(_Place(index, self.pool.start(index)))
            while self.pending or any(place.group is not None for place in self.places):
                for place in self._ready():
                    yield from self._handle(place)
                self._hand_out()
        finally:
            for place in self.places:
                place.worker.end(at_once=place.state != "dismissed")

    def _plan(self, workers: int) -> None:
        """Decide how many workers are to watch each pending video, where there are so many."""
        if workers > 1 or self.planned_for > 1:
            self.pending = planned(self.pending, workers if self.pool.shares else 1)
        self.planned_for = workers

    def _ready(self) -> list[_Place]:
        """Wait for a message → the places whose workers have one."""
        states = {place.state for place in self.places}
        patience = None
        if self.patient and self.pending and {"idle", "loading"} <= states:
            self.idle_since = self.idle_since or time.monotonic()
            patience = max(0.0, self.idle_since + PATIENCE - time.monotonic())
        else:
            self.idle_since = None
        ready = self.pool.ready([place.worker for place in self.places], patience)
        self.patient = self.patient and not (patience == 0.0 and not ready)
        return [place for place in self.places if place.worker in ready]

    def _handle(self, place: _Place) -> Iterator[tuple[Case, dict[str, Any]]]:
        """Act on a message of the worker of PLACE."""
        try:
            kind, content = place.worker.receive()
        except WorkerDiedError as error:
            yield from self._handle_death(place, error)
            return
        if kind == "record":
            number, record = content
            yield place.complete(number), record
        elif kind == "load_error":
            self._drop(place, content)
        else:
            if kind == "ready":
                self.loaded, self.unloaded, place.kind = True, 0.0, content
            place.finish()

    def _hand_out(self) -> None:
        """Assign what is pending to idle workers, and dismiss those that nothing is left for."""
        expected = {"idle", "busy", "helping"} | ({"loading"} if self.patient else set())
        count = max(1, sum(place.state in expected for place in self.places))
        if count != self.planned_for:
            self._plan(count)
        idle = [place for place in self.places if place.state == "idle"]
        while idle and (group := self._next(len(idle))) is not None:
            self.pending.remove(group)
            first = idle[0]
            helpers = [place for place in idle[1:] if place.kind == first.kind][: group.workers - 1]
            first.assign(group, helpers)
            idle = [place for place in idle if place.state == "idle"]
        if not self.pending:
            for place in idle:
                place.dismiss()

    def _next(self, idle: int) -> VideoGroup | None:
        """The first pending video that so many idle workers are to begin.

        These are as many as it wants, or most of them where those that are missing are busy with others.
        """
        coming = self.patient and any(place.state == "loading" for place in self.places)
        for group in self.pending:
            if idle >= (group.workers if coming else group.workers // 2 + 1):
                return group
        return None

    def _drop(self, place: _Place, error: TempoError) -> None:
        """Go on without a worker that cannot load the model. Raises its error where no other can."""
        self.places.remove(place)
        place.worker.end(at_once=True)
        if (self.pool.alike and not self.loaded) or not self.places:
            raise error
        self.warn(str(error))

    def _handle_death(self, place: _Place, death: WorkerDiedError) -> Iterator[tuple[Case, dict[str, Any]]]:
        """Put the group of a dead worker back, without a case that killed too many, and replace the worker.

        Raises:
            TempoError: too many died while they loaded the model.
        """
        self.places.remove(place)
        place.worker.end(at_once=True)
        if place.state == "loading":
            self.unloaded += death.attempt
            if self.unloaded >= self.pool.attempts:
                raise TempoError(f"a worker died while loading the model ({death}); {self.pool.missing}")
        left = place.remaining
        if left:
            case = left[0]
            self.attempts[case.number] += death.attempt
            if self.attempts[case.number] >= self.pool.attempts:
                left = left[1:]
                yield case, case.failure(f"the worker process died at this case ({death})")
        if place.group is not None and left:
            # One worker alone, lest a video that kills its workers kills many.
            self.pending.insert(0, replace(place.group, cases=tuple(left), workers=1, alone=True))
        place.finish()
        if self.pending:
            self.places.append(_Place(place.index, self.pool.start(place.index)))


def load_error(message: str, *, usage: bool) -> TempoError:
    """The error of a worker that cannot load the model, from what it sent."""
    return (UsageError if usage else TempoError)(message)

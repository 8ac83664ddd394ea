"""Distribute the videos of a batch run to workers, and replace workers that die.

A worker is a process of this machine (:mod:`tempo.batch.processes`) or of a Ray cluster
(:mod:`tempo.batch.ray_workers`). One that dies (out of memory, of a file that crashes the decoder, or with
its machine) costs its current case at most.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from tempo.errors import TempoError, UsageError

from .cases import Case, VideoGroup

# ("ready", None): the model is loaded; ("load_error", the error); ("record", (number of the case, its
# record)); ("done", None): the group is answered.
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

    def assign(self, group: VideoGroup | None) -> None:
        """Send a group to the process; None ends it once it has nothing left to do."""

    def receive(self) -> Message:
        """The next message; there is one. Raises WorkerDiedError."""

    def end(self, *, at_once: bool) -> None:
        """End the process and wait for its end; AT_ONCE: whatever it is doing."""


class Pool(Protocol):
    """Where workers run.

    Attributes:
        attempts: at a case, before it fails because its worker died.
        alike: whether what one worker cannot load, no other can.
        missing: what to do where workers die while they load the model.
    """

    attempts: int
    alike: bool
    missing: str

    def start(self, index: int) -> Worker:
        """Start the worker of a place; it loads the model."""

    def ready(self, workers: Sequence[Any]) -> list[Any]:
        """Wait for a message of any of WORKERS → those that have one, or have died."""


@dataclass
class _Place:
    """A worker and what it is doing. Another one takes its place when it dies."""

    index: int
    worker: Worker
    group: VideoGroup | None = None
    loaded: bool = False
    remaining: list[Case] = field(default_factory=list)

    def assign(self, group: VideoGroup | None) -> None:
        self.group, self.remaining = group, list(group.cases) if group else []
        self.worker.assign(group)

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
        self.pending = deque(groups)
        self.places: list[_Place] = []
        self.attempts: defaultdict[int, float] = defaultdict(
            float
        )  # at cases, by number, that ended in death
        self.unloaded = 0.0  # the same of workers that died one after another while they loaded the model

    def run(self, workers: int) -> Iterator[tuple[Case, dict[str, Any]]]:
        try:
            for index in range(min(workers, len(self.pending))):
                self.places.append(_Place(index, self.pool.start(index)))
            while self.pending or any(place.group is not None for place in self.places):
                ready = self.pool.ready([place.worker for place in self.places])
                for place in [place for place in self.places if place.worker in ready]:
                    yield from self._handle(place)
        finally:
            for place in self.places:
                place.worker.end(at_once=place.group is not None or not place.loaded)

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
            place.loaded, self.unloaded = True, 0.0
            place.assign(self.pending.popleft() if self.pending else None)

    def _drop(self, place: _Place, error: TempoError) -> None:
        """Go on without a worker that cannot load the model. Raises its error where no other can."""
        self.places.remove(place)
        place.worker.end(at_once=True)
        if self.pool.alike or not self.places:
            raise error
        self.warn(str(error))

    def _handle_death(self, place: _Place, death: WorkerDiedError) -> Iterator[tuple[Case, dict[str, Any]]]:
        """Put the group of a dead worker back, without a case that killed too many, and replace the worker.

        Raises:
            TempoError: too many died while they loaded the model.
        """
        self.places.remove(place)
        place.worker.end(at_once=True)
        if not place.loaded:
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
            self.pending.appendleft(replace(place.group, cases=tuple(left)))
        if self.pending:
            self.places.append(_Place(place.index, self.pool.start(place.index)))


def load_error(message: str, *, usage: bool) -> TempoError:
    """The error of a worker that cannot load the model, from what it sent."""
    return (UsageError if usage else TempoError)(message)

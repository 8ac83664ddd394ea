"""Deals a video's segments out to replicas, calls them side by side, and replaces those that die."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from tempo.errors import TempoError
from tempo.inference.cache_policy import CacheKind
from tempo.inference.prefix_cache import check_room
from tempo.processing.batching import SegmentRange

from .replica import CancelledError, Replica, ReplicaDiedError

T = TypeVar("T")

Moved = Callable[[int, int], None]
"""Called with what all replicas together have done, and have to do."""

_ENDING = 10.0  # seconds for calls to end that nobody waits for any more
_BEAT = 0.2  # seconds between two looks at what the replicas have done


class ReplicaSlot:
    """A place in the pool, and the replica that fills it.

    Args:
        start: makes a replica, at first and after each death.
    """

    def __init__(self, start: Callable[[], Replica]) -> None:
        self._start = start
        self._guard = threading.Lock()
        self.replica = start()

    def renew(self, dead: Replica) -> None:
        """Replace a replica that died, unless that has happened."""
        with self._guard:
            if self.replica is dead:
                dead.close()
                self.replica = self._start()

    def call(self, action: Callable[[Replica], T]) -> T:
        """Do something with the replica; where it dies of that, once more with another.

        Raises:
            ReplicaDiedError: that one died as well.
        """
        replica = self.replica
        try:
            return action(replica)
        except ReplicaDiedError:
            self.renew(replica)
        replica = self.replica
        try:
            return action(replica)
        except ReplicaDiedError as error:
            with contextlib.suppress(TempoError):
                self.renew(replica)  # for what comes next
            raise ReplicaDiedError(
                f"the compressor on {replica.name} died twice at the same segments ({error}); try fewer "
                "devices, or lower max_frames"
            ) from error


class ReplicaPool:
    """Replicas that share out the segments of each video.

    Args:
        starts: makes each replica; they are started side by side.

    Raises:
        TempoError: one of them does not start.
    """

    def __init__(self, starts: Sequence[Callable[[], Replica]]) -> None:
        self._threads = ThreadPoolExecutor(thread_name_prefix="tempo-replica-call", max_workers=_MOST_CALLS)
        starting = [self._threads.submit(ReplicaSlot, start) for start in starts]
        try:
            self.slots = [one.result() for one in starting]
        except BaseException:
            for one in starting:
                with contextlib.suppress(BaseException):
                    one.result().replica.close()
            raise
        # What finalizers want forgotten; putting to this queue takes no lock.
        self._to_forget: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._keep_forgetting, name="tempo-forget", daemon=True).start()

    def deal(self, segments: int) -> list[tuple[ReplicaSlot, SegmentRange]]:
        """A contiguous range for each replica that gets one; they differ by a segment at most."""
        count = min(len(self.slots), segments)
        ends = [segments * number // count for number in range(count + 1)]
        alone = count == 1  # nothing can move into another range
        return [
            (slot, SegmentRange(start, stop, from_beginning=alone))
            for slot, start, stop in zip(self.slots, ends[:-1], ends[1:], strict=False)
        ]

    def check_room(self, place: CacheKind, bytes_of_slots: Sequence[tuple[ReplicaSlot, int]]) -> None:
        """Raises NoRoomError where what each slot is to keep does not fit, with what shares its memory."""
        expected: dict[str, int] = {}
        free: dict[str, int] = {}
        for slot, count in bytes_of_slots:
            memory, free_bytes = slot.call(lambda replica: replica.room(place))
            expected[memory] = expected.get(memory, 0) + count
            free[memory] = free_bytes
        for memory, count in expected.items():
            check_room(count, free[memory], cache=place)

    def side_by_side(
        self,
        actions: Sequence[tuple[ReplicaSlot, Callable[[Replica, Moved], T]]],
        *,
        moved: Moved,
    ) -> list[T]:
        """Call a replica for each action, all at once, and return what they return.

        Args:
            moved: called in this thread while they run. What it raises ends all of them; so does Ctrl-C.

        Raises:
            whatever the first action that fails raises, once the others have ended.
        """
        return _SideBySide(self._threads, actions, moved).run()

    def forget(self, key: str) -> None:
        """Let every replica go of a range or of questions."""
        for slot in self.slots:
            slot.replica.forget(key)

    def forget_later(self, key: str) -> None:
        """The same, soon, and from anywhere: a finalizer may run while its thread holds any lock."""
        self._to_forget.put(key)

    def close(self) -> None:
        """End all replicas."""
        self._to_forget.put(None)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for slot in self.slots:
            slot.replica.close()

    def _keep_forgetting(self) -> None:
        while (key := self._to_forget.get()) is not None:
            self.forget(key)


_MOST_CALLS = 1024  # threads; each waits for a replica


class _SideBySide(Generic[T]):
    """Calls that run at once."""

    def __init__(
        self,
        threads: ThreadPoolExecutor,
        actions: Sequence[tuple[ReplicaSlot, Callable[[Replica, Moved], T]]],
        moved: Moved,
    ) -> None:
        self._moved = moved
        self._cancelled = threading.Event()
        self._done = [(0, 0)] * len(actions)
        self._ended: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
        self._futures = [
            threads.submit(self._run, number, slot, action) for number, (slot, action) in enumerate(actions)
        ]
        for future in self._futures:
            future.add_done_callback(self._ended.put)

    def run(self) -> list[T]:
        try:
            for _ in self._futures:
                self._next().result()
        except BaseException:
            self._cancelled.set()
            for future in self._futures:
                with contextlib.suppress(BaseException):
                    future.result(_ENDING)
            raise
        return [future.result() for future in self._futures]

    def _next(self) -> Future[T]:
        """The next call that ends."""
        while True:
            done, total = (sum(column) for column in zip(*self._done, strict=True))
            self._moved(done, total)
            with contextlib.suppress(queue.Empty):
                return self._ended.get(timeout=_BEAT)

    def _run(self, number: int, slot: ReplicaSlot, action: Callable[[Replica, Moved], T]) -> T:
        def moved(done: int, total: int) -> None:
            if self._cancelled.is_set():
                raise CancelledError
            if total:
                self._done[number] = (done, total)

        return slot.call(lambda replica: action(replica, moved))

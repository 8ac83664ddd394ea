"""Which packets of a video have to be decoded to show the frames of given moments. Pure logic, no decoder in
it.

Packets come in the order of decoding, frames are shown in the order of their presentation times (pts). A
packet's decoding time (dts) is never later than any pts that is still to come, so once a packet with a dts
beyond a moment has been seen, every frame that could be on screen at that moment is known. With a look ahead
that far

- the frame of a moment is known before anything is decoded for it,
- everything in front of the last keyframe at or before the moment need not be decoded at all,
- other frames up to it are needed only as far as later frames refer to them: the decoder may leave out the
rest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

MOST_PACKETS, MOST_BYTES = 512, 32 << 20  # looked ahead in the hope of a keyframe that makes them needless
WORTH_A_JUMP = 8  # packets: to decode fewer costs less than to empty the decoder and start it anew


class UnplannableError(Exception):
    """The times of the packets do not say which frame is shown when."""


class Step(NamedTuple, Generic[T]):
    """One thing to do: decode a packet (`packet` given), or (None) show once more a frame that was sent."""

    packet: T | None
    pts: int
    moment: int | None  # the first moment that shows this frame; None: not shown, needed for others at most
    fresh: bool  # does not follow the packet that was sent before it: the decoder has to start anew


@dataclass(slots=True)
class _Waiting(Generic[T]):
    packet: T
    pts: int
    shown: bool
    size: int


class Planner(Generic[T]):
    """Takes packets in, gives steps out.

    Args:
        limits: for every moment the greatest pts that has been reached by then, ascending.
        first: the moment to begin with.
        jumps: whether decoding may begin at any keyframe; else nothing is left out from the first packet on.
    """

    def __init__(self, limits: Sequence[int], *, first: int = 0, jumps: bool = True) -> None:
        self._limits = limits
        self._jumps = jumps
        self.moment = first  # whose frame has not been sent to the decoder yet
        self.newest: int | None = None  # dts up to which packets have been seen
        self._ended = False
        self._ahead: deque[_Waiting[T]] = deque()
        self._bytes = 0
        self._known: list[int] = []  # pts of shown frames, ascending, from the last one sent for a moment on
        self._sent: dict[int, int] = {}  # pts → first moment, of frames that were sent to be shown
        self._settled: tuple[int, int] | None = None  # target and limit of the last moment that was settled
        self._fresh = False

    @property
    def busy(self) -> bool:
        """Whether there are moments left."""
        return self.moment < len(self._limits)

    def seen_through(self, limit: int) -> bool:
        """Whether every frame with a pts up to `limit` is known."""
        return self._ended or (self.newest is not None and self.newest > limit)

    def add(self, packet: T, *, pts: int | None, dts: int | None, key: bool, shown: bool, size: int) -> None:
        """The next packet in the order of decoding. `shown`: it is meant to be seen (edit lists hide some).

        Raises UnplannableError.
        """
        if pts is None:
            raise UnplannableError("a packet without a time")
        # Where an edit list repeats parts, what it hides says nothing about what is shown next.
        if dts is not None and shown:
            self.newest = dts if self.newest is None else max(self.newest, dts)
        if (
            key
            and self._jumps
            and self.busy
            and pts <= self._limits[self.moment]
            and len(self._ahead) >= WORTH_A_JUMP
        ):
            self._drop()
        if shown:
            if self._settled is not None and self._settled[0] < pts <= self._settled[1]:
                raise UnplannableError("a frame came later than its decoding time promised")
            place = bisect_left(self._known, pts)
            if place < len(self._known) and self._known[place] == pts:
                raise UnplannableError("two frames at one time")
            self._known.insert(place, pts)
        self._ahead.append(_Waiting(packet, pts, shown, size))
        self._bytes += size

    def end(self, *, keep: int) -> None:
        """There are no more packets. Only the first `keep` moments are still to be shown."""
        self._ended = True
        self._limits = self._limits[:keep]

    def restart(self) -> None:
        """The packets that follow are from another place of the file, beginning with a keyframe."""
        self._drop()
        self.newest = None

    def _drop(self) -> None:
        self._ahead.clear()
        self._bytes = 0
        self._known.clear()
        self._fresh = True

    def steps(self) -> Iterator[Step[T]]:
        """Everything that can be decided with what is known."""
        while True:
            yield from self._settle()
            if not self.busy or not self._ahead:
                return
            overfull = len(self._ahead) > MOST_PACKETS or self._bytes > MOST_BYTES
            if overfull and self.newest is None:
                raise UnplannableError("no decoding times")
            if not overfull and not self.seen_through(self._limits[self.moment]):
                return  # a keyframe may still come that makes what waits needless
            head = self._ahead[0]
            shows, moment = self._verdict(head)
            if not shows:
                return
            self._ahead.popleft()
            self._bytes -= head.size
            if moment is not None:
                self._sent[head.pts] = moment
            yield Step(head.packet, head.pts, moment, self._fresh)
            self._fresh = False

    def _settle(self) -> Iterator[Step[T]]:
        """Pass over the moments whose frame is known and has been sent."""
        while self.busy and self.seen_through(limit := self._limits[self.moment]):
            place = bisect_right(self._known, limit) - 1
            if place < 0:
                if self._ended:
                    self.moment += 1  # nothing was left in the file for it
                    continue
                raise UnplannableError("no frame at or before a moment")
            target = self._known[place]
            if target not in self._sent:
                return
            if self._sent[target] != self.moment:
                yield Step(None, target, self.moment, False)
            self._settled = (target, limit)
            self.moment += 1
            del self._known[:place]
            self._sent = {pts: moment for pts, moment in self._sent.items() if pts >= target}

    def _verdict(self, head: _Waiting[T]) -> tuple[bool, int | None]:
        """(whether it can be told yet, the first moment that shows this frame)."""
        moment = bisect_left(self._limits, head.pts)
        if not head.shown or moment < self.moment or moment == len(self._limits):
            return True, None
        limit = self._limits[moment]
        following = bisect_right(self._known, head.pts)
        if following < len(self._known) and self._known[following] <= limit:
            return True, None
        return self.seen_through(limit), moment

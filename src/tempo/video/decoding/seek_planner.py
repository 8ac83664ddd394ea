"""Decides which packets of a video to decode, given the times that are sampled. Pure logic without a decoder.

Packets arrive in decoding order; frames are shown in the order of their presentation times (pts). A packet's
decoding time (dts) is never later than any pts still to come, so once a packet with a dts beyond a sample has
been read, every frame that could be on screen at that sample is known. Looking ahead that far tells, before
anything is decoded,

- which frame a sample shows,
- that everything in front of the last keyframe at or before the sample can be skipped,
- that the other frames up to it matter only as references: the decoder may leave out the rest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

MOST_PACKETS, MOST_BYTES = 512, 32 << 20  # to look ahead for a keyframe that makes them needless, at most
WORTH_A_SEEK = 8  # packets: decoding fewer costs less than flushing the decoder and starting it again


class UnplannableError(Exception):
    """The times of the packets do not say which frame is shown when."""


class Step(NamedTuple, Generic[T]):
    """One thing to do: decode `packet`, or, where it is None, show a frame again that was sent before."""

    packet: T | None
    pts: int
    sample: int | None  # index of the first sample that shows this frame; None: it is a reference at most
    fresh: bool  # does not follow the packet sent before it: flush the decoder first


@dataclass(slots=True)
class _Waiting(Generic[T]):
    packet: T
    pts: int
    key: bool
    shown: bool
    size: int


class Planner(Generic[T]):
    """Takes packets in decoding order and yields the steps that show every sample's frame.

    Args:
        limits: for every sample the greatest pts that may be on screen at its time, ascending.
        first: index of the sample to begin with.
        seeks: whether decoding may begin at any keyframe; otherwise nothing is left out from the first packet
            on.
        group: after so many packets the next keyframe begins anew, so that another decoder can take over
            there; None: only where packets were left out.
    """

    def __init__(
        self, limits: Sequence[int], *, first: int = 0, seeks: bool = True, group: int | None = None
    ) -> None:
        self._limits = limits
        self._seeks = seeks
        self._group = group
        self._since_fresh = 0  # packets sent to the decoder
        self.sample = first  # the first one whose frame has not been sent to the decoder yet
        self.newest: int | None = None  # dts up to which packets have been seen
        self._ended = False
        self._ahead: deque[_Waiting[T]] = deque()
        self._bytes = 0
        self._known: list[int] = []  # pts of shown frames, ascending, from the last one sent for a sample on
        self._sent: dict[int, int] = {}  # pts → first sample, of frames that were sent to be shown
        self._settled: tuple[int, int] | None = None  # target and limit of the last sample that was settled
        self._fresh = False

    @property
    def busy(self) -> bool:
        """Whether there are samples left."""
        return self.sample < len(self._limits)

    def seen_through(self, limit: int) -> bool:
        """Whether every frame with a pts up to `limit` is known."""
        return self._ended or (self.newest is not None and self.newest > limit)

    def add(self, packet: T, *, pts: int | None, dts: int | None, key: bool, shown: bool, size: int) -> None:
        """Take the next packet in decoding order. `shown`: its frame is displayed (edit lists hide some).

        Raises UnplannableError.
        """
        if pts is None:
            raise UnplannableError("a packet without a time")
        # Where an edit list repeats parts, the times of hidden packets say nothing about what is shown next.
        if dts is not None and shown:
            self.newest = dts if self.newest is None else max(self.newest, dts)
        if (
            key
            and self._seeks
            and self.busy
            and pts <= self._limits[self.sample]
            and len(self._ahead) >= WORTH_A_SEEK
        ):
            self._drop()
        if shown:
            if self._settled is not None and self._settled[0] < pts <= self._settled[1]:
                raise UnplannableError("a frame came later than its decoding time promised")
            place = bisect_left(self._known, pts)
            if place < len(self._known) and self._known[place] == pts:
                raise UnplannableError("two frames at one time")
            self._known.insert(place, pts)
        self._ahead.append(_Waiting(packet, pts, key, shown, size))
        self._bytes += size

    def end(self, *, keep: int) -> None:
        """End the packets; only the first `keep` samples are still to be shown."""
        self._ended = True
        self._limits = self._limits[:keep]

    def restart(self) -> None:
        """Go on with packets from another place of the file, the first of which is a keyframe."""
        self._drop()
        self.newest = None

    def _drop(self) -> None:
        self._ahead.clear()
        self._bytes = 0
        self._known.clear()
        self._fresh = True

    def steps(self) -> Iterator[Step[T]]:
        """Yield every step that follows from the packets so far."""
        while True:
            yield from self._settle()
            if not self.busy or not self._ahead:
                return
            overfull = len(self._ahead) > MOST_PACKETS or self._bytes > MOST_BYTES
            if overfull and self.newest is None:
                raise UnplannableError("no decoding times")
            if not overfull and not self.seen_through(self._limits[self.sample]):
                return  # a keyframe may still come that makes what waits needless
            head = self._ahead[0]
            shows, sample = self._verdict(head)
            if not shows:
                return
            self._ahead.popleft()
            self._bytes -= head.size
            if sample is not None:
                self._sent[head.pts] = sample
            fresh = self._fresh or self._begins_a_group(head)
            self._since_fresh = 1 if fresh else self._since_fresh + 1
            yield Step(head.packet, head.pts, sample, fresh)
            self._fresh = False

    def _begins_a_group(self, head: _Waiting[T]) -> bool:
        """Whether decoding may begin anew with this packet, because no sample is left that shows a frame
        before it: what follows the keyframe refers to nothing before it, or is not shown."""
        if self._group is None or self._since_fresh < self._group:
            return False
        return head.key and head.shown and head.pts <= self._limits[self.sample]

    def _settle(self) -> Iterator[Step[T]]:
        """Pass over the samples whose frame is known and has been sent."""
        while self.busy and self.seen_through(limit := self._limits[self.sample]):
            place = bisect_right(self._known, limit) - 1
            if place < 0:
                if self._ended:
                    self.sample += 1  # nothing was left in the file for it
                    continue
                raise UnplannableError("no frame at or before a sample")
            target = self._known[place]
            if target not in self._sent:
                return
            if self._sent[target] != self.sample:
                yield Step(None, target, self.sample, False)
            self._settled = (target, limit)
            self.sample += 1
            del self._known[:place]
            self._sent = {pts: sample for pts, sample in self._sent.items() if pts >= target}

    def _verdict(self, head: _Waiting[T]) -> tuple[bool, int | None]:
        """(whether it is known yet, the first sample that shows this frame)."""
        sample = bisect_left(self._limits, head.pts)
        if not head.shown or sample < self.sample or sample == len(self._limits):
            return True, None
        limit = self._limits[sample]
        following = bisect_right(self._known, head.pts)
        if following < len(self._known) and self._known[following] <= limit:
            return True, None
        return self.seen_through(limit), sample

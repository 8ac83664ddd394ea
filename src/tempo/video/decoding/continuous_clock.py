"""Makes a continuous time line from a clock that restarts, jumps or wraps around. Pure arithmetic.

Transport streams, program streams and Flash files can be concatenated byte by byte, and recorders restart
their clocks in mid-stream. A player goes on from where it was, and so does this.
"""

from __future__ import annotations

from typing import NamedTuple

FALLEN_BEHIND = 1.0  # seconds that a stream's times may fall before its clock has been set back
RUN_AHEAD = 30.0  # seconds beyond everything read so far before the clock has been put forward
RUN_AHEAD_ALONE = 300.0  # the same, where no other stream shows that time has passed


class ClockJump(NamedTuple):
    """A discontinuity of a file's clock that was removed."""

    at: float  # seconds on the continuous line
    seconds: float  # by how much the file's clock jumped; negative: back


class ContinuousClock:
    """Computes for every packet the shift of its times that makes them continuous.

    A time fits while it neither falls behind its own stream nor runs ahead of all of them. Where it does not,
    everything from there on is moved to the end of what has been read. Streams are interleaved, so packets
    from before the jump may still follow: the shift before the latest one is kept for them.

    Attributes:
        jumps: those removed so far.
    """

    def __init__(self) -> None:
        self.jumps: list[ClockJump] = []
        self._newest: dict[int, float] = {}  # by stream, on the continuous line
        self._end: float | None = None  # of everything that has been read
        self._shifts = [0.0]  # the latest first

    def place(self, stream: int, time: float, shown: float, duration: float) -> float:
        """Seconds to add to the times of the next packet.

        Args:
            stream: the index of its stream.
            time: its decoding time on the file's clock, seconds.
            shown: its presentation time.
            duration: how long it lasts, seconds; 0 where that is not known.
        """
        newest = self._newest.get(stream)
        expected = newest if newest is not None else self._end
        if expected is None or self._end is None:
            shift = 0.0
        else:
            # A stream that begins may lag the others by as much as they may lead.
            earliest = expected - (FALLEN_BEHIND if newest is not None else RUN_AHEAD)
            alone = newest is not None and len(self._newest) == 1
            latest = self._end + (RUN_AHEAD_ALONE if alone else RUN_AHEAD)
            fitting = [s for s in self._shifts if earliest <= time + s <= latest]
            if fitting:
                shift = min(fitting, key=lambda shift: abs(time + shift - expected))
            else:
                shift = self._end - shown
                self.jumps.append(ClockJump(self._end, self._shifts[0] - shift))
                self._shifts = [shift, self._shifts[0]]
        moved = time + shift
        self._newest[stream] = moved if newest is None else max(newest, moved)
        end = shown + shift + duration
        self._end = end if self._end is None else max(self._end, end)
        return shift

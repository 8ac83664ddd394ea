"""Cuts a stream of frames into segments, the few seconds that the compressor reads at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .frames import FrameBatch


@dataclass(frozen=True, eq=False, repr=False)
class Segment:
    """Consecutive frames that the compressor reads together.

    Attributes:
        index: position in the video, from 0.
        frames: uint8 [n, H, W, 3], n = segment_frames except perhaps in the last segment.
        times: float64 [n], seconds.
        start: time of the first frame, seconds.
        end: start of what follows, seconds: a full window after `start`; for a short last segment one frame's
            time after its last frame.
        timestamp: what the decoder reads: the first frame's time plus half a *full* window, also for a short
            last segment, as in the published code.
    """

    index: int
    frames: np.ndarray
    times: np.ndarray
    start: float
    end: float
    timestamp: float

    def __repr__(self) -> str:
        return (
            f"Segment({self.index}, frames=uint8{list(self.frames.shape)}, {self.start:.3f}-{self.end:.3f} s)"
        )


def span_of(times: np.ndarray, *, segment_frames: int, fps: float) -> tuple[float, float]:
    """Start and end in seconds of the segment whose frames are at `times`."""
    start = float(times[0])
    full = len(times) == segment_frames
    return start, start + segment_frames / fps if full else float(times[-1]) + 1.0 / fps


def segments_of(batches: Iterable[FrameBatch], *, segment_frames: int = 8, fps: float) -> Iterator[Segment]:
    """Cut a stream of frames into segments of `segment_frames`, without overlap; the last one may be shorter.

    Holds at most one segment's frames beside the current batch; segments within one batch are views of it.

    Args:
        batches: frames in order; the sizes of the batches do not matter.
        segment_frames: frames a segment.
        fps: the rate at which the frames were sampled (`Sampling.fps`), frames per second.
    """
    if segment_frames < 1 or not fps > 0:
        raise ValueError(f"segment_frames and fps must be positive, not {segment_frames} and {fps}")
    window = segment_frames / fps
    index = 0
    pending: list[FrameBatch] = []  # pieces of the segment that is being filled

    def close() -> Segment:
        if len(pending) == 1:
            frames, times = pending[0].frames, pending[0].times
        else:
            frames = np.concatenate([piece.frames for piece in pending])
            times = np.concatenate([piece.times for piece in pending])
        start, end = span_of(times, segment_frames=segment_frames, fps=fps)
        return Segment(index, frames, times, start, end, start + 0.5 * window)

    for batch in batches:
        taken = 0
        while taken < len(batch):
            missing = segment_frames - sum(len(piece) for piece in pending)
            cut = slice(taken, taken + missing)
            pending.append(FrameBatch(batch.frames[cut], batch.times[cut]))
            taken += len(pending[-1])
            if len(pending[-1]) == missing:
                yield close()
                pending.clear()
                index += 1
    if pending:
        yield close()

"""Chooses the times at which a video is sampled. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tempo.errors import UsageError
from tempo.number_checks import (
    FASTEST,
    SLOWEST,
    is_number,
    is_whole,
    shown,
)

from .sampling_options import SamplingMode, check_sampling


@dataclass(frozen=True, eq=False)
class Sampling:
    """The times at which a video is sampled.

    Attributes:
        times: float64 [T], seconds, ascending. At each of them the frame on screen is taken.
        fps: the resulting frames per second; a segment of n frames lasts n / fps seconds.
        at_keyframes: how many of the times were moved to a keyframe; None: that was not asked for.
    """

    times: np.ndarray
    fps: float
    at_keyframes: int | None = None

    def __len__(self) -> int:
        return len(self.times)


def check_options(*, fps: float, max_frames: int, min_frames: int, sampling: SamplingMode) -> None:
    """Raise UsageError for a rate, a count or a mode that can never work."""
    check_sampling(sampling)
    if not (is_number(fps) and SLOWEST <= fps <= FASTEST):
        raise UsageError(
            f"fps must be a positive number of frames per second, from {SLOWEST:g} to {FASTEST:g}, not "
            f"{shown(fps)}; the usual value is 2"
        )
    for name, value in (("max_frames", max_frames), ("min_frames", min_frames)):
        if not is_whole(value, least=1):
            raise UsageError(f"{name} must be a whole number of at least 1, not {shown(value)}")


def part(start: float | None, end: float | None, *, of: tuple[float, float]) -> tuple[float, float]:
    """The part of a video from `start` to `end` that its times `of` (first, last) hold, in seconds.

    Raises:
        UsageError: they are no times, or the video has nothing between them.
    """
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (is_number(value) and value >= 0):
            raise UsageError(f"{name} must be a time in seconds of at least 0, not {shown(value)}")
    first, last = of
    begin = first if start is None else max(first, float(start))
    stop = last if end is None else min(last, float(end))
    if stop <= begin and last > first:
        asked = f"{0 if start is None else start:g} to {last if end is None else end:g} s"
        raise UsageError(
            f"there is no video from {asked}; it has {last:.1f} s, and start must come before end"
        )
    return begin, stop


def at_rate(
    *,
    start: float,
    end: float,
    interval: float,
    frame_count: int | None,
    fps: float,
    max_frames: int,
    min_frames: int,
) -> Sampling:
    """`fps` samples a second from `start` until `end`, at least `min_frames` and at most `max_frames`.

    Beyond either limit the samples are spread evenly from the first frame to the last, as in the
    paper (arXiv 2604.08120). A video of fewer than `min_frames` frames has each of them sampled once.

    Args:
        start: presentation time of the first frame, seconds.
        end: when the last frame leaves the screen, seconds.
        interval: seconds between frames on average; the last frame appears at about `end - interval`.
        frame_count: frames that the video has, when it is known.
    """
    # A container often rounds its duration up by a little: less than half a frame is not another frame.
    margin = min(0.5 * interval, 0.5 / fps)
    count = max(1, math.ceil((end - margin - start) * fps - 1e-9))
    floor = min(min_frames, max_frames, frame_count or min_frames)
    if floor <= count <= max_frames:
        return Sampling(start + np.arange(count, dtype=np.float64) / fps, float(fps))
    count = max_frames if count > max_frames else floor
    return spread(start=start, last=max(start, end - interval), count=count, length=end - start, fps=fps)


def spread(*, start: float, last: float, count: int, length: float, fps: float) -> Sampling:
    """`count` samples evenly from `start` to `last`; a single one stands for `length` seconds."""
    times = np.linspace(start, last, count, dtype=np.float64)
    if count > 1 and last > start:
        return Sampling(times, (count - 1) / (last - start))
    return Sampling(times[:1], 1.0 / length if length > 0 else float(fps))


def at_keyframes(sampling: Sampling, keyframes: np.ndarray, *, start: float, end: float) -> Sampling:
    """Move every sampled time to the nearest keyframe within half a sampling interval, where there is one.

    No keyframe is taken twice, and none outside of the part of the video that is sampled.

    Args:
        keyframes: when they appear, ascending seconds.
        start, end: of that part, seconds.
    """
    keyframes = keyframes[(keyframes >= start) & (keyframes < end)]
    if not len(keyframes) or not len(sampling):
        return replace(sampling, at_keyframes=0)
    after = np.searchsorted(keyframes, sampling.times).clip(0, len(keyframes) - 1)
    before = (after - 1).clip(0)
    distances = [np.abs(keyframes[place] - sampling.times) for place in (before, after)]
    nearest = keyframes[np.where(distances[0] <= distances[1], before, after)]
    moves = np.minimum(*distances) <= 0.5 / sampling.fps
    times = np.where(moves, nearest, sampling.times)
    # A keyframe in the middle between two samples is the first one's.
    taken = np.flatnonzero(np.diff(times, prepend=-math.inf) <= 0)
    times[taken] = sampling.times[taken]
    moves[taken] = False
    return Sampling(times, sampling.fps, at_keyframes=int(moves.sum()))


def every_frame(
    *, frame_count: int, frame_rate: float, max_frames: int, start: float = 0.0, end: float = math.inf
) -> Sampling:
    """Every frame that appears from `start` until `end`, frame i at i / frame_rate seconds; above
    `max_frames` evenly from first to last."""
    first = min(math.ceil(start * frame_rate - 1e-9), frame_count - 1)
    count = max(1, math.ceil(min(frame_count, end * frame_rate) - 1e-9) - first)
    return _thinned((first + np.arange(count, dtype=np.float64)) / frame_rate, frame_rate, max_frames)


def at_given_times(
    times: np.ndarray, *, frame_rate: float, max_frames: int, start: float, end: float
) -> Sampling:
    """The same for frames that appear at times of their own, ascending; `frame_rate` is their average."""
    inside = times[(times >= start) & (times < end)]
    if not len(inside):  # the frame that is on screen then
        inside = times[max(0, int(np.searchsorted(times, start, side="right")) - 1)][None]
    return _thinned(inside, frame_rate, max_frames)


def _thinned(times: np.ndarray, frame_rate: float, max_frames: int) -> Sampling:
    if len(times) <= max_frames:
        return Sampling(times, float(frame_rate))
    kept = times[np.linspace(0, len(times) - 1, max_frames).astype(np.int64)]
    fps = (max_frames - 1) / (kept[-1] - kept[0]) if max_frames > 1 else frame_rate / len(times)
    return Sampling(kept, float(fps))

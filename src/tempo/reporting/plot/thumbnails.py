"""Decodes thumbnails of the strongest moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tempo.errors import TempoError
from tempo.moments import COUNT, Routed, strongest
from tempo.video.video import Sampling, Video

HEIGHT = 108  # pixels in the figure
SHARPNESS = 2  # pixels of the picture for one of the figure
WIDEST = 2.4  # times as wide as high, at most


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """The frame in the middle of segment `index`: uint8 [H, W, 3] in RGB, and the time of it in seconds."""

    index: int
    time: float
    pixels: np.ndarray


def thumbnails(
    video: Video, segments: Sequence[Routed], *, count: int = COUNT, floor: float = 0.0
) -> list[Thumbnail]:
    """Return a frame of each of the COUNT strongest moments, in the order of time.

    Undecodable frames are left out, and moments whose relevance is below FLOOR.
    """
    return [
        found
        for moment in sorted(strongest(segments, count, floor=floor), key=lambda moment: moment.start)
        if (found := thumbnail(video, segments, moment.peak)) is not None
    ]


def thumbnail(video: Video, segments: Sequence[Routed], index: int) -> Thumbnail | None:
    """The frame in the middle of one segment; None where it cannot be decoded."""
    high = HEIGHT * SHARPNESS
    size = (max(1, round(high * min(video.width / video.height, WIDEST))), high)
    try:
        time, pixels = middle_frame(video, segments[index], size=size)
    except TempoError:
        return None
    return Thumbnail(index, time, pixels)


def middle_frame(
    video: Video, segment: Routed, *, size: tuple[int, int] | None = None
) -> tuple[float, np.ndarray]:
    """Decode the frame in the middle of a segment → its time in seconds, and uint8 [H, W, 3] in RGB.

    Args:
        size: (width, height) in pixels; None: as in the video.

    Raises:
        TempoError: it cannot be decoded.
    """
    middle = Sampling(np.array([(segment.start + segment.end) / 2]), 1.0)
    batch = next(video.stream(middle, chunk=1, size=size), None)
    if batch is None:
        raise TempoError(f"{video.path or 'frames'}: nothing can be decoded at {middle.times[0]:.1f} seconds")
    return float(batch.times[0]), batch.frames[0]

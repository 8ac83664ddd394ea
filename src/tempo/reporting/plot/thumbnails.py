"""Decodes thumbnails of the strongest moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tempo.errors import TempoError
from tempo.inference.moments import COUNT, Routed, strongest
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
    segment = segments[index]
    middle = Sampling(np.array([(segment.start + segment.end) / 2]), 1.0)
    high = HEIGHT * SHARPNESS
    size = (max(1, round(high * min(video.width / video.height, WIDEST))), high)
    try:
        batch = next(video.stream(middle, chunk=1, size=size), None)
    except TempoError:
        return None
    return None if batch is None else Thumbnail(index, float(batch.times[0]), batch.frames[0])

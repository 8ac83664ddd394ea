"""Decodes thumbnails of the strongest moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tempo.errors import TempoError
from tempo.moments import COUNT, Routed, frame_time, strongest
from tempo.video.stills import frame_at
from tempo.video.video import Video

HEIGHT = 108  # pixels in the figure
SHARPNESS = 2  # pixels of the picture for one of the figure


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A frame for segment `index`, uint8 [H, W, 3] in RGB, and its time in seconds."""

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
        if (found := thumbnail(video, moment.peak, frame_time(moment, segments))) is not None
    ]


def thumbnail(video: Video, index: int, time: float) -> Thumbnail | None:
    """The frame at TIME seconds, for segment INDEX; None where it cannot be decoded."""
    try:
        return Thumbnail(index, *frame_at(video, time, height=HEIGHT * SHARPNESS))
    except TempoError:
        return None

"""What is to be watched, once everything that `Tempo.watch` was asked for is checked."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

from tempo.console import ProgressOption
from tempo.processing.batching import SegmentRange
from tempo.video.video import Sampling, Video

from .pipeline import Turn


@dataclass(frozen=True)
class WatchRequest:
    """A video and how it is watched.

    Attributes:
        key: names it on disk; "": it is not looked for there.
        sampling: the sampled times of the whole video.
        part: which of its segments; None: all.
        progress, turn, most_together: see :meth:`tempo.Tempo.watch`.
    """

    key: str
    video: Video
    sampling: Sampling
    part: SegmentRange | None = None
    progress: ProgressOption = None
    turn: Turn = nullcontext
    most_together: int | None = None

    def segments(self, segment_frames: int) -> int:
        """How many segments it has where every frame can be decoded."""
        segments = -(-len(self.sampling) // segment_frames)
        return segments if self.part is None else self.part.stop - self.part.start

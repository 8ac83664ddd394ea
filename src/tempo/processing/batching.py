"""From a video's frames to batches of segments that go through the compressor together.

Contiguous segments with equal frames, grid and prompt layout form a batch, so there is no padding and no
mask. Everything up to the patches happens in threads, ahead of the model.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tempo.video.frames import FrameBatch, Size
from tempo.video.prefetch import Background
from tempo.video.segments import Segment, segments_of
from tempo.video.video import Sampling, Video

from .image_processor import Geometry, Grid, patches
from .prompts import Prompts, SegmentPrompt, Spans


@dataclass(frozen=True)
class SegmentSpan:
    """When a segment plays.

    Attributes:
        index: its place in the video, from 0.
        start, end: seconds.
        timestamp: seconds; what the decoder reads before the segment's memory tokens.
    """

    index: int
    start: float
    end: float
    timestamp: float


@dataclass(frozen=True)
class SegmentRange:
    """Consecutive segments of a video that are watched apart from the others, as if by themselves.

    Attributes:
        start, stop: the first one's index, and the index behind the last one.
        from_beginning: decode the file from its first sample on, and leave out what comes before `start`.
            Where samples cannot be decoded, later frames move into earlier segments, and only who counts from
            the beginning knows where a segment begins.
    """

    start: int
    stop: int
    from_beginning: bool = False

    def frames(self, sampling: Sampling, segment_frames: int) -> int:
        """How many of the sampled frames are in it."""
        return max(0, min(len(sampling), self.stop * segment_frames) - self.start * segment_frames)


@dataclass(frozen=True)
class SegmentBatch:
    """Segments of equal layout, ready for the compressor.

    Attributes:
        segments: when each of them plays.
        frames: of all of them together.
        pixels_SPC, grid: normalised patches, and how many there are in time, height and width of one segment.
        ids_SL, spans: the prompts up to the question, and where their visual tokens are.
    """

    segments: tuple[SegmentSpan, ...]
    frames: int
    pixels_SPC: torch.Tensor
    grid: Grid
    ids_SL: torch.Tensor
    spans: Spans


def batches(
    video: Video,
    sampling: Sampling,
    *,
    prompts: Prompts,
    geometry: Geometry,
    segment_frames: int,
    batch_size: int,
    part: SegmentRange | None = None,
) -> Background[SegmentBatch]:
    """The segments of a video in order, at most `batch_size` in a batch.

    Args:
        part: which segments; None: all.
    """

    def produce(stop: threading.Event) -> Iterator[SegmentBatch]:
        size = geometry.stream_size(video.width, video.height, kind=video.kind)
        waiting: list[tuple[Segment, SegmentPrompt]] = []
        for segment in _segments(video, sampling, segment_frames, size, part):
            if stop.is_set():
                return
            prompt = segment_prompt(video, segment, sampling.fps, prompts=prompts, geometry=geometry)
            if waiting:
                first, first_prompt = waiting[0]
                equal = first.frames.shape == segment.frames.shape and first_prompt.layout == prompt.layout
                if not equal or len(waiting) == batch_size:
                    yield _batch(video, waiting, geometry)
                    waiting = []
            waiting.append((segment, prompt))
        if waiting:
            yield _batch(video, waiting, geometry)

    return Background(produce, depth=1, name="tempo-preprocess")


def _segments(
    video: Video, sampling: Sampling, segment_frames: int, size: Size | None, part: SegmentRange | None
) -> Iterator[Segment]:
    fps = sampling.fps
    if part is None or part.from_beginning:
        frames = video.stream(sampling, chunk=segment_frames, size=size)
        for segment in segments_of(frames, segment_frames=segment_frames, fps=fps):
            if part is None or segment.index >= part.start:
                yield segment
            if part is not None and segment.index == part.stop - 1 < (len(sampling) - 1) // segment_frames:
                return
        return
    first = part.start * segment_frames
    # A frame that stays on screen from one sample to the next tells its own time at the first of them alone.
    before = min(first, 1)
    own = Sampling(sampling.times[first - before : part.stop * segment_frames], fps)
    frames = _without_first(video.stream(own, chunk=segment_frames, size=size), before)
    for segment in segments_of(frames, segment_frames=segment_frames, fps=fps):
        yield replace(segment, index=part.start + segment.index)


def _without_first(batches: Iterator[FrameBatch], count: int) -> Iterator[FrameBatch]:
    """The frames of all batches but the first `count`, which are fewer than a batch holds."""
    for batch in batches:
        yield FrameBatch(batch.frames[count:], batch.times[count:])
        count = 0


def segment_prompt(
    video: Video, segment: Segment, fps: float, *, prompts: Prompts, geometry: Geometry
) -> SegmentPrompt:
    """What the compressor reads of a segment. A pair's time is the mean of its frames'; the frame that fills
    up an odd last pair counts as one interval later, as published."""
    count, height, width, _ = segment.frames.shape
    pair = geometry.frames_per_patch
    times = [*segment.times, *(segment.times[-1] + (i + 1) / fps for i in range(-count % pair))]
    means = np.asarray(times).reshape(-1, pair).mean(axis=1)
    _, h, w = geometry.grid(count, width, height, kind=video.kind)
    return prompts.segment(means.tolist(), tokens=h * w // geometry.merge_size**2, kind=video.kind)


def _batch(
    video: Video, waiting: Sequence[tuple[Segment, SegmentPrompt]], geometry: Geometry
) -> SegmentBatch:
    frames_STHWC = np.stack([segment.frames for segment, _ in waiting])
    pixels_SPC, grid = patches(frames_STHWC, geometry, kind=video.kind)
    return SegmentBatch(
        segments=tuple(SegmentSpan(s.index, s.start, s.end, s.timestamp) for s, _ in waiting),
        frames=sum(len(segment.frames) for segment, _ in waiting),
        pixels_SPC=pixels_SPC,
        grid=grid,
        ids_SL=torch.tensor([prompt.ids for _, prompt in waiting]),
        spans=waiting[0][1].spans,
    )

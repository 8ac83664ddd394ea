"""Batches of frames with their times, damage reports, and the protocol of every source of frames.

A source is a video file, a folder of images, an animated or still image, or an array. It knows its duration
and size and returns the frames at given times; :class:`.video.Video` does everything else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

TOUCHING = 2e-3  # seconds; lost spans no further apart are joined, because clocks round

Size = tuple[int, int]
"""(width, height) in pixels of the upright picture, as in Pillow."""


@dataclass(frozen=True, eq=False, repr=False)
class FrameBatch:
    """Consecutive frames with their presentation times.

    Attributes:
        frames: uint8 [T, H, W, 3], RGB, C-contiguous.
        times: float64 [T], seconds from the start of the video, in ascending order.
    """

    frames: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or self.frames.shape[-1] != 3:
            raise ValueError(
                f"frames must be uint8 [T, H, W, 3], not {self.frames.dtype} {self.frames.shape}"
            )
        if not self.frames.flags.c_contiguous:
            raise ValueError("frames must be C-contiguous")
        if self.times.dtype != np.float64 or self.times.shape != self.frames.shape[:1]:
            raise ValueError(
                f"times must be float64 [{self.frames.shape[0]}], not {self.times.dtype} {self.times.shape}"
            )
        if not np.isfinite(self.times).all() or (np.diff(self.times) < 0).any():
            raise ValueError("times must be finite and must not fall")

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        span = f"{self.times[0]:.3f}-{self.times[-1]:.3f} s" if len(self) else "empty"
        return f"FrameBatch(frames=uint8{list(self.frames.shape)}, times={span})"


class SampledFrame(NamedTuple):
    """The frame on screen at one of the sampled times."""

    sample_index: int  # into the times that were asked for
    frame: np.ndarray  # uint8 [H, W, 3] RGB; may be the same array as the one before
    time: float  # presentation time in seconds


CUT_SHORT = "the file is cut short"
UNREADABLE = "the container is damaged"
UNDECODABLE = "pictures are damaged"
NOT_FOUND = "no picture was found"


@dataclass(frozen=True)
class Damage:
    """What could not be decoded while a video was watched. False when nothing was lost.

    Attributes:
        seconds: how much of the video was lost. Parts without a sample are not decoded and not checked.
        moments: how many samples were lost with it.
        spans: (start, end) in seconds of every lost part, ascending.
        reasons: why, for every span.
    """

    seconds: float = 0.0
    moments: int = 0
    spans: tuple[tuple[float, float], ...] = ()
    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.spans)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Damage:
        """The inverse of :func:`dataclasses.asdict`, also after a round trip through JSON."""
        spans = tuple((float(start), float(end)) for start, end in values["spans"])
        reasons = tuple(str(reason) for reason in values["reasons"])
        return cls(float(values["seconds"]), int(values["moments"]), spans, reasons)


class Losses:
    """Collects the lost spans of a video while it is decoded, in any order."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float, str]] = []

    def add(self, start: float, end: float, reason: str) -> None:
        """Record that the video is lost from `start` to `end` (seconds), and why."""
        if self._spans:
            before = self._spans[-1]
            if before[2] == reason and -TOUCHING < start - before[1] < TOUCHING:
                start = self._spans.pop()[0]
        self._spans.append((start, end, reason))

    def explain(self, reason: str, *, after: float) -> None:
        """Replace the reason of every loss that ends after a time (seconds)."""
        self._spans = [(start, end, reason if end > after else why) for start, end, why in self._spans]

    def cover(self, times: Iterable[float], *, length: float) -> None:
        """Make sure that every one of the lost samples at `times` (seconds) lies in a lost span.

        A sample that lies in none adds one of `length` seconds.
        """
        spans = [(start, end) for start, end, _ in self._spans]
        for time in times:
            if not any(start - TOUCHING < time < end + TOUCHING for start, end in spans):
                self.add(time, time + length, NOT_FOUND)

    def damage(self, *, moments: int) -> Damage:
        """The sum of all losses; `moments`: how many samples have no frame."""
        spans: list[tuple[float, float, list[str]]] = []
        for start, end, reason in sorted(self._spans):
            if spans and start < spans[-1][1] + TOUCHING:
                first, last, reasons = spans[-1]
                spans[-1] = (first, max(end, last), reasons if reason in reasons else [*reasons, reason])
            else:
                spans.append((start, end, [reason]))
        return Damage(
            seconds=sum(end - start for start, end, _ in spans),
            moments=moments if spans else 0,
            spans=tuple((start, end) for start, end, _ in spans),
            reasons=tuple("; ".join(reasons) for *_, reasons in spans),
        )


class FrameSource(Protocol):
    """Anything that has frames: a video file, a folder of images, an image, an array."""

    kind: Literal["video", "image"]
    size: Size
    start: float  # presentation time of the first frame
    end: float  # time at which the last frame leaves the screen
    frame_rate: float | None  # frames per second on average
    frame_count: int | None  # None: not known, nor to be estimated
    resample: Literal["any", "thin", "never"]
    """What a requested frame rate does: "any" samples at it, "thin" samples at most at its own rate, "never"
    takes every frame as it is."""

    def fingerprint(self) -> str:
        """Hexadecimal hash of the content."""
        ...

    def frames_at(
        self,
        times: np.ndarray,
        *,
        size: Size | None,
        stop: threading.Event,
        losses: Losses,
    ) -> Iterator[SampledFrame]:
        """Yield the frame on screen at each of `times` (float64, ascending seconds).

        That is the last frame that appears at or before the time, or the first frame if there is none.
        Samples that cannot be decoded are left out and recorded in `losses`. Ends early once `stop` is set.
        """
        ...

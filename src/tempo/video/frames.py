"""Frames with their times, and what every source of frames has to offer.

A *source* is a file, a folder of images, an animated or still image, or an array. Whatever it is, it says how
long and how large it is and picks frames at given moments; :class:`.video.Video` does everything else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

TOUCHING = 2e-3  # seconds; spans as close as this are one (clocks round)

Size = tuple[int, int]
"""(width, height) in pixels of the upright picture."""


@dataclass(frozen=True, eq=False, repr=False)
class FrameBatch:
    """Frames that follow one another, with the time at which each one is on screen.

    Attributes:
        frames: uint8 [T, H, W, 3], RGB, C-contiguous.
        times: float64 [T], seconds from the start of the video, never falling.
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


class Picked(NamedTuple):
    """One frame as a source hands it over."""

    moment: int  # index into the moments that were asked for
    frame: np.ndarray  # uint8 [H, W, 3]; may be the same object as the one before
    time: float  # presentation time in seconds


CUT_SHORT = "the file is cut short"
UNREADABLE = "the container is damaged"
UNDECODABLE = "pictures are damaged"
NOT_FOUND = "no picture was found"


@dataclass(frozen=True)
class Damage:
    """What could not be shown while frames were being picked. False when nothing was lost.

    Attributes:
        seconds: how much of the video's time was lost (stretches that were skipped over because no sampled
            moment lies in them are not looked at).
        moments: how many sampled moments were lost with it.
        spans: (start, end) in seconds of every lost stretch, ascending.
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
        """Take back what :func:`dataclasses.asdict` gave, also by way of JSON."""
        spans = tuple((float(start), float(end)) for start, end in values["spans"])
        reasons = tuple(str(reason) for reason in values["reasons"])
        return cls(float(values["seconds"]), int(values["moments"]), spans, reasons)


class Losses:
    """Collects lost spans while they are found, in any order."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float, str]] = []

    def add(self, start: float, end: float, reason: str) -> None:
        """Note that nothing between `start` and `end` (seconds) can be shown, and why."""
        if self._spans:
            before = self._spans[-1]
            if before[2] == reason and -TOUCHING < start - before[1] < TOUCHING:
                start = self._spans.pop()[0]
        self._spans.append((start, end, reason))

    def explain(self, reason: str, *, after: float) -> None:
        """Give one reason for all that is lost after a time (seconds), whatever was found for it."""
        self._spans = [(start, end, reason if end > after else why) for start, end, why in self._spans]

    def cover(self, times: Iterable[float], *, length: float) -> None:
        """Make sure that every one of the lost moments `times` (seconds) lies in a lost span.

        A moment that lies in none stands for `length` seconds.
        """
        spans = [(start, end) for start, end, _ in self._spans]
        for time in times:
            if not any(start - TOUCHING < time < end + TOUCHING for start, end in spans):
                self.add(time, time + length, NOT_FOUND)

    def damage(self, *, moments: int) -> Damage:
        """What it all comes to; `moments`: how many sampled moments have no frame."""
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


class Source(Protocol):
    """Where frames come from."""

    kind: Literal["video", "image"]
    size: Size
    start: float  # presentation time of the first frame
    end: float  # time at which the last frame leaves the screen
    frame_rate: float | None  # frames per second on average
    frame_count: int | None  # None: not known, nor to be estimated
    resample: Literal["any", "thin", "never"]
    """Whether a moment may be asked for at any rate ("any"), at no more than the frame rate ("thin"), or
    every frame is watched as it is whatever rate is asked for ("never")."""

    def fingerprint(self) -> str:
        """Hexadecimal hash of the content."""
        ...

    def pick(
        self,
        times: np.ndarray,
        *,
        size: Size | None,
        stop: threading.Event,
        losses: Losses,
    ) -> Iterator[Picked]:
        """The frame on screen at each of `times` (float64, ascending seconds): the last one that appears at
        or before it, the first frame if there is none. Moments that cannot be decoded are left out, and the
        undecodable spans added to `losses`. Ends early once `stop` is set."""
        ...

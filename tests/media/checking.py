"""Watch a recording of the corpus and hold what comes out to the truth."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np

import clips
from tempo.video.decoding import packet_reader, parallel
from tempo.video.video import Sampling, Video

from .cases import Case

RATE, FEW = 4.9, 7  # frames a second (seldom on the verge of two pictures), frames
WAYS = ("dense", "sparse", "seeking")
"""Many moments, which has everything decoded; a few; a few that are sought even where that costs more."""


@dataclass
class Seen:
    """What came of one sampling.

    Attributes:
        wanted, shown, lost: moments asked for, shown, and counted as lost.
        wrong: shown moments whose picture or time is not the right one.
        faults: what is wrong, in words; empty when all is right.
    """

    wanted: int = 0
    shown: int = 0
    lost: int = 0
    wrong: int = 0
    faults: list[str] = field(default_factory=list)


def watch(case: Case, path: Path, way: str) -> Seen:
    """Sample in one of the WAYS, and compare."""
    seen = Seen()
    video = Video.open(path)
    if (video.width, video.height) != case.size:
        seen.faults.append(f"measures {video.width}x{video.height}, not {case.size[0]}x{case.size[1]}")
    sampling = video.sample(fps=RATE) if way == "dense" else video.sample(fps=RATE, max_frames=FEW)
    with patch.object(packet_reader, "SEEK_BYTES", 1) if way == "seeking" else nullcontext():
        frames, times = _frames(video, sampling)
    seen.wanted, seen.shown, seen.lost = len(sampling), len(frames), video.damage.moments
    low, high = case.ends
    if not low <= video.duration <= high and not (case.may_lose and video.damage):
        seen.faults.append(f"ends at {video.duration:.3f} s, not within {low:.3f} to {high:.3f}")
    _check_losses(case, video, seen)
    first = sampling.times[0]
    if abs(first - case.shown[0][0]) > case.within:
        seen.faults.append(f"begins at {first:.3f} s, not {case.shown[0][0]:.3f}")
    _compare(case, frames, times, sampling.times, seen)
    return seen


def differs_with_several_decoders(path: Path) -> list[str]:
    """How the frames of several decoders, cut at every keyframe, differ from those of one: not at all."""
    one, several = Video.open(path), Video.open(path)
    one.decode_workers, several.decode_workers = 1, 3
    sampling = one.sample(fps=RATE)
    with patch.object(parallel, "GROUP_PACKETS", 1):
        frames, times = _frames(several, sampling)
    expected, presented = _frames(one, sampling)
    faults = []
    if times != presented:
        faults.append(f"several decoders give {len(times)} other times")
    elif any((got != right).any() for got, right in zip(frames, expected, strict=True)):
        faults.append("several decoders give other frames")
    if several.damage != one.damage:
        faults.append(f"several decoders lose {several.damage}, one {one.damage}")
    return faults


def _frames(video: Video, sampling: Sampling) -> tuple[list[np.ndarray], list[float]]:
    frames: list[np.ndarray] = []
    times: list[float] = []
    for batch in video.stream(sampling, chunk=8):
        frames += list(batch.frames)
        times += batch.times.tolist()
    return frames, times


def _check_losses(case: Case, video: Video, seen: Seen) -> None:
    if seen.shown + seen.lost != seen.wanted:
        seen.faults.append(f"{seen.wanted} moments, of which {seen.shown} are shown and {seen.lost} lost")
    if seen.shown < seen.wanted and not video.damage:
        seen.faults.append("moments are lost in silence")
    if len(video.damage.reasons) != len(video.damage.spans):
        seen.faults.append("damage without a reason")
    if video.damage and not case.may_lose:
        seen.faults.append(f"called damaged, {video.damage.seconds:.2f} s: {video.damage.spans[:3]}")


def _compare(
    case: Case, frames: list[np.ndarray], times: list[float], moments: np.ndarray, seen: Seen
) -> None:
    """Match what was shown with the moments asked for, and look at each picture."""
    presented = [time for time, _ in case.shown]
    # Where moments are missing nobody says which: there, a picture is held to the time that it comes with.
    asked = moments if len(frames) == len(moments) else np.array(times)
    previous = -1
    for frame, time, moment in zip(frames, times, asked.tolist(), strict=True):
        first, last = (
            max(0, bisect_right(presented, moment + off) - 1) for off in (-case.within, case.within)
        )
        right = range(first, last + 1)
        got = _index(frame)
        place = next((place for place in right if case.shown[place][1] == got), None)
        if place is None:
            numbers = sorted(case.shown[place][1] for place in right)
            _wrong(seen, f"at {moment:.3f} s picture {got}, not {numbers}")
            continue
        own = presented[place] if place > previous else moment
        # A picture that is shown before it appears stands in for what comes before it.
        if abs(time - own) > case.within and abs(time - max(own, moment)) > case.within:
            _wrong(seen, f"picture {got} for {moment:.3f} s is said to appear at {time:.3f} s, not {own:.3f}")
        previous = max(previous, place)


def _wrong(seen: Seen, fault: str) -> None:
    seen.wrong += 1
    if seen.wrong <= 3:
        seen.faults.append(fault)


def _index(frame: np.ndarray) -> int | str:
    try:
        return clips.index_of(frame)
    except AssertionError as error:
        return str(error)

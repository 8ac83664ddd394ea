"""Pieces of recordings: trimmed without coding them anew, received from the middle on, or still growing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from . import headers, mp4
from .cases import Case, case
from .recording import H264, WITH_B_FRAMES, Sound, Video, ffmpeg, write, written_then
from .shapes import steady

TEN = steady(10)
OPEN = Video(options={"bf": "3", "g": "24", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"})
HEVC = Video(
    "libx265",
    {"x265-params": "log-level=none:pools=1:keyint=24:min-keyint=24:bframes=4:open-gop=1:scenecut=0"},
)


def cuts() -> list[Case]:
    return [*_trimmed(), *_partial()]


def _trimmed() -> Iterator[Case]:
    for name, video in (("closed", WITH_B_FRAMES), ("open", OPEN), ("hevc", HEVC)):
        for suffix in ("mp4", "mov", "mkv", "ts"):
            for sound in (True, False):
                # Without its parameter sets, which the keyframes of open groups do not bring along in a
                # transport stream, nobody can decode it; and Matroska begins with whatever sound there is.
                if (suffix == "ts" and name == "open") or (suffix in ("mkv", "ts") and sound):
                    continue
                # An edit list hides what precedes the cut; other containers show it from the keyframe on.
                first = 39 if suffix in ("mp4", "mov") else 24
                yield case(
                    f"trimmed-{name}{'' if sound else '-mute'}.{suffix}",
                    partial(_trim, video, sound),
                    shown=tuple((time - first / 12, index) for time, index in TEN.shown[first:]),
                    end=10 - first / 12,
                    interval=1 / 12,
                )


def _trim(video: Video, sound: bool, path: Path) -> None:
    source = write(path.with_name(f"{path.name}.source.mkv"), TEN, video, sound=Sound(0, 10))
    without = () if sound else ("-an",)
    ffmpeg("-ss", "3.25", "-i", str(source), "-c", "copy", *without, str(path))


def _partial() -> Iterator[Case]:
    # A broadcast that is received from picture 30 on; the next one that stands alone is number 48.
    received = tuple((time - 30 / 12, index) for time, index in TEN.shown[48:])
    for sound in (None, Sound(0, 10)):
        yield case(
            f"received-from-the-middle{'' if sound else '-mute'}.ts",
            partial(written_then, TEN, H264, partial(headers.cut_before, pts=30 * 7500), sound=sound),
            shown=received,
            end=7.5,
            interval=1 / 12,
            within=0.15,
            may_lose=True,
        )
    # A recording that goes on: as much of it is whole as has been written in fragments.
    fragments = {"movflags": "frag_keyframe+delay_moov"}
    for sound in (None, Sound(0, 10)):
        yield case(
            f"growing{'' if sound else '-mute'}.mp4",
            partial(_growing, fragments, sound),
            shown=TEN.shown[:48],
            end=(3.95, 4.3),
            interval=1 / 12,
        )


def _growing(muxing: dict[str, str], sound: Sound | None, path: Path) -> None:
    write(path, TEN, H264, sound=sound, muxing=muxing)
    mp4.keep_fragments(path, 2)

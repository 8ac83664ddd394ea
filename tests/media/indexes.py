"""Headers that lie about the length, and edit lists."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from . import headers, mp4
from .cases import Case, case
from .recording import H264, WITH_B_FRAMES, Sound, Video, write, written_then
from .shapes import steady

TEN = steady(10)
MPEG4_PLAIN = Video("mpeg4")


def indexes() -> list[Case]:
    return [*lying_headers(), *edits()]


def lying_headers() -> list[Case]:
    """A length of a millisecond, or of ten hours, over ten seconds of pictures."""
    cases = []
    for word, seconds in (("short", 0.001), ("long", 36_000.0)):
        frames = max(1, int(seconds * 12))
        for suffix, video, change in (
            ("mp4", WITH_B_FRAMES, partial(mp4.set_durations, seconds=seconds)),
            ("mkv", H264, partial(headers.set_matroska_duration, seconds=seconds)),
            ("webm", Video("libvpx"), partial(headers.set_matroska_duration, seconds=seconds)),
            ("avi", MPEG4_PLAIN, partial(headers.set_avi_frames, count=frames)),
            ("flv", H264, partial(headers.set_flv_duration, seconds=seconds)),
            ("wmv", Video("wmv2"), partial(headers.set_asf_duration, seconds=seconds)),
        ):
            for sound in (None, Sound(0, 10)):
                name = f"header-too-{word}{'' if sound else '-mute'}.{suffix}"
                cases.append(case(name, partial(written_then, TEN, video, change, sound=sound), TEN))
    return cases


def edits() -> list[Case]:
    """Edit lists, as a player shows them."""
    shown = TEN.shown
    late = tuple((time + 2, index) for time, index in shown)
    # Hidden pictures at the front: the edit begins at picture 30.
    cut = tuple((time - 2.5, index) for time, index in shown if index >= 30)
    # Seconds 1-3, then 6-8.
    two = tuple((time - 1, index) for time, index in shown if 12 <= index < 36)
    two += tuple((time - 4, index) for time, index in shown if 72 <= index < 96)
    cases = []
    for name, video, sound in (
        ("", H264, None),
        ("-b-frames", WITH_B_FRAMES, None),
        ("-sound", WITH_B_FRAMES, Sound(0, 12)),
    ):
        # FFmpeg begins a second part early by the time that its B-frames wait, and one more.
        seam = 1.5e-3 if video is H264 else 0.26
        cases += [
            case(
                f"edit-empty-first{name}.mp4",
                partial(_edited, video, sound, [(2, None), (10, 0)]),
                # Time 0 is where the first stream begins. Without sound that is where the pictures do.
                shown=late if sound else shown,
                end=12.0 if sound else 10.0,
                interval=1 / 12,
            ),
            case(
                f"edit-front-hidden{name}.mp4",
                partial(_edited, video, sound, [(7.5, 2.5)]),
                shown=cut,
                end=7.5 if not sound else (7.4, 12.1),
                interval=1 / 12,
            ),
            case(
                f"edit-two-parts{name}.mp4",
                partial(_edited, video, sound, [(2, 1), (2, 6)]),
                shown=two,
                end=4.0 if not sound else (3.9, 12.1),
                interval=1 / 12,
                within=seam,
            ),
        ]
        cases.append(
            case(
                f"edit-empty-then-two{name}.mp4",
                partial(_edited, video, sound, [(1, None), (2, 1), (2, 6)]),
                shown=tuple((time + 1, index) for time, index in two) if sound else two,
                end=(4.9, 12.1) if sound else 4.0,
                interval=1 / 12,
                within=seam,
            )
        )
    quicktime = partial(_edited, WITH_B_FRAMES, Sound(0, 12), [(2, None), (10, 0)])
    cases.append(case("edit-empty-first.mov", quicktime, shown=late, end=12.0, interval=1 / 12))
    return cases


def _edited(video: Video, sound: Sound | None, entries: list[tuple[float, float | None]], path: Path) -> None:
    write(path, TEN, video, sound=sound)
    delay = mp4.first_presentation(path)
    mp4.set_edits(path, [(length, None if at is None else at + delay) for length, at in entries])

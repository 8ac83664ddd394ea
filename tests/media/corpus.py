"""All recordings of the corpus."""

from __future__ import annotations

from functools import cache

from .cases import Case
from .clocks import clocks
from .formats import formats
from .indexes import indexes
from .structures import structures

UNMENDED = {
    "xvid-b-frames.avi",
    "joined-x264-mute.flv",
    "edit-empty-then-two.mp4",
    "edit-two-parts-b-frames.mp4",
    "edit-empty-then-two-b-frames.mp4",
    "edit-two-parts-sound.mp4",
    "edit-empty-then-two-sound.mp4",
    "x264.mpg",
    "vvenc.mkv",
    "vvenc.ts",
    "mpeg2video.nut",
    "sound-first.wmv",
}
"""Cases that come out wrong and are known to. Remove the ones that you mend."""


@cache
def corpus() -> dict[str, Case]:
    """Every case by its name."""
    cases = [*clocks(), *indexes(), *formats(), *structures()]
    named = {case.name: case for case in cases}
    assert len(named) == len(cases), "two cases of one name"
    return named

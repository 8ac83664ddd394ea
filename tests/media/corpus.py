"""All recordings of the corpus."""

from __future__ import annotations

from functools import cache

from .cases import Case
from .clocks import clocks

UNMENDED = {
    "fragments-quarter.mp4",
    "chunks-quarter.mov",
    "chunks-muxer.mp4",
    "still.avi",
    "still.wmv",
    "still.flv",
    "still.ts",
    "still-b-frames.flv",
    "still-b-frames.ts",
    "still-b-frames.mov",
    "still-b-frames.mp4",
    "still.ogv",
    "still-short-header.mkv",
    "still-short-header.mp4",
    "still-short-header.avi",
    "still-short-header.flv",
    "h264-b-frames.avi",
    "h264-b-frames-sound.avi",
    "h264-b-pyramid.avi",
    "mpeg4-b-frames.avi",
    "mpeg4-b-frames-sound.avi",
    "xvid-b-frames.avi",
    "xvid-packed-b-frames.avi",
    "joined-x264-mute.ts",
    "joined-x264.ts",
    "joined-x264-b-frames.ts",
    "joined-mpeg2video.ts",
    "joined-mpeg2video.vob",
    "joined-mpeg1video.mpg",
    "joined-x264.flv",
    "joined-x264-mute.flv",
    "jump-ahead.ts",
    "jump-back.ts",
    "jump-ahead.flv",
    "jump-back.flv",
    "long-sound.flv",
    "long-sound.wmv",
    "long-sound.ts",
    "long-sound.ogv",
    "one-picture.mkv",
    "one-picture.flv",
    "one-picture.wmv",
    "one-picture.ts",
    "header-too-short-mute.mp4",
    "header-too-short.mp4",
    "header-too-short-mute.mkv",
    "header-too-short.mkv",
    "header-too-short-mute.webm",
    "header-too-short.webm",
    "header-too-short-mute.avi",
    "header-too-short.avi",
    "header-too-short-mute.flv",
    "header-too-short.flv",
    "header-too-short-mute.wmv",
    "header-too-short.wmv",
    "header-too-long-mute.mkv",
    "header-too-long.mkv",
    "header-too-long-mute.webm",
    "header-too-long.webm",
    "header-too-long-mute.avi",
    "header-too-long.avi",
    "header-too-long-mute.flv",
    "header-too-long.flv",
    "header-too-long-mute.wmv",
    "header-too-long.wmv",
    "edit-empty-then-two.mp4",
    "edit-two-parts-b-frames.mp4",
    "edit-empty-then-two-b-frames.mp4",
    "edit-two-parts-sound.mp4",
    "edit-empty-then-two-sound.mp4",
    "program-mpeg1-mute.mpg",
    "program-mpeg1.mpg",
    "program-mpeg1-b-frames-mute.mpg",
    "program-mpeg1-b-frames.mpg",
    "program-mpeg2-mute.mpg",
    "program-mpeg2.mpg",
    "program-mpeg2-b-frames.mpg",
    "program-mpeg2-mute.vob",
    "program-mpeg2.vob",
    "program-mpeg2-b-frames-mute.vob",
    "program-mpeg2-b-frames.vob",
}
"""Cases that come out wrong and are known to. Remove the ones that you mend."""


@cache
def corpus() -> dict[str, Case]:
    """Every case by its name."""
    cases = clocks()
    named = {case.name: case for case in cases}
    assert len(named) == len(cases), "two cases of one name"
    return named

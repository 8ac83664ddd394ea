"""Writes moments as SubRip subtitles, which players show over the video while a moment lasts."""

from __future__ import annotations

from collections.abc import Sequence

from tempo.formatting import printable
from tempo.moments import Moment

# Players take what stands between angle brackets for styling, and an arrow for the line with the times.
_HARMLESS = str.maketrans({"<": "‹", ">": "›"})


def to_srt(moments: Sequence[Moment], text: str) -> str:
    """Return one cue for each of MOMENTS, given the most relevant first, in the order of time.

    A cue shows TEXT and the moment's rank and relevance.
    """
    ranks = {moment: rank for rank, moment in enumerate(moments, 1)}
    shown = " ".join(printable(text).translate(_HARMLESS).split())
    cues = []
    for number, moment in enumerate(sorted(ranks, key=lambda moment: moment.start), 1):
        lines = [
            str(number),
            f"{_stamp(moment.start)} --> {_stamp(moment.end)}",
            *([shown] if shown else []),
            f"moment {ranks[moment]} of {len(moments)}, relevance {moment.relevance:.2f}",
        ]
        cues.append("\n".join(lines) + "\n")
    return "\n".join(cues)


def _stamp(seconds: float) -> str:
    """SECONDS as ``hh:mm:ss,mmm``."""
    milliseconds = round(max(seconds, 0.0) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d},{rest % 1000:03d}"

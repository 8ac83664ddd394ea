"""Times that an answer speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator

# 1:02:03 or 4:05, optionally with a fraction; or a number of seconds.
_TIME = re.compile(
    r"(?<![\w:.])(?:(?:(?P<hours>\d{1,2}):(?P<hour_minutes>[0-5]\d)|(?P<minutes>\d{1,3})):(?P<rest>[0-5]\d(?:\.\d+)?)"
    r"|(?P<seconds>\d+(?:\.\d+)?)\s?(?:s|secs?|seconds?))(?![\w:])"
)


def split(text: str, *, duration: float) -> Iterator[tuple[str, float | None]]:
    """Cut TEXT into pieces, each with the seconds that it names; None for what is between.

    A time after the end of the video is none.
    """
    at = 0
    for match in _TIME.finditer(text):
        seconds = _seconds(match)
        if seconds > duration:
            continue
        if match.start() > at:
            yield text[at : match.start()], None
        yield match[0], seconds
        at = match.end()
    if at < len(text):
        yield text[at:], None


def _seconds(match: re.Match[str]) -> float:
    if match["seconds"]:
        return float(match["seconds"])
    if match["hours"]:
        return int(match["hours"]) * 3600 + int(match["hour_minutes"]) * 60 + float(match["rest"])
    return int(match["minutes"]) * 60 + float(match["rest"])

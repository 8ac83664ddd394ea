"""Find the times in an answer, so that the page can link them to the player."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tempo.inference.timestamps import with_clock_times

# 1:02:03 or 4:05.
_CLOCK = re.compile(
    r"(?<![\w:.])(?:(?P<hours>\d{1,2}):(?=[0-5]\d:))?(?P<minutes>\d{1,3}):(?P<rest>[0-5]\d)(?![\w:])"
)


def split(text: str, *, duration: float) -> Iterator[tuple[str, float | None]]:
    """Split TEXT into (piece, seconds): a time in clock form with its seconds, any other piece with None.

    A time after the end of the video counts as text.
    """
    text = with_clock_times(text)
    at = 0
    for match in _CLOCK.finditer(text):
        seconds = int(match["hours"] or 0) * 3600 + int(match["minutes"]) * 60 + int(match["rest"])
        if seconds > duration:
            continue
        if match.start() > at:
            yield text[at : match.start()], None
        yield match[0], float(seconds)
        at = match.end()
    if at < len(text):
        yield text[at:], None

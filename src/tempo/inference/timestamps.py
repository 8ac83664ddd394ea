"""Times in an answer: models write seconds (``at 284.0 seconds``), people read clocks (``at 04:44``)."""

from __future__ import annotations

import re

from tempo.formatting import clock

_NUMBER = r"\d+(?:\.\d+)?"
_UNIT = r"(?:seconds?|secs?|s)\b"
_MOMENT = (
    r"(?:(?P<hours{0}>\d+)\s*(?:hours?|h)\b,?\s*(?:and\s+)?)?"
    r"(?:(?P<minutes{0}>\d+)\s*(?:minutes?|mins?|min|m)\b,?\s*(?:and\s+)?)?"
    r"(?P<seconds{0}>" + _NUMBER + r")"
)
_RANGE = r"(?P<joint>\s*[-–]\s*|\s+(?:to|and|until)\s+)"
# What stands around a length of time, which is no moment: "for 5 seconds", "5 seconds later".
_LENGTH_BEFORE = re.compile(
    r"\b(?:for|lasts?|lasted|lasting|takes?|took|taking|within|every|first|last|next|than|of|over)\s+"
    r"(?:(?:about|around|only|roughly|just|approximately|another|nearly|almost)\s+)?$",
    re.IGNORECASE,
)
_LENGTH_AFTER = re.compile(r"\s+(?:long|later|earlier|apart|after|before|per|each)\b", re.IGNORECASE)
_TIME = re.compile(
    rf"(?<![\w.:]){_MOMENT.format(1)}(?:\s*{_UNIT})?{_RANGE}{_MOMENT.format(2)}\s*{_UNIT}"
    rf"|(?<![\w.:]){_MOMENT.format(3)}\s*{_UNIT}",
    re.IGNORECASE,
)
# What a time could still grow out of at the end of a text, with the word that may follow it.
_UNFINISHED = re.compile(
    r"(?<![\w.:])\d+(?:\.\d*)?"  # the first number, then at most a few words and numbers of a time
    r"(?:\s*(?:[-–,]|(?:hours?|h|minutes?|mins?|m|seconds?|secs?|s|and|to|until|\d+(?:\.\d*)?)(?!\w)))*"
    r"\s*[A-Za-z]*$",
    re.IGNORECASE,
)
_LONGEST = 80  # characters of a time, at most
_BEFORE = 40  # characters before a time that decide whether it is a length


def with_clock_times(text: str) -> str:
    """Return TEXT with every moment given in seconds as mm:ss; lengths of time stay as they are."""
    return _TIME.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - _BEFORE) : found.start()]
    if _LENGTH_BEFORE.search(before) or _LENGTH_AFTER.match(found.string, found.end()):
        return found[0]
    if found["seconds3"] is not None:
        return clock(_seconds(found, 3))
    return clock(_seconds(found, 1)) + found["joint"] + clock(_seconds(found, 2))


def _seconds(found: re.Match[str], which: int) -> float:
    hours, minutes = (int(found[f"{unit}{which}"] or 0) for unit in ("hours", "minutes"))
    return 3600 * hours + 60 * minutes + float(found[f"seconds{which}"])


class ClockTimes:
    """:func:`with_clock_times` for a text that comes in pieces. What may yet become a time is held back."""

    def __init__(self) -> None:
        self._text = ""
        self._shown = 0  # characters of the converted text that are out

    def add(self, piece: str) -> str:
        """Take a PIECE in and return what can be shown by now."""
        self._text += piece
        held = _UNFINISHED.search(self._text, max(0, len(self._text) - _LONGEST))
        return self._show(self._text[: held.start()] if held else self._text)

    def close(self) -> str:
        """Return what was held back, once the text is whole."""
        return self._show(self._text)

    def _show(self, text: str) -> str:
        converted = with_clock_times(text)
        out, self._shown = converted[self._shown :], max(self._shown, len(converted))
        return out

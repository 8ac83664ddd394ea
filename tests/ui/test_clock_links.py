"""Times that an answer speaks of become places to go to."""

import pytest

from tempo.ui.clock_links import split


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at 12.5 seconds", [("00:12", 12)]),
        ("from 0:07 to 1:02:03.", [("0:07", 7), ("1:02:03", 3723)]),
        ("from 284 to 288 seconds", [("04:44", 284), ("04:48", 288)]),
        ("<3.5 seconds> then 04:59", [("00:03", 3), ("04:59", 299)]),
        ("75:10 into it", [("75:10", 4510)]),
        ("for 5 seconds; 3 circles, ratio 16:9, 5 stars, 12:75", []),
        ("at 99999 seconds", []),
        ("", []),
    ],
)
def test_split(text, found):
    pieces = list(split(text, duration=10_000))
    assert [(piece, seconds) for piece, seconds in pieces if seconds is not None] == found


def test_nothing_is_lost():
    text = "It is <red>, from 0:07 to 0:09; 16:9."
    assert "".join(piece for piece, _ in split(text, duration=60)) == text
    assert [piece for piece, seconds in split(text, duration=8) if seconds is not None] == ["0:07"]

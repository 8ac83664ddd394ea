"""Times that an answer speaks of become places to go to."""

import pytest

from tempo.ui.times import split


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at 12.5 seconds", [("12.5 seconds", 12.5)]),
        ("from 0:07 to 1:02:03.5.", [("0:07", 7), ("1:02:03.5", 3723.5)]),
        ("90s, 1 sec and 2 secs", [("90s", 90), ("1 sec", 1), ("2 secs", 2)]),
        ("<3.5 seconds> then 04:59", [("3.5 seconds", 3.5), ("04:59", 299)]),
        ("75:10 into it", [("75:10", 4510)]),
        ("3 circles, ratio 16:9, v1.2s3, 5 stars, 12:75", []),
        ("at 99999 seconds", []),
        ("", []),
    ],
)
def test_split(text, found):
    pieces = list(split(text, duration=10_000))
    assert "".join(piece for piece, _ in pieces) == text
    assert [(piece, seconds) for piece, seconds in pieces if seconds is not None] == found

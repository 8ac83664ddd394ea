"""What the terminal shows is a true picture of the numbers."""

from dataclasses import dataclass

import pytest

from tempo.cli.render import HEIGHTS, axis, chart, meter, moments
from tempo.formatting import clock, clock_span, printable


@dataclass
class Piece:
    start: float
    end: float
    relevance: float
    tokens: int


def pieces(tokens, relevance=None, seconds=4.0):
    relevance = relevance or [0.1] * len(tokens)
    return [
        Piece(seconds * i, seconds * (i + 1), r, t)
        for i, (t, r) in enumerate(zip(tokens, relevance, strict=True))
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00"), (59.99, "00:59"), (61, "01:01"), (3599.9, "59:59"), (3600, "1:00:00"), (7325, "2:02:05")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_strongest_moments_come_first_and_weak_ones_are_left_out():
    segments = pieces([1, 8, 3, 9], [0.05, 0.7, 0.44, 0.9])
    listed = moments(segments).plain.split("\n")
    assert [line[:11] for line in listed] == ["00:12–00:16", "00:04–00:08"]
    assert moments(segments, count=1).plain == listed[0]
    assert moments(pieces([4] * 6)).plain.startswith("00:00–00:24"), "neighbours are one moment"


def test_column_heights_follow_the_tokens():
    bar, _ = chart(pieces([8, 4, 1, 0]), columns=4).plain.split("\n")
    assert bar == "█▄▁   up to 8 tokens"


def test_many_segments_share_a_column_and_the_largest_is_seen():
    tokens = [1] * 1000
    tokens[637] = 64
    bar, clocks = chart(pieces(tokens), columns=50).plain.split("\n")
    bar = bar.removesuffix("  up to 64 tokens")
    assert len(bar) == 50
    assert [i for i, c in enumerate(bar) if c == "█"] == [637 * 50 // 1000]
    assert set(bar) == {"█", HEIGHTS[1]}
    assert clocks.startswith("00:00")
    assert clocks.endswith("1:06:40")


@pytest.mark.parametrize("count", [1, 2, 3, 8, 31, 63, 64, 65, 127, 128, 129, 900])
def test_every_count_of_segments_fits(count):
    bar, clocks = chart(pieces([3] * count), columns=64).plain.split("\n")
    bar = bar.removesuffix("  up to 3 tokens")
    assert 0 < len(bar) <= 64
    assert set(bar) == {"█"}
    assert len(clocks) == max(len(bar), 11)


def test_axis_labels_stand_under_their_time():
    line = axis(0, 640, 64)
    for label in ("02:40", "05:20", "08:00"):
        minutes, seconds = label.split(":")
        assert line.index(label) == (int(minutes) * 60 + int(seconds)) / 640 * 64


def test_moments_say_when_and_how_much():
    text = moments(pieces([1, 16, 1], [0.02, 0.97, 0.03], seconds=40)).plain
    assert "\n" not in text
    assert text.startswith("00:40–01:20")
    assert "relevance 0.97" in text
    assert text.endswith("16 tokens")


@pytest.mark.parametrize(
    ("share", "bar"), [(0, "    "), (1, "████"), (0.5, "██  "), (0.1, "▍   "), (7, "████")]
)
def test_meter(share, bar):
    assert meter(share, columns=4) == bar


def test_control_characters_cannot_reach_the_terminal():
    assert printable("a\x1b[2Jb\nc\u202ed") == "a\ufffd[2Jb\nc\ufffdd"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 4, "00:00–00:04"), (0, 0.3, "00:00.0–00:00.3"), (3599.5, 3600, "59:59–1:00:00"), (7, 7, "00:07")],
)
def test_a_span_within_a_second_has_tenths(start, end, expected):
    assert clock_span(start, end) == expected

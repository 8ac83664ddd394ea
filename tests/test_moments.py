"""The strongest moments are runs of segments that stand out."""

from dataclasses import dataclass

import pytest

from tempo.moments import frame_time, strongest


@dataclass
class Piece:
    start: float
    end: float
    relevance: float
    tokens: int = 2


def pieces(*relevance):
    return [Piece(4.0 * i, 4.0 * i + 4, r) for i, r in enumerate(relevance)]


def test_neighbours_are_one_moment():
    (first, second) = strongest(pieces(0.1, 0.5, 0.9, 0.1, 0.8), 9)
    assert (first.first, first.last, first.peak) == (1, 2, 2)
    assert (first.start, first.end, first.relevance, first.tokens) == (4.0, 12.0, 0.9, 4)
    assert (second.first, second.last, second.relevance) == (4, 4, 0.8)


@pytest.mark.parametrize(
    ("relevance", "time"),
    [
        ((0.1, 0.6, 0.9, 0.6), 10.0),  # the middle of the strongest
        ((0.1, 0.99, 1.0, 0.1), 8.0),  # or of all that are as strong
        ((0.1, 0.99, 1.0, 0.6), 8.0),
        ((0.0, 0.0), 4.0),
    ],
)
def test_the_frame_of_a_moment_is_taken_where_it_is_strongest(relevance, time):
    scored = pieces(*relevance)
    assert [frame_time(one, scored) for one in strongest(scored)] == [time]


def test_the_count_limits_and_the_strongest_come_first():
    assert [s.first for s in strongest(pieces(0.6, 0.1, 0.9, 0.1, 0.7), 2)] == [2, 4]


def test_a_threshold_of_ones_own():
    assert [s.first for s in strongest(pieces(0.6, 0.1, 0.9), 9, at_least=0.7)] == [2]
    assert strongest(pieces(0.6), 9, at_least=0.7) == []


def test_equal_relevance_is_one_moment_and_ties_go_by_time():
    assert [(s.first, s.last) for s in strongest(pieces(0.2, 0.2, 0.2), 9)] == [(0, 2)]
    assert [s.first for s in strongest(pieces(0.8, 0.1, 0.8), 1)] == [0]

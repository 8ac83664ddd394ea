"""One continuous time line out of clocks that restart."""

from __future__ import annotations

import pytest

from tempo.video.decoding.continuous_clock import ContinuousClock


def placed(packets: list[tuple[int, float]], *, duration: float = 0.1) -> tuple[list[float], ContinuousClock]:
    """The times of (stream, time) packets on the continuous line."""
    clock = ContinuousClock()
    return [time + clock.place(stream, time, time, duration) for stream, time in packets], clock


def steady(begin: float, count: int, stream: int = 0) -> list[tuple[int, float]]:
    return [(stream, begin + 0.1 * i) for i in range(count)]


@pytest.mark.parametrize("second", [0.0, 1.4, 3600.0, 95443.7])
def test_a_second_recording_goes_on_where_the_first_ended(second: float) -> None:
    times, clock = placed(steady(5000.0, 30) + steady(second, 30))
    assert times == pytest.approx([5000.0 + 0.1 * i for i in range(60)])
    (jump,) = clock.jumps
    assert jump.at == pytest.approx(5003.0)
    assert jump.seconds == pytest.approx(second - 5003.0)


def test_packets_from_before_the_jump_that_come_behind_it() -> None:
    """Streams are interleaved: the sound of the first part still comes when the pictures have restarted."""
    late = [(0, 1.0), (1, 2.8), (0, 1.1), (1, 2.9), (0, 1.2), (1, 1.0), (0, 1.3), (1, 1.1)]
    times, clock = placed(steady(0.0, 30) + steady(0.0, 28, stream=1) + late)
    assert times[:58] == pytest.approx([0.1 * i for i in [*range(30), *range(28)]])
    assert times[58:] == pytest.approx([3.0, 2.8, 3.1, 2.9, 3.2, 3.0, 3.3, 3.1])
    assert len(clock.jumps) == 1


def test_a_still_screen_is_no_jump() -> None:
    """Nothing for a minute, and for longer where the sound goes on."""
    times, clock = placed([(0, 0.0), (0, 60.0), (0, 120.0)])
    assert times == [0.0, 60.0, 120.0]
    assert not clock.jumps
    sound = [(1, 0.5 * i) for i in range(240)]
    times, clock = placed([(0, 0.0), *sound, (0, 119.0)])
    assert times[-1] == 119.0
    assert not clock.jumps


def test_small_steps_back_are_left_alone() -> None:
    times, clock = placed([(0, 0.0), (0, 0.1), (0, 0.05), (0, 0.2)])
    assert times == [0.0, 0.1, 0.05, 0.2]
    assert not clock.jumps

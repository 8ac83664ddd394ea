"""What is drawn against what the script says, read back from the pixels."""

import random

import numpy as np
import pytest

from tempo.synthetic.render import render
from tempo.synthetic.script import (
    Background,
    Scene,
    Script,
    Thing,
    make_script,
)
from tempo.synthetic.vocabulary import COLOURS, DIRECTIONS, SHAPES


def one_thing(shape: str, colour: str, *, action: str = "still", radius: float = 0.24) -> Script:
    dx, dy = DIRECTIONS.get(action, (0, 0))
    centre = (16 / 18, 0.5)
    path = (centre[0] - dx * 0.2, 0.5 - dy * 0.2, centre[0] + dx * 0.2, 0.5 + dy * 0.2)
    thing = Thing(shape, colour, "large", action, radius, path, 0.0, 4.0)
    return Script(4.0, 16 / 9, (Scene(0.0, 4.0, Background("flat", 5), (thing,)),))


def coloured(frame: np.ndarray, colour: str) -> np.ndarray:
    """Where FRAME has roughly COLOUR: bool [H, W]."""
    return np.abs(frame.astype(int) - COLOURS[colour]).max(axis=2) < 40


@pytest.mark.parametrize("colour", COLOURS)
def test_a_thing_has_its_colour(colour: str) -> None:
    frame = render(one_thing("square", colour), np.array([1.0]), (320, 180))[0]
    assert coloured(frame, colour)[80:100, 150:170].all()


def test_shapes_cover_what_their_geometry_says() -> None:
    # Areas in units of the radius squared, from the textbook formulas of the outlines.
    areas = {
        "circle": np.pi * 0.95**2,
        "square": 1.64**2,
        "cross": 2 * 1.9 * 0.6 - 0.36,
        "diamond": 2 * 1.02**2 / 1.35,
        "ring": np.pi * (0.95**2 - 0.41**2),
        "star": 10 * 0.5 * 1.05 * 0.42 * np.sin(np.pi / 5),
    }
    for shape, area in areas.items():
        frame = render(one_thing(shape, "red"), np.array([1.0]), (640, 360))[0]
        pixels = coloured(frame, "red").sum()
        assert pixels == pytest.approx(area * (0.24 * 360) ** 2, rel=0.04), shape


def test_no_two_shapes_look_alike() -> None:
    masks = {
        s: coloured(render(one_thing(s, "red"), np.array([1.0]), (96, 54))[0], "red").ravel() for s in SHAPES
    }
    for a in SHAPES:
        for b in SHAPES:
            if a < b:
                overlap = (masks[a] & masks[b]).sum() / (masks[a] | masks[b]).sum()
                assert overlap < 0.85, (a, b)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_things_move_the_way_they_are_said_to(direction: str) -> None:
    frames = render(one_thing("circle", "yellow", action=direction), np.array([0.0, 3.9]), (320, 180))
    before, after = (np.argwhere(coloured(f, "yellow")).mean(axis=0) for f in frames)
    moved = (after - before)[::-1]  # argwhere gives (row, column)
    expected = np.array(DIRECTIONS[direction]) * 0.4 * 180 * 3.9 / 4
    assert moved == pytest.approx(expected, abs=2)


def test_frames_do_not_depend_on_which_others_are_drawn() -> None:
    script = make_script(random.Random(3), duration=12)
    times = np.array([0.5, 4.2, 7.7, 11.0])
    together = render(script, times, (96, 48))
    for index, time in enumerate(times):
        assert np.array_equal(together[index], render(script, np.array([time]), (96, 48))[0])


def test_held_out_backdrops_are_other_pictures() -> None:
    scene = Scene(0.0, 4.0, Background("photo", 9), ())
    script = Script(4.0, 16 / 9, (scene,))
    shown = render(script, np.array([1.0]), (96, 48))
    held_out = render(script, np.array([1.0]), (96, 48), held_out=True)
    assert not np.array_equal(shown, held_out)

"""The second hand's clips show what its questions and answers say."""

import ast
from pathlib import Path

import av
import numpy as np
import pytest

from .asking import Asked, is_right, questions
from .drawing import centre, write
from .scenes import PAINTS, WAYS, compose

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    clip = compose("test/2", seconds=12.0)
    path = write(clip, tmp_path_factory.mktemp("second-hand") / "clip.mp4")
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return clip, frames


def test_a_thing_is_where_and_in_what_colour_it_is_said_to_be(drawn):
    clip, frames = drawn
    assert len(frames) == round(clip.seconds * clip.fps)
    for scene, thing in clip.things:
        for share in (0.2, 0.8):
            time = scene.start + share * (scene.end - scene.start)
            number = int(time * clip.fps)
            x, y = centre(thing, scene, (number + 0.5) / clip.fps, clip.size)
            spot = frames[number][int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].reshape(-1, 3).mean(0)
            nearest = min(PAINTS, key=lambda name, spot=spot: np.abs(spot - PAINTS[name]).sum())
            assert nearest == thing.paint, (thing.label, spot)


def test_things_move_the_way_that_is_the_answer(drawn):
    clip, _ = drawn
    for scene, thing in clip.things:
        first, last = (np.array(centre(thing, scene, t, clip.size)) for t in (scene.start, scene.end))
        moved = last - first
        if thing.motion == "still":
            assert not moved.any()
        else:
            assert np.allclose(moved / np.abs(moved).max(), WAYS[thing.motion])


def test_each_question_has_one_right_answer():
    groups = set()
    for number in range(8):
        clip = compose(f"test/{number}")
        labels = [thing.label for _, thing in clip.things]
        assert len(set(labels)) == len(labels)
        for asked in questions(clip):
            groups.add(asked.group)
            assert "{" not in asked.text
            assert is_right(asked, asked.answer) or (asked.group == "choice" and asked.answer)
            assert not is_right(asked, "nonsense")
    assert groups == {"open", "still", "when", "absent", "count", "choice"}


@pytest.mark.parametrize(
    ("group", "answer", "said", "right"),
    [
        ("choice", "B", "(B) left", True),
        ("choice", "B", "b", True),
        ("choice", "B", "A", False),
        ("choice", "2", "2.", True),
        ("when", "10.5", "at 12.0 seconds", True),
        ("when", "10.5", "15 s", False),
        ("open", "red star", "the red star", True),
        ("open", "red", "blue", False),
        ("still", "still", "It does not move.", True),
        ("still", "still", "left", False),
    ],
)
def test_what_counts_as_right(group, answer, said, right):
    assert is_right(Asked(group, "", "", answer), said) is right


def test_it_shares_no_code_with_the_generator():
    for module in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.startswith("tempo.synthetic") for name in names), module.name

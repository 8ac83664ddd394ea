"""Questions about a whole video, and ones that follow another: their answers found again by brute force."""

import random
import re
from dataclasses import asdict
from itertools import pairwise

import pytest
from brute_force import matching, mentions

from tempo.synthetic.answer_scoring import is_correct
from tempo.synthetic.expressions import SyntheticQuestion
from tempo.synthetic.follow_ups import random_follow_ups
from tempo.synthetic.questions import make_question
from tempo.synthetic.script import Script, make_script
from tempo.synthetic.templates import (
    FOLLOW_UPS,
    GLOBAL_KINDS,
    KINDS,
    WIDE_KINDS,
)
from tempo.synthetic.video_files import kinds_of, make_questions


def asked(kind: str, duration: float, *, choice: bool = False) -> list[tuple[Script, SyntheticQuestion]]:
    rng = random.Random(f"{kind}{duration}")
    scripts = [make_script(rng, duration=duration) for _ in range(25)]
    found = [(script, make_question(rng, script, kind=kind, choice=choice)) for script in scripts]
    return [(script, question) for script, question in found if question is not None]


@pytest.mark.parametrize("duration", [20, 60, 600])
def test_how_often_something_appears(duration: int) -> None:
    found = asked("times", duration)
    assert len({question.answer for _, question in found}) > 1
    for script, question in found:
        (look,) = mentions(question.text)
        scenes = [index for index, _ in matching(script, look)]
        assert question.answer == str(len(scenes))
        assert all(later - earlier > 1 for earlier, later in pairwise(scenes))


@pytest.mark.parametrize("duration", [20, 60, 600])
def test_what_never_appears(duration: int) -> None:
    found = asked("never", duration)
    assert len(found) > 8
    for script, question in found:
        lines = [line.split(". ", 1) for line in question.text.split("\n")[1:-1]]
        absent = []
        for letter, name in lines:
            colour, shape = name.split()
            if not matching(script, {"colour": colour, "shape": shape}):
                absent.append(letter)
        assert absent == [question.answer]
        assert len(lines) == 4


def test_summaries_tell_every_scene_in_order() -> None:
    found = asked("summary", 20)
    assert len(found) > 8
    for script, question in found:
        told = re.findall(r"(\d+\.\d) seconds: ([^.]+)\.", question.answer)
        assert len(told) == len(script.scenes)
        for (time, names), scene in zip(told, script.scenes, strict=True):
            assert float(time) == pytest.approx(scene.start, abs=0.06)
            things = sorted(scene.things, key=lambda thing: thing.path[0])
            assert names.split(" and ") == [f"{thing.colour} {thing.shape}" for thing in things]
    assert asked("summary", 600) == []


@pytest.mark.parametrize("kind", [*KINDS, *GLOBAL_KINDS, *WIDE_KINDS])
def test_the_truth_itself_is_right_and_no_other(kind: str) -> None:
    rng = random.Random(kind)
    scripts = (make_script(rng, duration=20, wide=True) for _ in range(60))
    found = [question for script in scripts if (question := make_question(rng, script, kind=kind))]
    assert len(found) > 5
    for question in map(asdict, found):
        for said in (question["answer"], question["answer"].upper(), question["answer"].rstrip(".") + "."):
            assert is_correct(question, said, window=4)
        assert not is_correct(question, "something else.", window=4)


def test_a_summary_is_right_only_as_a_whole() -> None:
    truth = {"kind": "summary", "answer": "0.0 seconds: red star. 6.5 seconds: blue ring.", "options": []}
    assert is_correct(truth, "2.0 seconds: red star. 8.0 seconds: blue ring.", window=4)
    assert not is_correct(truth, "2.0 seconds: red star.", window=4)
    assert not is_correct(truth, "2.0 seconds: red star. 8.0 seconds: blue star.", window=4)
    assert not is_correct(truth, "2.0 seconds: red star. 11.0 seconds: blue ring.", window=4)
    assert not is_correct(truth, "a red star and a blue ring", window=4)
    assert not is_correct(truth, "", window=4)


def test_follow_ups_ask_about_what_was_asked_about() -> None:
    rng = random.Random(4)
    again = checked = 0
    for _ in range(60):
        script = make_script(rng, duration=60)
        for question in random_follow_ups(rng, script):
            ((first, answer),) = question.earlier
            assert mentions(question.text) == []  # it does not say what
            (index, thing), *others = matching(script, mentions(first)[0])
            assert not others
            if question.text in FOLLOW_UPS["again"]:
                assert script.scenes[index + 1].things[0].name == answer
                expected, again = script.scenes[index + 2].things[0].name, again + 1
            else:
                expected = {
                    "colour": thing.colour,
                    "shape": thing.shape,
                    "direction": thing.action,
                    "count": str(len(script.scenes[index].things)),
                    "when": f"{thing.start:.1f} seconds",
                }.get(question.kind) or script.scenes[index + 1].things[0].name
            assert question.answer == expected
            checked += 1
    assert checked > 60
    assert again > 3


def test_files_ask_all_kinds_where_they_are_to() -> None:
    rng = random.Random(9)
    script = make_script(rng, duration=25)
    found = make_questions(rng, script, count=36, held_out=True, kinds=kinds_of(wide=False, everything=True))
    assert {question.kind for question in found} >= set(GLOBAL_KINDS)
    assert any(question.earlier for question in found)
    plain = make_questions(rng, script, count=36, held_out=True)
    assert not any(question.earlier or question.kind in GLOBAL_KINDS for question in plain)

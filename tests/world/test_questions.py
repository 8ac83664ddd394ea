"""Answers are found again from the script by brute force, without the code that made them."""

import random

import pytest
from brute_force import matching, mentions

from tempo.world.questions import ask
from tempo.world.script import make_script
from tempo.world.vocabulary import DIRECTIONS
from tempo.world.wording import HELD_OUT, KINDS, TEMPLATES


@pytest.mark.parametrize("duration", [12, 60, 600])
@pytest.mark.parametrize("kind", KINDS)
def test_every_question_has_exactly_the_answer_that_is_given(kind: str, duration: int) -> None:
    rng = random.Random(f"{kind}{duration}")
    asked = 0
    for _ in range(25):
        script = make_script(rng, duration=duration)
        question = ask(rng, script, kind=kind)
        if question is None:
            continue
        asked += 1
        looks = mentions(question.text)
        assert looks, question.text
        found = matching(script, looks[0])
        if kind == "exists":
            assert question.answer == ("yes" if found else "no"), question.text
            continue
        assert len(found) == 1, question.text
        index, thing = found[0]
        scene = script.scenes[index]
        if kind == "first":
            (other_index, other) = matching(script, looks[1])[0]
            earlier = thing if index < other_index else other
            assert question.answer == f"{earlier.colour} {earlier.shape}"
            continue
        if kind == "after":
            follower = script.scenes[index + 1].things[0]
            expected = f"{follower.colour} {follower.shape}"
        elif kind == "count":
            expected = str(len(scene.things))
        elif kind == "when":
            expected = f"{thing.start:.1f} seconds"
        else:
            expected = {"colour": thing.colour, "shape": thing.shape, "direction": thing.action}[kind]
        assert question.answer == expected, question.text
        assert question.evidence == ((thing.start, thing.end),)
    assert asked >= 8


def test_multiple_choice_offers_the_answer_once_and_under_its_letter() -> None:
    rng = random.Random(1)
    seen = set()
    for _ in range(200):
        script = make_script(rng, duration=60)
        question = ask(rng, script, kind=rng.choice(KINDS), choice=True)
        if question is None:
            continue
        lines = question.text.split("\n")
        options = dict(line.split(". ", 1) for line in lines[1:-1])
        assert list(options) == list("ABCD")[: len(options)]
        assert len(set(options.values())) == len(options) >= 2
        assert question.answer in options
        seen.add(question.answer)
    assert seen == set("ABCD")


def test_directions_that_are_asked_for_are_ones() -> None:
    rng = random.Random(2)
    for _ in range(50):
        question = ask(rng, make_script(rng, duration=30), kind="direction")
        assert question is None or question.answer in DIRECTIONS


def test_held_out_wordings_are_never_trained_on() -> None:
    for kind in KINDS:
        assert not set(TEMPLATES[kind]) & set(HELD_OUT[kind])


def test_the_same_seed_gives_the_same_video() -> None:
    assert make_script(random.Random(5), duration=100) == make_script(random.Random(5), duration=100)


@pytest.mark.parametrize(
    ("minutes", "shortest", "longest"), [(1, 3, 8), (10, 3, 8), (60, 21, 57), (120, 42, 113)]
)
def test_a_segment_of_a_long_video_shows_as_much_as_one_of_a_short_one(minutes, shortest, longest) -> None:
    script = make_script(random.Random(8), duration=60 * minutes)
    for scene in script.scenes[:-1]:  # the last ends with the video
        assert shortest <= scene.end - scene.start <= longest
    assert script.scenes[-1].end == script.duration


def test_long_videos_have_things_that_are_unique() -> None:
    rng = random.Random(6)
    script = make_script(rng, duration=3600)
    for kind in ("colour", "shape", "when", "first", "after"):
        assert any(ask(rng, script, kind=kind) for _ in range(4))  # what comes after is not always one thing

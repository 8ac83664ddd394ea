"""The wide world: what is drawn, read back from the pixels, and what is asked about it."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tempo.synthetic.pictures import PICTURES
from tempo.synthetic.questions import make_question
from tempo.synthetic.render import render
from tempo.synthetic.script import (
    Background,
    Scene,
    Script,
    Thing,
    make_script,
)
from tempo.synthetic.video_files import kinds_of, make_questions
from tempo.synthetic.vocabulary import (
    COLOURS,
    NUMBERS,
    SHAPES,
    WORDS,
)

SIZE = (320, 180)


def showing(
    shape: str, *, background: str = "flat", colour: str = "", action: str = "still", **rest: object
) -> Script:
    path = (16 / 18, 0.5, 16 / 18, 0.5)
    thing = Thing(shape, colour, "large", action, 0.3, path, 0.0, 8.0, **rest)  # type: ignore[arg-type]
    return Script(8.0, 16 / 9, (Scene(0.0, 8.0, Background(background, 5), (thing,)),), wide=True)


def drawn(script: Script, *times: float) -> np.ndarray:
    """Where something is drawn over the backdrop: bool [T, H, W]."""
    empty = Script(8.0, 16 / 9, (Scene(0.0, 8.0, script.scenes[0].background, ()),))
    moments = np.array(times)
    frames, behind = render(script, moments, SIZE).astype(int), render(empty, moments, SIZE).astype(int)
    return np.abs(frames - behind).max(axis=3) > 12


def test_there_are_several_hundred_pictures_and_no_two_look_alike() -> None:
    assert len(set(PICTURES)) == len(PICTURES) > 300
    assert not set(PICTURES) & {*SHAPES, *COLOURS, *WORDS}
    looks = np.stack(
        [render(showing(name), np.array([1.0]), (32, 18))[0].ravel() for name in PICTURES]
    ).astype(int)
    for number, look in enumerate(looks):
        apart = np.abs(looks - look).mean(axis=1)
        apart[number] = 255
        assert apart.min() > 1, (PICTURES[number], PICTURES[int(apart.argmin())])


def test_things_grow_and_shrink() -> None:
    for shape, colour in (("apple", ""), ("star", "red")):
        sizes = [
            drawn(showing(shape, colour=colour, action=action), 0.0, 7.9).sum(axis=(1, 2))
            for action in ("grows", "shrinks")
        ]
        (small, large), (whole, rest) = sizes
        assert large == pytest.approx(small / 0.4**2, rel=0.15)  # the radius grows from 0.4 to 1
        assert (rest, whole) == pytest.approx((small, large), rel=0.15)


def test_things_blink() -> None:
    seen = drawn(showing("apple", action="blinks"), *np.arange(0, 6.4, 0.2)).any(axis=(1, 2))
    assert seen.tolist() == ([True] * 5 + [False] * 3) * 4  # a second of every 1.6


def test_things_turn_around_their_middle() -> None:
    for shape, colour in (("pencil", ""), ("triangle", "red")):
        script = showing(shape, colour=colour, action="turns")
        start, half, full = render(script, np.array([0.0, 2.0, 4.0]), SIZE).astype(int)
        assert np.abs(start - full).max() <= 1
        # Half a turn is the picture upside down and mirrored.
        turned = start[::-1, ::-1]
        assert np.abs(turned - half).mean() < 0.3 * np.abs(start - half).mean()


def test_a_covered_picture_lacks_a_part_of_its_width() -> None:
    plain, covered = showing("football"), showing("football", covered=0.3)
    bare, hidden = (render(script, np.array([1.0]), SIZE)[0].astype(int) for script in (plain, covered))
    changed = np.abs(bare - hidden).max(axis=2).max(axis=0) > 12
    columns = np.flatnonzero(changed)
    left, width = 160 - 54, 2 * 54  # its radius is 0.3 of 180 pixels
    assert left - 2 <= columns.min()
    assert columns.max() <= left + 0.3 * width + 2
    assert len(columns) > 0.25 * width


def _ink(text: str, size: tuple[int, int]) -> np.ndarray:
    """TEXT in the same typeface, without a sign around it, stretched to SIZE: bool [H, W]."""
    font = ImageFont.load_default(120)
    left, top, right, bottom = font.getbbox(text)
    page = Image.new("L", (int(right - left), int(bottom - top)), 0)
    ImageDraw.Draw(page).text((-left, -top), text, font=font, fill=255)
    return np.asarray(page.resize(size)) > 128


@pytest.mark.parametrize("text", ["tea", "museum", "42"])
def test_signs_can_be_read(text: str) -> None:
    frame = render(showing("sign", colour="white", text=text), np.array([1.0]), (960, 540))[0].astype(int)
    rows, columns = np.nonzero((np.abs(frame - 245) < 20).all(axis=2))
    inked = frame[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].mean(axis=2) < 128
    rows, columns = np.nonzero(inked)
    ink = inked[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]

    def likeness(other: str) -> float:
        expected = _ink(other, ink.shape[::-1])
        return float((ink & expected).sum() / (ink | expected).sum())

    assert max((*WORDS, *NUMBERS), key=likeness) == text


def test_moving_backdrops_slide() -> None:
    empty = Script(8.0, 16 / 9, (Scene(0.0, 8.0, Background("moving", 3), ()),))
    first, later = render(empty, np.array([0.0, 4.0]), SIZE).astype(int)
    assert np.abs(first - later).mean() > 2
    # One is the other moved aside: somewhere within a quarter of the frame they are the same.
    best = min(
        np.abs(first[45:135, 80:240] - later[45 + dy : 135 + dy, 80 + dx : 240 + dx]).mean()
        for dy in range(-45, 46)
        for dx in range(-80, 81)
    )
    assert best == 0


def test_films_are_asked_about_in_all_kinds() -> None:
    rng = random.Random(2)
    kinds = kinds_of(wide=True, everything=True)
    found = [
        question
        for _ in range(6)
        for question in make_questions(
            rng, make_script(rng, duration=25, wide=True), count=28, held_out=True, kinds=kinds
        )
    ]
    assert {question.kind for question in found} >= set(kinds) - {"follow-up"}
    assert any(question.earlier for question in found)
    shown = {
        name for name in PICTURES for question in found if name in (question.text + question.answer).split()
    }
    assert len(shown) > 5


def test_choices_offer_four_different_answers_of_one_sort() -> None:
    rng = random.Random(3)
    for kind in ("text", "action", "beside", "never"):
        for _ in range(20):
            question = make_question(rng, make_script(rng, duration=60, wide=True), kind=kind, choice=True)
            if question is None:
                continue
            assert len(set(question.options)) == 4
            right = question.options["ABCD".index(question.answer)]
            if kind == "text":
                assert len({option.isdigit() for option in question.options}) == 1
            if kind == "action":
                start = right.rsplit(" ", 2 if right.split()[-2] in ("moves", "stands") else 1)[0]
                assert all(option.startswith(start) for option in question.options)
            if kind == "never":
                assert [look.name for look in question.expressions] == list(question.options)

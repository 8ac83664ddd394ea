"""Global questions, about the whole video: how often something appears, what never does, what happens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from .expressions import (
    ReferringExpression,
    SyntheticQuestion,
    absent,
    choose_expression,
    evidence_of,
    expression_of,
    near,
)
from .script import Script
from .vocabulary import COLOURS
from .wording import word

MOST_TIMES = 4  # that something appears, if it is to be counted
MOST_SCENES = 6  # of a video that is to be summarised


def times_seen(rng: random.Random, script: Script, held_out: bool) -> SyntheticQuestion | None:
    """How often an expression appears: in at most MOST_TIMES scenes, no two of them in a row."""
    scenes: dict[ReferringExpression, list[int]] = {}
    for index, thing in script.appearances:
        for expression in dict.fromkeys(
            (
                ReferringExpression(shape=thing.shape),
                expression_of(thing),
                replace(expression_of(thing), size=thing.size),
            )
        ):
            scenes.setdefault(expression, []).append(index)
    fitting = [
        expression
        for expression, found in scenes.items()
        if len(found) <= MOST_TIMES and all(b - a > 1 for a, b in pairwise(found))
    ]
    # As many of each number as of the next: most expressions appear once.
    by_number: dict[int, list[ReferringExpression]] = {}
    for expression in fitting:
        by_number.setdefault(len(scenes[expression]), []).append(expression)
    if not by_number:
        return None
    number = rng.choice(sorted(by_number))
    expression = rng.choice(by_number[number])
    text = word(rng, "times", held_out=held_out, a=expression.say(rng, "a"))
    return SyntheticQuestion("times", text, str(number), (expression,), evidence_of(script, (expression,)))


def never_seen(rng: random.Random, script: Script, held_out: bool) -> SyntheticQuestion | None:
    """Which of four expressions fits nothing in the video; they are its options too (`as_choice`)."""
    seen = sorted(
        {expression_of(t) for _, t in script.appearances}, key=lambda one: (one.colour or "", one.shape)
    )
    others = sorted(
        absent(script, seen), key=lambda one: tuple(COLOURS).index(one.colour) if one.colour else -1
    )
    if len(seen) < 3 or not others:
        return None
    there = rng.sample(seen, 3)
    alike = [expression for expression in others if near(expression, there)]
    never = choose_expression(rng, (alike or others) if not script.wide or rng.random() < 0.5 else others)
    text = word(rng, "never", held_out=held_out)
    return SyntheticQuestion("never", text, never.name, (never, *there), evidence_of(script, tuple(there)))


def summary(script: Script, times: Sequence[float]) -> str:
    """A summary: what each scene shows from left to right, scenes in order, at the time in `times`."""
    parts = []
    for scene, time in zip(script.scenes, times, strict=True):
        names = [thing.name for thing in sorted(scene.things, key=lambda thing: thing.path[0])]
        parts.append(f"{time:.1f} seconds: {' and '.join(names)}.")
    return " ".join(parts)


def summarise(rng: random.Random, script: Script, held_out: bool) -> SyntheticQuestion | None:
    """What happens, scene by scene; None for videos of more than MOST_SCENES."""
    if len(script.scenes) > MOST_SCENES:
        return None
    text = word(rng, "summary", held_out=held_out)
    return SyntheticQuestion(
        "summary", text, summary(script, [scene.start for scene in script.scenes]), (), ()
    )

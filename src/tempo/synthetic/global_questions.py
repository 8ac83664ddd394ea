"""Questions about the whole of a video: how often, what never, and what happens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from .expressions import (
    Look,
    Question,
    absent,
    drawn,
    evidence_of,
    look_of,
    near,
)
from .script import Script
from .vocabulary import COLOURS
from .wording import word

MOST_TIMES = 4  # that something appears, if it is to be counted
MOST_SCENES = 6  # of a video that is to be summarised


def times_seen(rng: random.Random, script: Script, held_out: bool) -> Question | None:
    """How many scenes show a look: MOST_TIMES at most, and no two in a row, which could not be told apart."""
    scenes: dict[Look, list[int]] = {}
    for index, thing in script.appearances:
        for look in dict.fromkeys(
            (Look(shape=thing.shape), look_of(thing), replace(look_of(thing), size=thing.size))
        ):
            scenes.setdefault(look, []).append(index)
    fitting = [
        look
        for look, found in scenes.items()
        if len(found) <= MOST_TIMES and all(b - a > 1 for a, b in pairwise(found))
    ]
    # As many of each number as of the next: most looks appear once.
    by_number: dict[int, list[Look]] = {}
    for look in fitting:
        by_number.setdefault(len(scenes[look]), []).append(look)
    if not by_number:
        return None
    number = rng.choice(sorted(by_number))
    look = rng.choice(by_number[number])
    text = word(rng, "times", held_out=held_out, a=look.say(rng, "a"))
    return Question("times", text, str(number), (look,), evidence_of(script, (look,)))


def never_seen(rng: random.Random, script: Script, held_out: bool) -> Question | None:
    """Which of four looks is in no scene: its `looks`, which are its options too (`as_choice`)."""
    seen = sorted(
        {look_of(t) for _, t in script.appearances}, key=lambda look: (look.colour or "", look.shape)
    )
    others = sorted(
        absent(script, seen), key=lambda look: tuple(COLOURS).index(look.colour) if look.colour else -1
    )
    if len(seen) < 3 or not others:
        return None
    there = rng.sample(seen, 3)
    alike = [look for look in others if near(look, there)]
    never = drawn(rng, (alike or others) if not script.wide or rng.random() < 0.5 else others)
    text = word(rng, "never", held_out=held_out)
    return Question("never", text, never.name, (never, *there), evidence_of(script, tuple(there)))


def summary(script: Script, times: Sequence[float]) -> str:
    """What each scene shows from left to right, scenes in order, with the time that `times` gives each."""
    parts = []
    for scene, time in zip(script.scenes, times, strict=True):
        names = [thing.name for thing in sorted(scene.things, key=lambda thing: thing.path[0])]
        parts.append(f"{time:.1f} seconds: {' and '.join(names)}.")
    return " ".join(parts)


def summarise(rng: random.Random, script: Script, held_out: bool) -> Question | None:
    if len(script.scenes) > MOST_SCENES:
        return None
    text = word(rng, "summary", held_out=held_out)
    return Question("summary", text, summary(script, [scene.start for scene in script.scenes]), (), ())

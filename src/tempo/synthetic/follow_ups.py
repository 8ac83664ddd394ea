"""Follow-up questions, which do not repeat what they are about: "What colour is it?"."""

from __future__ import annotations

import random
from dataclasses import replace

from .expressions import SyntheticQuestion, evidence_of
from .questions import make_question, related
from .script import Script
from .templates import FOLLOW_UPS, FOLLOW_UPS_HELD_OUT

# What a conversation may begin with: questions about one thing.
_BEGINNINGS = ("colour", "shape", "direction", "exists", "count", "when", "after", "after")


def follow_ups(
    rng: random.Random, script: Script, first: SyntheticQuestion, *, held_out: bool = False
) -> list[SyntheticQuestion]:
    """All follow-ups to `first`: about the same thing, or about what comes after what came after it.

    Their evidence is that of `first`: the router reads the questions of a conversation, not its answers.
    """
    wordings = FOLLOW_UPS_HELD_OUT if held_out else FOLLOW_UPS
    earlier = ((first.text, first.answer),)
    found = [
        replace(other, text=rng.choice(wordings[other.kind]), earlier=earlier)
        for other in related(rng, script, first)
        if other.kind != first.kind
    ]
    if first.kind == "after":
        scene = next(index for index, thing in script.appearances if first.expressions[0].fits(thing))
        later = script.scenes[scene + 2 : scene + 3]
        if later and len(later[0].things) == 1:
            text = rng.choice(wordings["again"])
            answer = later[0].things[0].name
            found += [
                SyntheticQuestion(
                    "after",
                    text,
                    answer,
                    first.expressions,
                    evidence_of(script, first.expressions),
                    earlier=earlier,
                )
            ]
    return found


def random_follow_ups(
    rng: random.Random, script: Script, *, held_out: bool = False
) -> list[SyntheticQuestion]:
    """All follow-ups to one random question about `script`; empty if it allows none."""
    for _ in range(6):
        first = make_question(rng, script, kind=rng.choice(_BEGINNINGS), held_out=held_out)
        found = follow_ups(rng, script, first, held_out=held_out) if first and first.answer != "no" else []
        if found:
            return found
    return []

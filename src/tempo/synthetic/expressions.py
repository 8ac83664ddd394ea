"""What questions name, and what they are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from .pictures import PICTURES
from .script import Script, Thing
from .vocabulary import COLOURS, SHAPES, SIGN
from .wording import noun_phrase


@dataclass(frozen=True)
class Look:
    """What a question says about a thing; None is not said."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    action: str | None = None
    text: str | None = None

    def fits(self, thing: Thing) -> bool:
        return (
            self.shape in (None, thing.shape)
            and self.colour in (None, thing.colour)
            and self.size in (None, thing.size)
            and self.action in (None, thing.action)
            and self.text in (None, thing.text)
        )

    def say(self, rng: random.Random, article: str = "the") -> str:
        return noun_phrase(rng, **vars(self), article=article)

    @property
    def name(self) -> str:
        """Colour and shape, as answers have them."""
        return f"{self.colour or ''} {self.shape}".strip()


def look_of(thing: Thing) -> Look:
    """Its shape and colour."""
    return Look(shape=thing.shape, colour=thing.colour or None)


@dataclass(frozen=True)
class Question:
    """A question with one right answer.

    Attributes:
        looks: of the things that it names; none where it is about everything.
        evidence: the times (seconds) during which what it names is on screen.
        seconds: the moment asked for, where it asks for one.
        earlier: the questions that it follows in a conversation, and their answers.
    """

    kind: str
    text: str
    answer: str
    looks: tuple[Look, ...]
    evidence: tuple[tuple[float, float], ...]
    seconds: float | None = None
    options: tuple[str, ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()


def evidence_of(script: Script, looks: tuple[Look, ...]) -> tuple[tuple[float, float], ...]:
    return tuple((t.start, t.end) for _, t in script.appearances if any(look.fits(t) for look in looks))


def absent(script: Script, seen: list[Look]) -> list[Look]:
    """Looks that nothing in `script` has."""
    plain = [Look(shape=s, colour=c) for s in SHAPES for c in COLOURS]
    if script.wide:
        plain += [Look(shape=SIGN, colour=c) for c in COLOURS] + [Look(shape=name) for name in PICTURES]
    return [look for look in plain if look not in seen]


def near(one: Look, others: Sequence[Look]) -> bool:
    """Whether it shares its shape or its colour with one of them, so that reading one word is not enough."""
    return any(one.shape == other.shape or (one.colour and one.colour == other.colour) for other in others)


def drawn(rng: random.Random, looks: list[Look]) -> Look:
    """One of `looks`, as often a picture as not: there are many more of them than of anything else."""
    pictures = [look for look in looks if not look.colour]
    if not pictures:
        return rng.choice(looks)
    others = [look for look in looks if look.colour]
    return rng.choice(pictures if not others or rng.random() < 0.5 else others)

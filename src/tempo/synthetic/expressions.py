"""Referring expressions, such as "the large red star", and the questions that use them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .pictures import PICTURES
from .script import Script, Thing
from .vocabulary import COLOURS, SHAPES, SIGN
from .wording import noun_phrase


@dataclass(frozen=True)
class ReferringExpression:
    """The attributes by which a question refers to a thing; those that are None are not mentioned."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    action: str | None = None
    text: str | None = None

    def fits(self, thing: Thing) -> bool:
        """Whether it refers to `thing`."""
        return (
            self.shape in (None, thing.shape)
            and self.colour in (None, thing.colour)
            and self.size in (None, thing.size)
            and self.action in (None, thing.action)
            and self.text in (None, thing.text)
        )

    def say(self, rng: random.Random, article: str = "the") -> str:
        """The expression as a noun phrase, in random wording."""
        return noun_phrase(rng, **vars(self), article=article)

    @property
    def name(self) -> str:
        """Colour and shape, as answers have them."""
        return f"{self.colour or ''} {self.shape}".strip()


def expression_of(thing: Thing) -> ReferringExpression:
    """The expression that names shape and colour."""
    return ReferringExpression(shape=thing.shape, colour=thing.colour or None)


@dataclass(frozen=True)
class SyntheticQuestion:
    """A question with one right answer.

    Attributes:
        expressions: what it refers to; empty for global questions.
        evidence: (start, end) in seconds of every span in which that is on screen.
        seconds: the time asked for, if it asks for one.
        options: of a multiple-choice question.
        earlier: (question, answer) pairs of the conversation before it.
    """

    kind: str
    text: str
    answer: str
    expressions: tuple[ReferringExpression, ...]
    evidence: tuple[tuple[float, float], ...]
    seconds: float | None = None
    options: tuple[str, ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As ground-truth files have it."""
        return {
            "kind": self.kind,
            "text": self.text,
            "answer": self.answer,
            "looks": [asdict(expression) for expression in self.expressions],
            "evidence": self.evidence,
            "seconds": self.seconds,
            "options": self.options,
            "earlier": self.earlier,
        }


def evidence_of(
    script: Script, expressions: tuple[ReferringExpression, ...]
) -> tuple[tuple[float, float], ...]:
    """(start, end) in seconds of every thing that one of `expressions` fits."""
    things = [thing for _, thing in script.appearances if any(one.fits(thing) for one in expressions)]
    return tuple((thing.start, thing.end) for thing in things)


def absent(script: Script, seen: list[ReferringExpression]) -> list[ReferringExpression]:
    """Expressions that fit nothing in `script`."""
    candidates = [ReferringExpression(shape=s, colour=c) for s in SHAPES for c in COLOURS]
    if script.wide:
        candidates += [ReferringExpression(shape=SIGN, colour=c) for c in COLOURS]
        candidates += [ReferringExpression(shape=name) for name in PICTURES]
    return [expression for expression in candidates if expression not in seen]


def near(one: ReferringExpression, others: Sequence[ReferringExpression]) -> bool:
    """Whether it shares its shape or its colour with one of `others`, so that one word is not enough."""
    return any(one.shape == other.shape or (one.colour and one.colour == other.colour) for other in others)


def choose_expression(rng: random.Random, expressions: list[ReferringExpression]) -> ReferringExpression:
    """A random one of `expressions`, half of the time a picture: there are far more of these."""
    pictures = [expression for expression in expressions if not expression.colour]
    if not pictures:
        return rng.choice(expressions)
    others = [expression for expression in expressions if expression.colour]
    return rng.choice(pictures if not others or rng.random() < 0.5 else others)

"""Makes questions about a script, with their answers and evidence: ground truth by construction."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from .expressions import (
    ReferringExpression,
    SyntheticQuestion,
    absent,
    choose_expression,
    evidence_of,
    expression_of,
    near,
)
from .global_questions import (
    MOST_TIMES,
    never_seen,
    summarise,
    times_seen,
)
from .pictures import PICTURES
from .script import Script, Thing
from .templates import GLOBAL_KINDS, KINDS, WIDE_KINDS
from .vocabulary import (
    CHANGES,
    COLOURS,
    DIRECTIONS,
    NUMBERS,
    SHAPES,
    WORDS,
)
from .wording import CHOICE_ENDINGS, CHOICE_ENDINGS_HELD_OUT, word

LETTERS = "ABCD"


QuestionMaker = Callable[[random.Random, Script, bool], "SyntheticQuestion | None"]


def _sighting(script: Script, expression: ReferringExpression) -> list[tuple[int, Thing]]:
    return [(scene, thing) for scene, thing in script.appearances if expression.fits(thing)]


def _single(rng: random.Random, script: Script, hidden: str) -> tuple[int, Thing, ReferringExpression] | None:
    """A thing and an expression that fits only it and does not give away its `hidden` attribute.

    Things that shape and colour alone identify come first; of the others a dozen are tried with more
    attributes.
    """

    def base(thing: Thing) -> ReferringExpression:
        if thing.text and hidden not in ("text", "shape"):
            return ReferringExpression(shape=thing.shape, text=thing.text)
        return ReferringExpression(
            shape=None if hidden == "shape" else thing.shape,
            colour=None if hidden == "colour" else thing.colour or None,
        )

    appearances = script.appearances
    uses = Counter(base(thing) for _, thing in appearances)
    unique = [(scene, thing) for scene, thing in appearances if uses[base(thing)] == 1]
    if unique and rng.random() < 0.75:
        scene, thing = rng.choice(unique)
        return scene, thing, base(thing)
    for scene, thing in rng.sample(appearances, min(len(appearances), 12)):
        expressions = [replace(base(thing), size=thing.size)]
        if thing.moves and hidden != "action":
            expressions += [
                replace(base(thing), action=thing.action),
                replace(expressions[0], action=thing.action),
            ]
        fitting = [expression for expression in expressions if len(_sighting(script, expression)) == 1]
        if fitting:
            return scene, thing, rng.choice(fitting)
    if unique:
        scene, thing = rng.choice(unique)
        return scene, thing, base(thing)
    return None


def _about(
    rng: random.Random,
    script: Script,
    kind: str,
    scene: int,
    thing: Thing,
    expression: ReferringExpression,
    held_out: bool,
) -> SyntheticQuestion | None:
    """A question of `kind` about the one thing that `expression` fits; None: it has no clear answer."""
    seconds = None
    if kind == "colour":
        answer = thing.colour
    elif kind == "shape":
        answer = thing.shape if thing.shape in SHAPES else ""
    elif kind == "text":
        answer = thing.text
    elif kind == "action":
        answer = f"The {thing.name} {_DOING.get(thing.action, thing.action)}."
    elif kind == "beside":
        others = [other for other in script.scenes[scene].things if other != thing]
        shown = all(t.action not in _PASSING for t in script.scenes[scene].things)
        answer = others[0].name if len(others) == 1 and shown else ""
    elif kind == "direction":
        if not thing.moves:
            return None
        answer = thing.action
    elif kind == "count":
        things = script.scenes[scene].things
        if any(t.action in _PASSING for t in things):
            return None
        answer = str(len(things))
    elif kind == "when":
        answer, seconds = f"{thing.start:.1f} seconds", thing.start
    else:
        if scene + 1 == len(script.scenes) or len(script.scenes[scene + 1].things) > 1:
            return None
        answer = script.scenes[scene + 1].things[0].name
    if not answer:
        return None
    text = word(rng, kind, held_out=held_out, np=expression.say(rng))
    return SyntheticQuestion(kind, text, answer, (expression,), evidence_of(script, (expression,)), seconds)


_DOING = {direction: f"moves {direction}" for direction in DIRECTIONS} | {"still": "stands still"}
_PASSING = ("appears", "disappears", "blinks")  # not there throughout their scene
# What a question about one thing must not say of it.
_HIDDEN = {
    "colour": "colour",
    "shape": "shape",
    "direction": "action",
    "count": "",
    "when": "",
    "after": "",
    "text": "text",
    "action": "action",
    "beside": "",
}
_TRIES = {kind: 1 if kind in ("count", "when") else 12 if kind == "text" else 6 for kind in _HIDDEN}


def _one_thing(kind: str) -> QuestionMaker:
    def make(rng: random.Random, script: Script, held_out: bool) -> SyntheticQuestion | None:
        for _ in range(_TRIES[kind]):
            found = _single(rng, script, _HIDDEN[kind])
            question = _about(rng, script, kind, *found, held_out) if found else None
            if question:
                return question
        return None

    return make


def related(rng: random.Random, script: Script, question: SyntheticQuestion) -> list[SyntheticQuestion]:
    """Questions of all kinds about the one thing that `question` refers to; empty unless it is one."""
    if len(question.expressions) != 1:
        return []
    expression = question.expressions[0]
    sightings = _sighting(script, expression)
    if len(sightings) != 1:
        return []
    scene, thing = sightings[0]
    hidden = {
        "colour": expression.colour,
        "shape": expression.shape,
        "direction": expression.action,
        "action": expression.action,
        "text": expression.text,
    }
    kinds = [kind for kind in _HIDDEN if hidden.get(kind) is None and (script.wide or kind in KINDS)]
    found = [_about(rng, script, kind, scene, thing, expression, False) for kind in kinds]
    return [other for other in found if other]


def _exists(rng: random.Random, script: Script, held_out: bool) -> SyntheticQuestion | None:
    seen = sorted(
        {expression_of(t) for _, t in script.appearances}, key=lambda one: (one.shape, one.colour or "")
    )
    if rng.random() < 0.5:
        found = _single(rng, script, "") if rng.random() < 0.7 else None
        expression = expression_of(found[1]) if found else rng.choice(seen)
        answer = "yes"
    else:
        others = absent(script, seen)
        if not others:
            return None
        alike = [expression for expression in others if near(expression, seen)]
        use_alike = alike and rng.random() < (0.5 if script.wide else 0.8)
        expression = choose_expression(rng, alike if use_alike else others)
        answer = "no"
    text = word(rng, "exists", held_out=held_out, a=expression.say(rng, "a"))
    return SyntheticQuestion("exists", text, answer, (expression,), evidence_of(script, (expression,)))


def _first(rng: random.Random, script: Script, held_out: bool) -> SyntheticQuestion | None:
    uses = Counter(thing.name for _, thing in script.appearances)
    unique = [(scene, thing) for scene, thing in script.appearances if uses[thing.name] == 1]
    if len({scene for scene, _ in unique}) < 2:
        return None
    one = rng.choice(unique)
    two = rng.choice([other for other in unique if other[0] != one[0]])
    expressions = tuple(expression_of(thing) for _, thing in (one, two))
    text = word(rng, "first", held_out=held_out, a=expressions[0].say(rng), b=expressions[1].say(rng))
    earlier = one[1] if one[0] < two[0] else two[1]
    return SyntheticQuestion("first", text, earlier.name, expressions, evidence_of(script, expressions))


_MAKERS: dict[str, QuestionMaker] = {
    "colour": _one_thing("colour"),
    "shape": _one_thing("shape"),
    "direction": _one_thing("direction"),
    "exists": _exists,
    "count": _one_thing("count"),
    "when": _one_thing("when"),
    "first": _first,
    "after": _one_thing("after"),
    "times": times_seen,
    "never": never_seen,
    "summary": summarise,
    **{kind: _one_thing(kind) for kind in WIDE_KINDS},
}
assert tuple(_MAKERS) == (*KINDS, *GLOBAL_KINDS, *WIDE_KINDS)


def _wrong(rng: random.Random, script: Script, question: SyntheticQuestion) -> list[str]:
    """Wrong answers of the same type, for multiple choice."""
    if question.kind == "exists":
        return ["no" if question.answer == "yes" else "yes"]
    if question.kind == "first":
        return [expression.name for expression in question.expressions if expression.name != question.answer]
    if question.kind == "never":
        return [expression.name for expression in question.expressions[1:]]
    if question.kind == "summary":
        return []
    if question.kind == "action":
        name, done = question.answer[4:-1], (*_DOING.values(), *CHANGES)
        thing = next(
            name.removesuffix(f" {verb}") for verb in (*done, *_PASSING) if name.endswith(f" {verb}")
        )
        return [f"The {thing} {verb}." for verb in rng.sample([v for v in done if not name.endswith(v)], 3)]
    if question.kind == "text":
        same = NUMBERS if question.answer in NUMBERS else WORDS
        return rng.sample([text for text in same if text != question.answer], 3)
    if question.kind == "when":
        assert question.seconds is not None
        apart = max(8.0, script.duration / 12)
        times = [question.seconds]
        origin = script.scenes[0].start
        for _ in range(200):
            time = rng.uniform(origin, script.duration)
            if len(times) < 4 and all(abs(time - other) >= apart for other in times):
                times.append(time)
        return [f"{time:.1f} seconds" for time in times[1:]]
    pools = {
        "colour": list(COLOURS),
        "shape": list(SHAPES),
        "direction": list(DIRECTIONS),
        "count": list("1234"),
        "times": [str(number) for number in range(1, MOST_TIMES + 1)],
    }
    pool = pools.get(question.kind) or [f"{c} {s}" for c in COLOURS for s in SHAPES]
    if script.wide and question.kind not in pools:
        pool = [rng.choice(other) for other in (pool, pool, PICTURES, PICTURES, PICTURES)]
        pool = list(dict.fromkeys(pool))
    others = [item for item in pool if item != question.answer]
    return rng.sample(others, 3) if len(others) > 2 else []


def as_choice(
    rng: random.Random, script: Script, question: SyntheticQuestion, *, held_out: bool = False
) -> SyntheticQuestion | None:
    """The same question as multiple choice, answered by a letter; None where no options can be made."""
    wrong = _wrong(rng, script, question)
    if not wrong:
        return None
    options = [question.answer, *wrong]
    rng.shuffle(options)
    ending = rng.choice(CHOICE_ENDINGS_HELD_OUT if held_out else CHOICE_ENDINGS)
    lines = [
        question.text,
        *(f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=False)),
        ending,
    ]
    letter = LETTERS[options.index(question.answer)]
    expressions = question.expressions
    if question.kind == "never":
        expressions = tuple(sorted(expressions, key=lambda one: options.index(one.name)))
    text = "\n".join(lines)
    return replace(question, text=text, answer=letter, options=tuple(options), expressions=expressions)


def make_question(
    rng: random.Random, script: Script, *, kind: str, held_out: bool = False, choice: bool = False
) -> SyntheticQuestion | None:
    """A question of `kind` about `script`, or None where the script allows none that has exactly one
    answer."""
    question = _MAKERS[kind](rng, script, held_out)
    choice = choice or kind == "never"
    return as_choice(rng, script, question, held_out=held_out) if question and choice else question

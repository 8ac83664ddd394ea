"""Questions about a script, with their answers and the moments that the answers rest on: ground truth by
construction."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from .expressions import (
    Look,
    Question,
    absent,
    drawn,
    evidence_of,
    look_of,
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
from .templates import KINDS, WHOLE_KINDS, WIDE_KINDS
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


Maker = Callable[[random.Random, Script, bool], "Question | None"]


def _sighting(script: Script, look: Look) -> list[tuple[int, Thing]]:
    return [(scene, thing) for scene, thing in script.appearances if look.fits(thing)]


def _single(rng: random.Random, script: Script, hidden: str) -> tuple[int, Thing, Look] | None:
    """A thing and a look that fits only it and does not give away its `hidden` attribute.

    Things that shape and colour alone tell apart come first; of the others a dozen are tried with more
    attributes.
    """

    def base(thing: Thing) -> Look:
        if thing.text and hidden not in ("text", "shape"):
            return Look(shape=thing.shape, text=thing.text)
        return Look(
            shape=None if hidden == "shape" else thing.shape,
            colour=None if hidden == "colour" else thing.colour or None,
        )

    appearances = script.appearances
    uses = Counter(base(thing) for _, thing in appearances)
    plain = [(scene, thing) for scene, thing in appearances if uses[base(thing)] == 1]
    if plain and rng.random() < 0.75:
        scene, thing = rng.choice(plain)
        return scene, thing, base(thing)
    for scene, thing in rng.sample(appearances, min(len(appearances), 12)):
        looks = [replace(base(thing), size=thing.size)]
        if thing.moves and hidden != "action":
            looks += [replace(base(thing), action=thing.action), replace(looks[0], action=thing.action)]
        fitting = [look for look in looks if len(_sighting(script, look)) == 1]
        if fitting:
            return scene, thing, rng.choice(fitting)
    if plain:
        scene, thing = rng.choice(plain)
        return scene, thing, base(thing)
    return None


def _about(
    rng: random.Random, script: Script, kind: str, scene: int, thing: Thing, look: Look, held_out: bool
) -> Question | None:
    """A question of `kind` about the one thing that `look` fits, or None where its answer is not plain."""
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
    text = word(rng, kind, held_out=held_out, np=look.say(rng))
    return Question(kind, text, answer, (look,), evidence_of(script, (look,)), seconds)


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


def _one_thing(kind: str) -> Maker:
    def make(rng: random.Random, script: Script, held_out: bool) -> Question | None:
        for _ in range(_TRIES[kind]):
            found = _single(rng, script, _HIDDEN[kind])
            question = _about(rng, script, kind, *found, held_out) if found else None
            if question:
                return question
        return None

    return make


def related(rng: random.Random, script: Script, question: Question) -> list[Question]:
    """Questions of all kinds about the very thing that `question` is about, in words of their own; none where
    it names two things, or none."""
    if len(question.looks) != 1:
        return []
    look = question.looks[0]
    sightings = _sighting(script, look)
    if len(sightings) != 1:
        return []
    scene, thing = sightings[0]
    hidden = {
        "colour": look.colour,
        "shape": look.shape,
        "direction": look.action,
        "action": look.action,
        "text": look.text,
    }
    kinds = [kind for kind in _HIDDEN if hidden.get(kind) is None and (script.wide or kind in KINDS)]
    found = [_about(rng, script, kind, scene, thing, look, False) for kind in kinds]
    return [other for other in found if other]


def _exists(rng: random.Random, script: Script, held_out: bool) -> Question | None:
    seen = sorted(
        {look_of(t) for _, t in script.appearances}, key=lambda look: (look.shape, look.colour or "")
    )
    if rng.random() < 0.5:
        found = _single(rng, script, "") if rng.random() < 0.7 else None
        look = look_of(found[1]) if found else rng.choice(seen)
        answer = "yes"
    else:
        others = absent(script, seen)
        if not others:
            return None
        alike = [look for look in others if near(look, seen)]
        look = drawn(rng, alike if alike and rng.random() < (0.5 if script.wide else 0.8) else others)
        answer = "no"
    text = word(rng, "exists", held_out=held_out, a=look.say(rng, "a"))
    return Question("exists", text, answer, (look,), evidence_of(script, (look,)))


def _first(rng: random.Random, script: Script, held_out: bool) -> Question | None:
    uses = Counter(thing.name for _, thing in script.appearances)
    unique = [(scene, thing) for scene, thing in script.appearances if uses[thing.name] == 1]
    if len({scene for scene, _ in unique}) < 2:
        return None
    one = rng.choice(unique)
    two = rng.choice([other for other in unique if other[0] != one[0]])
    looks = tuple(look_of(thing) for _, thing in (one, two))
    text = word(rng, "first", held_out=held_out, a=looks[0].say(rng), b=looks[1].say(rng))
    earlier = one[1] if one[0] < two[0] else two[1]
    return Question("first", text, earlier.name, looks, evidence_of(script, looks))


_MAKERS: dict[str, Maker] = {
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
assert tuple(_MAKERS) == (*KINDS, *WHOLE_KINDS, *WIDE_KINDS)


def _wrong(rng: random.Random, script: Script, question: Question) -> list[str]:
    """Other answers of the same type, for multiple choice."""
    if question.kind == "exists":
        return ["no" if question.answer == "yes" else "yes"]
    if question.kind == "first":
        return [look.name for look in question.looks if look.name != question.answer]
    if question.kind == "never":
        return [look.name for look in question.looks[1:]]
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
    rng: random.Random, script: Script, question: Question, *, held_out: bool = False
) -> Question | None:
    """The same question as multiple choice; its answer becomes the letter. None where no options can be
    made."""
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
    looks = question.looks
    if question.kind == "never":
        looks = tuple(sorted(looks, key=lambda look: options.index(look.name)))
    return replace(question, text="\n".join(lines), answer=letter, options=tuple(options), looks=looks)


def ask(
    rng: random.Random, script: Script, *, kind: str, held_out: bool = False, choice: bool = False
) -> Question | None:
    """A question of `kind` about `script`, or None where the script allows none that has exactly one
    answer."""
    question = _MAKERS[kind](rng, script, held_out)
    choice = choice or kind == "never"
    return as_choice(rng, script, question, held_out=held_out) if question and choice else question

"""Questions about a clip in wordings of their own, open and as multiple choice, with their answers."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from .forms import FORMS
from .scenes import NAMES, PAINTS, WAYS, Clip, Scene, Thing

WINDOW = 4.0  # seconds by which a moment may be missed: a segment's length


@dataclass(frozen=True)
class Asked:
    """A question.

    Attributes:
        group: open, still, when, absent, count, or choice.
        form: of multiple choice, whose wording it is; else the kind of what is asked.
        answer: the right letter, word or number; of a moment the second.
    """

    group: str
    form: str
    text: str
    answer: str


def questions(clip: Clip) -> list[Asked]:
    """All that is asked about a clip: each kind once or twice, and every form of multiple choice."""
    rng = random.Random(f"asking/{clip.seed}")
    found: list[Asked] = []
    for kind in ("paint", "name", "motion"):
        for _, thing in _sample(rng, clip, 2, kind):
            text = rng.choice(_OPEN[kind]).format(_called(thing, kind))
            found.append(Asked("open", kind, text, _of(thing, kind)))
    for _, thing in _sample(rng, clip, 1, "stillness"):
        found.append(Asked("still", "motion", rng.choice(_STILL).format(thing.label), "still"))
    for scene, thing in _sample(rng, clip, 2):
        found.append(Asked("when", "when", rng.choice(_WHEN).format(thing.label), f"{scene.start}"))
    for scene, thing in _sample(rng, clip, 1):
        found.append(Asked("count", "count", rng.choice(_COUNT).format(thing.label), str(len(scene.things))))
    found += _there(rng, clip) + _first(rng, clip) + _choices(rng, clip)
    return found


def is_right(asked: Asked, said: str) -> bool:
    """Whether an answer is right: its first word, letter, number or moment is."""
    text = said.strip().lower()
    if asked.group == "when":
        number = re.search(r"\d+(?:\.\d+)?", text)
        return number is not None and abs(float(number[0]) - float(asked.answer)) <= WINDOW
    if asked.group == "still":
        return bool(re.search(r"\b(still|not move|doesn't move|stays|nowhere|no direction)\b", text))
    if asked.group == "choice":
        return re.sub(r"[().\s]+", " ", text).split()[:1] == [asked.answer.lower()]
    words = set(re.findall(r"[a-z0-9]+", text))
    return set(asked.answer.lower().split()) <= words


# {} is the thing, called by what is not asked for.
_OPEN = {
    "paint": (
        "whats the color of the {}",
        "The {} - which colour is that?",
        "What colour would you say the {} is?",
    ),
    "name": ("what kind of shape is the {}?", "The {} one, what shape is it", "Which shape is the {} thing?"),
    "motion": ("where's the {} heading?", "Which way is the {} moving?", "what direction does the {} go"),
}
_STILL = (
    "Which way does the {} move?",
    "does the {} move, and where to?",
    "What direction is the {} moving in?",
)
_WHEN = ("When does the {} show up?", "at what second do we first see the {}", "When can I see the {}?")
_COUNT = (
    "How many shapes are on screen with the {}, counting it?",
    "how many things are there when you see the {}",
)
_THERE = ("Is there a {} anywhere?", "do you ever see a {}", "Does a {} appear in this clip?")
_FIRST = ("Which one comes first, the {} or the {}?", "what do we see first: the {} or the {}")


def _called(thing: Thing, hidden: str) -> str:
    return {"paint": thing.name, "name": thing.paint}.get(hidden, thing.label)


def _of(thing: Thing, kind: str) -> str:
    return {"paint": thing.paint, "name": thing.name, "motion": thing.motion}[kind]


def _is_plain(clip: Clip, thing: Thing, kind: str) -> bool:
    """Whether what a question calls the thing by is no other thing's too."""
    called = _called(thing, kind)
    return sum(_called(other, kind) == called for _, other in clip.things) == 1


def _sample(rng: random.Random, clip: Clip, count: int, kind: str = "when") -> list[tuple[Scene, Thing]]:
    """Things about which a question of a kind has one right answer."""
    fitting = [
        (scene, thing)
        for scene, thing in clip.things
        if (kind not in ("motion", "stillness") or (thing.motion == "still") == (kind == "stillness"))
        and _is_plain(clip, thing, kind)
    ]
    return rng.sample(fitting, min(count, len(fitting)))


def _there(rng: random.Random, clip: Clip) -> list[Asked]:
    seen = {thing.label for _, thing in clip.things}
    missing = [f"{paint} {name}" for name in NAMES for paint in PAINTS if f"{paint} {name}" not in seen]
    return [
        Asked("absent", "exists", rng.choice(_THERE).format(rng.choice(missing)), "no"),
        Asked("open", "exists", rng.choice(_THERE).format(rng.choice(sorted(seen))), "yes"),
    ]


def _first(rng: random.Random, clip: Clip) -> list[Asked]:
    if len(clip.scenes) < 2:
        return []
    early, late = sorted(rng.sample(range(len(clip.scenes)), 2))
    one, two = rng.choice(clip.scenes[early].things).label, rng.choice(clip.scenes[late].things).label
    order = [one, two] if rng.random() < 0.5 else [two, one]
    return [Asked("open", "first", rng.choice(_FIRST).format(*order), one)]


def _choices(rng: random.Random, clip: Clip) -> list[Asked]:
    """One question in each form; its wrong options are on screen at some other time where that can be."""
    found = []
    for name, form in FORMS.items():
        kind = rng.choice(("paint", "name", "motion"))
        one = _sample(rng, clip, 1, kind)
        if not one:
            continue
        thing = one[0][1]
        right = _of(thing, kind)
        everywhere = {"paint": list(PAINTS), "name": list(NAMES), "motion": list(WAYS)}[kind]
        shown = sorted({_of(other, kind) for _, other in clip.things} - {right, "still"})
        rest = [value for value in everywhere if value != right and value not in shown]
        wrong = (rng.sample(shown, len(shown)) + rng.sample(rest, len(rest)))[:3]
        options = [right, *wrong]
        rng.shuffle(options)
        question = rng.choice(_OPEN[kind]).format(_called(thing, kind))
        label = form.labels[options.index(right)]
        found.append(Asked("choice", name, form.put(question, options), label))
    return found

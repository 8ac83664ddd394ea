"""What a question names, from its words alone, and where a script shows it."""

import re

from tempo.synthetic.pictures import PICTURES
from tempo.synthetic.script import Script, Thing
from tempo.synthetic.vocabulary import COLOURS, SHAPES

SIZE_WORDS = {"large": "large", "big": "large", "small": "small", "little": "small", "tiny": "small"}
NOUNS = (*SHAPES, "sign", *PICTURES)


def mentions(text: str) -> list[dict[str, str]]:
    """The things that TEXT names, read from its words alone."""
    found = []
    adjectives, nouns = "|".join([*SIZE_WORDS, *COLOURS]), "|".join([*NOUNS, "thing", "object", "shape"])
    pattern = rf"\b(?:the|an?)\s+((?:(?:{adjectives})\s+)*)({nouns})\b"
    for match in re.finditer(pattern, text.lower()):
        look = {}
        for word in match[1].split():
            look["size" if word in SIZE_WORDS else "colour"] = SIZE_WORDS.get(word, word)
        if match[2] in NOUNS:
            look["shape"] = match[2]
        after = text.lower()[match.end() :]
        written = re.match(r" (?:that says|with|saying) (\w+)(?: on it)?", after)
        if written and match[2] == "sign":
            look["text"] = written[1]
            after = after[written.end() :]
        motion = re.match(r" (?:that (?:moves|goes)|moving)(?: to the)? (left|right|up|down)", after)
        if motion:
            look["action"] = motion[1]
        if look:
            found.append(look)
    return found


VERBS = {"still": "stands still"} | {way: f"moves {way}" for way in ("left", "right", "up", "down")}


def answer(script: Script, kind: str, text: str) -> str:
    """The answer to the question TEXT, which names one thing, or two where it asks which comes first."""
    look, *others = mentions(text)
    found = matching(script, look)
    if kind == "exists":
        return "yes" if found else "no"
    ((index, thing),) = found
    if kind == "first":
        ((other_index, other),) = matching(script, others[0])
        return (thing if index < other_index else other).name
    scene = script.scenes[index]
    if kind == "after":
        (follower,) = script.scenes[index + 1].things
        return follower.name
    if kind == "beside":
        (other,) = (other for other in scene.things if other != thing)
        return other.name
    return {
        "colour": thing.colour,
        "shape": thing.shape,
        "direction": thing.action,
        "count": str(len(scene.things)),
        "when": f"{thing.start:.1f} seconds",
        "text": thing.text,
        "action": f"The {thing.name} {VERBS.get(thing.action, thing.action)}.",
    }[kind]


def matching(script: Script, look: dict[str, str]) -> list[tuple[int, Thing]]:
    return [
        (index, thing)
        for index, scene in enumerate(script.scenes)
        for thing in scene.things
        if all(getattr(thing, key) == value for key, value in look.items())
    ]

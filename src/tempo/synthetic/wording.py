"""Words questions: fills a template with a noun phrase and puts an opening before it."""

from __future__ import annotations

import random

from .templates import (
    GLOBAL_HELD_OUT,
    GLOBAL_TEMPLATES,
    HELD_OUT,
    TEMPLATES,
    WIDE_HELD_OUT,
    WIDE_TEMPLATES,
)

_ALL_TEMPLATES = TEMPLATES | GLOBAL_TEMPLATES | WIDE_TEMPLATES
_ALL_HELD_OUT = HELD_OUT | GLOBAL_HELD_OUT | WIDE_HELD_OUT

OPENINGS = (
    *("",) * 9,
    "In the video, ",
    "Look: ",
    "Please tell me: ",
    "Watch the video. ",
    "Answer this: ",
    "Tell me: ",
    "A question: ",
    "I want to know: ",
    "Have a look. ",
    "Please say: ",
    "Here is a video. ",
    "My question is this: ",
    "Now tell me: ",
    "Please look: ",
    "Please let me know: ",
    "Take a look at this. ",
)
OPENINGS_HELD_OUT = ("", "", "Please answer this: ", "Look at the video. ")

CHOICE_ENDINGS = (
    "Answer with the letter.",
    "Answer with the letter of the right option.",
    "Choose one letter.",
    "Which option is right? Answer with its letter.",
    "Give the letter of the right answer.",
    "Reply with one letter.",
    "Pick the right option and give its letter.",
)
CHOICE_ENDINGS_HELD_OUT = ("Answer with the option's letter.", "Choose the letter of the right option.")

_SIZE_WORDS = {"large": ("large", "big"), "small": ("small", "little", "tiny")}
_THING_WORDS = ("thing", "object", "shape")
_ACTION_WORDS = {
    "left": ("that moves left", "moving left", "that goes left", "moving to the left"),
    "right": ("that moves right", "moving right", "that goes right", "moving to the right"),
    "up": ("that moves up", "moving up", "that goes up"),
    "down": ("that moves down", "moving down", "that goes down"),
}
_TEXT_WORDS = ("that says {}", "with {} on it", "saying {}")


def noun_phrase(
    rng: random.Random,
    *,
    shape: str | None = None,
    colour: str | None = None,
    size: str | None = None,
    action: str | None = None,
    text: str | None = None,
    article: str = "the",
) -> str:
    """ "the large red star that moves left", or "the sign that says tea", with whatever attributes are
    given; `article` is "the", "a" or ""."""
    words = [rng.choice(_SIZE_WORDS[size])] if size else []
    words += [colour] if colour else []
    words.append(shape or rng.choice(_THING_WORDS[:2] if colour else _THING_WORDS))
    if text:
        words.append(rng.choice(_TEXT_WORDS).format(text))
    if action:
        words.append(rng.choice(_ACTION_WORDS[action]))
    if article == "a":
        article = "an" if words[0][0] in "aeiou" else "a"
    return " ".join([article, *words]) if article else " ".join(words)


def word(rng: random.Random, kind: str, *, held_out: bool, **phrases: str) -> str:
    """A question of `kind` in one of its wordings, with or without an opening, sometimes carelessly typed."""
    wordings = _ALL_HELD_OUT if held_out else _ALL_TEMPLATES
    text = rng.choice(wordings[kind]).format(**phrases)
    opening = rng.choice(OPENINGS_HELD_OUT if held_out else OPENINGS)
    if opening.endswith((", ", ": ")):
        text = opening + text[0].lower() + text[1:]
    else:
        text = opening + text[0].upper() + text[1:]
    if not held_out and rng.random() < 0.12:
        text = text.lower().rstrip("?.")
    return text

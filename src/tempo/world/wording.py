"""How questions are worded. Held-out wordings are never trained on; they test that words, not templates, are
read.

In a template `{np}` stands for a noun phrase with its article ("the red star"), `{a}` and `{b}` for two of
them.
"""

from __future__ import annotations

import random

TEMPLATES: dict[str, tuple[str, ...]] = {
    "colour": (
        "What colour is {np}?",
        "What color is {np}?",
        "What is the colour of {np}?",
        "What is the color of {np}?",
        "Which colour does {np} have?",
        "Tell me the colour of {np}.",
        "Name the color of {np}.",
        "{np}: what colour is it?",
        "Of what colour is {np}?",
    ),
    "shape": (
        "What shape is {np}?",
        "What is the shape of {np}?",
        "Which shape does {np} have?",
        "What kind of shape is {np}?",
        "Tell me the shape of {np}.",
        "Name the shape of {np}.",
        "{np}: what shape is it?",
    ),
    "direction": (
        "Which way does {np} move?",
        "Which way does {np} go?",
        "In which direction does {np} move?",
        "What direction does {np} go in?",
        "Where does {np} move to?",
        "Tell me which way {np} moves.",
        "{np}: which way does it go?",
    ),
    "exists": (
        "Is there {a}?",
        "Is there {a} in the video?",
        "Can you see {a}?",
        "Do you see {a} anywhere?",
        "Does {a} appear?",
        "Does {a} appear in the video?",
        "Does the video show {a}?",
    ),
    "count": (
        "How many things are on screen when {np} is there?",
        "How many things are there together with {np}, counting it?",
        "When {np} is on screen, how many things can you see?",
        "How many objects can you see when {np} is on screen?",
        "Count the things in the scene with {np}.",
        "How many things are in the scene with {np}?",
    ),
    "when": (
        "When does {np} appear?",
        "When is {np} on screen?",
        "When can you see {np}?",
        "At what time does {np} appear?",
        "At what second is {np} first on screen?",
        "Tell me when {np} appears.",
        "{np}: when is it there?",
        "At what time is {np} there?",
    ),
    "first": (
        "Which comes first, {a} or {b}?",
        "What comes first, {a} or {b}?",
        "Which appears first: {a} or {b}?",
        "Which is there first, {a} or {b}?",
        "Tell me which comes first, {a} or {b}.",
        "Do you see {a} or {b} first?",
    ),
    "after": (
        "What comes after {np}?",
        "What comes right after {np}?",
        "What appears after {np}?",
        "What can you see after {np}?",
        "Which thing comes after {np}?",
        "Tell me what comes right after {np}.",
        "What is on screen right after {np}?",
    ),
}

HELD_OUT: dict[str, tuple[str, ...]] = {
    "colour": ("Which colour is {np}?", "What colour does {np} have?", "Can you tell me the color of {np}?"),
    "shape": ("Which shape is {np}?", "What shape does {np} have?", "Can you name the shape of {np}?"),
    "direction": (
        "What way does {np} go?",
        "In which direction does {np} go?",
        "Can you tell me which way {np} moves?",
    ),
    "exists": ("Does the video have {a}?", "Do you see {a} in the video?", "Can you see {a} anywhere?"),
    "count": (
        "How many objects are on screen together with {np}, counting it?",
        "How many things can you see when {np} is there?",
    ),
    "when": ("At what second does {np} appear?", "At what time can you see {np}?", "When is {np} there?"),
    "first": ("Which can you see first, {a} or {b}?", "What appears first: {a} or {b}?"),
    "after": (
        "Which thing appears right after {np}?",
        "What is there after {np}?",
        "Tell me what appears after {np}.",
    ),
}

KINDS = tuple(TEMPLATES)

# Questions about the whole of a video.
WHOLE_TEMPLATES: dict[str, tuple[str, ...]] = {
    "times": (
        "How many times does {a} appear?",
        "How often does {a} appear?",
        "How often can you see {a}?",
        "Count how many times {a} appears.",
        "In how many scenes is there {a}?",
    ),
    "never": (
        "Which of these never appears?",
        "Which of these is never on screen?",
        "Which one of these does not appear?",
        "What of this can you never see?",
    ),
    "summary": (
        "What happens in the video?",
        "Summarise the video.",
        "Summarize the video with times.",
        "Tell me what appears in the video, in order, with times.",
        "What appears, and when?",
    ),
}
WHOLE_HELD_OUT: dict[str, tuple[str, ...]] = {
    "times": ("How many times can you see {a}?", "In how many scenes does {a} appear?"),
    "never": ("Which of these can you never see?", "Which of these is not in the video?"),
    "summary": ("Give me a summary of the video.", "What can you see, in order, with times?"),
}
WHOLE_KINDS = tuple(WHOLE_TEMPLATES)

# Questions about what the wide world adds.
WIDE_TEMPLATES: dict[str, tuple[str, ...]] = {
    "text": (
        "What is written on {np}?",
        "What does {np} say?",
        "Which word or number is on {np}?",
        "What can you read on {np}?",
        "Read what is written on {np}.",
    ),
    "action": (
        "What does {np} do?",
        "What is {np} doing?",
        "What happens to {np}?",
        "Tell me what {np} does.",
        "Describe what {np} does.",
    ),
    "beside": (
        "What is on screen together with {np}?",
        "What else is there when {np} is there?",
        "What is there beside {np}?",
        "Which thing is in the scene with {np}?",
        "What can you see together with {np}?",
    ),
}
WIDE_HELD_OUT: dict[str, tuple[str, ...]] = {
    "text": ("What is on {np} to read?", "Tell me what is written on {np}."),
    "action": ("What can you see {np} do?", "Tell me what {np} is doing."),
    "beside": ("Which thing is there together with {np}?", "What else can you see when {np} is on screen?"),
}
WIDE_KINDS = tuple(WIDE_TEMPLATES)

# Questions about what an earlier question was about; "again" asks for what comes after what came after.
FOLLOW_UPS: dict[str, tuple[str, ...]] = {
    "colour": ("What colour is it?", "And what color is it?", "What is its colour?"),
    "shape": ("What shape is it?", "And what is its shape?"),
    "direction": ("Which way does it move?", "And which way does it go?", "Where does it go?"),
    "count": ("How many things are on screen then?", "And how many things are there with it, counting it?"),
    "when": ("When does it appear?", "And when is that?", "At what second is it there?"),
    "after": ("What comes after it?", "And what comes next?", "What is there right after it?"),
    "again": ("And after that?", "What comes after that?", "And then?"),
    "text": ("What is written on it?", "And what does it say?"),
    "action": ("What does it do?", "And what happens to it?"),
    "beside": ("What else is there then?", "And what is there with it?"),
}
FOLLOW_UPS_HELD_OUT: dict[str, tuple[str, ...]] = {
    "colour": ("Which colour does it have?", "And its color?"),
    "shape": ("Which shape does it have?",),
    "direction": ("What way does it go?", "In which direction does it move?"),
    "count": ("How many things can you see then?",),
    "when": ("At what time is it there?", "And when can you see it?"),
    "after": ("What appears after it?",),
    "again": ("And what appears after that?", "What is next after that?"),
    "text": ("What can you read on it?",),
    "action": ("What is it doing?",),
    "beside": ("What else can you see then?",),
}

_ALL_TEMPLATES = TEMPLATES | WHOLE_TEMPLATES | WIDE_TEMPLATES
_ALL_HELD_OUT = HELD_OUT | WHOLE_HELD_OUT | WIDE_HELD_OUT

OPENINGS = (
    "",
    "",
    "",
    "",
    "In the video, ",
    "Look: ",
    "Please tell me: ",
    "Watch the video. ",
    "Answer this: ",
)
OPENINGS_HELD_OUT = ("", "", "Please answer this: ", "Look at the video. ")

CHOICE_ENDINGS = (
    "Answer with the letter.",
    "Answer with the letter of the right option.",
    "Choose one letter.",
    "Which option is right? Answer with its letter.",
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

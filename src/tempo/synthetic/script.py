"""Scripts: what a synthetic video shows, scene by scene. Rendering and questions both follow from them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .pictures import PICTURES
from .vocabulary import (
    ACTIONS,
    BACKGROUNDS,
    CHANGES,
    COLOURS,
    DIRECTIONS,
    NUMBERS,
    PICTURE_SIZES,
    SHAPES,
    SIGN,
    SIGN_RADIUS,
    SIZES,
    WIDE_BACKGROUNDS,
    WORDS,
)

SCENE_SECONDS = (3.0, 8.0)
LONGEST_QUICK = 600.0  # seconds: scenes of longer videos are longer
DENSE_SECONDS = 512.0  # what 1024 frames at the usual two a second show
BLINK_SECONDS = (1.0, 0.6)  # of a blinking thing: to be seen, and not
TURN_SECONDS = 4.0
SMALLEST = 0.4  # of its radius, that a thing grows from or shrinks to


@dataclass(frozen=True)
class Thing:
    """One thing in one scene. Lengths are in units of the frame's shorter edge, times in seconds of the
    video.

    Attributes:
        shape: one of SHAPES, SIGN, or the name of a picture.
        colour: "" for a picture.
        text: what is written on a sign.
        tilt: radians by which a picture is turned clockwise.
        covered: the share of a picture's width that is hidden, from the left, or, negative, from the right.
        pace: how many times slower than usual it blinks and turns (`pace_of`).
    """

    shape: str
    colour: str
    size: str
    action: str
    radius: float
    path: tuple[float, float, float, float]  # centre at the scene's start (x, y) and at its end (x, y)
    start: float  # when it is first visible
    end: float  # when it stops being visible
    text: str = ""
    tilt: float = 0.0
    covered: float = 0.0
    pace: float = 1.0

    @property
    def moves(self) -> bool:
        """Whether it moves in one of the four directions."""
        return self.action in DIRECTIONS

    @property
    def name(self) -> str:
        """Colour and shape, as answers name it."""
        return f"{self.colour} {self.shape}".strip()

    def seen(self, time: float) -> bool:
        """Whether it is there at `time`."""
        if not self.start <= time < self.end:
            return False
        on, off = BLINK_SECONDS
        return self.action != "blinks" or (time - self.start) / self.pace % (on + off) < on


@dataclass(frozen=True)
class Background:
    """How a scene's backdrop looks; `seed` fixes everything that the kind leaves open."""

    kind: str
    seed: int


@dataclass(frozen=True)
class Scene:
    """One scene: its things in front of a background, from `start` to `end` (seconds of the video)."""

    start: float
    end: float
    background: Background
    things: tuple[Thing, ...]

    def at(self, thing: Thing, time: float) -> tuple[float, float]:
        """Centre of `thing` at `time`, in units of the shorter edge."""
        share = (time - self.start) / (self.end - self.start)
        x0, y0, x1, y1 = thing.path
        return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share

    def radius(self, thing: Thing, time: float) -> float:
        """How large `thing` is at `time`, in units of the shorter edge."""
        if thing.action not in ("grows", "shrinks"):
            return thing.radius
        share = (time - self.start) / (self.end - self.start)
        return thing.radius * (SMALLEST + (1 - SMALLEST) * (share if thing.action == "grows" else 1 - share))

    def angle(self, thing: Thing, time: float) -> float:
        """By how many radians `thing` is turned clockwise at `time`."""
        turned = (time - self.start) / (TURN_SECONDS * thing.pace) if thing.action == "turns" else 0.0
        return thing.tilt + 2 * math.pi * turned


@dataclass(frozen=True)
class Script:
    """A whole video: its duration in seconds, its aspect ratio (width ÷ height), its scenes in order, and
    whether it is wide: with pictures, signs and things that change."""

    duration: float
    aspect: float
    scenes: tuple[Scene, ...]
    wide: bool = False

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in units of the shorter edge."""
        return (self.aspect, 1.0) if self.aspect >= 1 else (1.0, 1 / self.aspect)

    @property
    def appearances(self) -> list[tuple[int, Thing]]:
        """Every thing with the index of its scene, in order."""
        return [(index, thing) for index, scene in enumerate(self.scenes) for thing in scene.things]


@dataclass(frozen=True)
class Cast:
    """The shapes and colours that a script may use.

    Long videos keep some of them rare, so that questions have one answer. A wide one has pictures, signs and
    changes too.
    """

    shapes: tuple[str, ...] = SHAPES
    colours: tuple[str, ...] = tuple(COLOURS)
    wide: bool = False


def _route(rng: random.Random, action: str, radius: float, extent: tuple[float, float]) -> tuple[float, ...]:
    width, height = extent
    margin = radius * 0.9
    x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
    if action not in DIRECTIONS:
        return x, y, x, y
    dx, dy = DIRECTIONS[action]
    room = (width if dx else height) - 2 * margin
    length = room * rng.uniform(0.65, 1.0)
    low = margin + (room - length) * rng.random()
    ends = (low, low + length) if dx + dy > 0 else (low + length, low)
    return (ends[0], y, ends[1], y) if dx else (x, ends[0], x, ends[1])


def _apart(a: tuple[float, ...], b: tuple[float, ...], distance: float) -> bool:
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        dx = (a[0] + (a[2] - a[0]) * step) - (b[0] + (b[2] - b[0]) * step)
        dy = (a[1] + (a[3] - a[1]) * step) - (b[1] + (b[3] - b[1]) * step)
        if dx * dx + dy * dy < distance * distance:
            return False
    return True


@dataclass(frozen=True)
class _Draft:
    """The random attributes of a thing before it gets a place."""

    shape: str
    colour: str
    size: str
    action: str
    radius: float
    text: str = ""
    tilt: float = 0.0
    covered: float = 0.0


def _plain_draft(
    rng: random.Random, cast: Cast, look: tuple[str, str] | None, size: str | None, used: set[tuple[str, str]]
) -> _Draft | None:
    """A plain shape, of a given (shape, colour) or any; None where that is used."""
    shape, colour = rng.choice(cast.shapes), rng.choice(cast.colours)
    if look:
        shape, colour = look
    if (shape, colour) in used:
        return None
    size = size or rng.choice(tuple(SIZES))
    action = rng.choices(ACTIONS, (2, 2, 2, 2, 2, 1, 1))[0]
    return _Draft(shape, colour, size, action, rng.uniform(*SIZES[size]))


def _draft(rng: random.Random, cast: Cast, size: str | None) -> _Draft:
    """A thing of a wide script: half of them are pictures, one in seven is a sign."""
    luck = rng.random()
    if luck < 0.15:
        text = rng.choice(rng.choice((WORDS, NUMBERS)))
        action = rng.choices((*ACTIONS, "blinks"), (2, 2, 2, 2, 4, 1, 1, 1))[0]
        return _Draft(SIGN, rng.choice(cast.colours), "large", action, rng.uniform(*SIGN_RADIUS), text)
    shape = rng.choice(cast.shapes if luck < 0.45 else PICTURES)
    is_picture = luck >= 0.45
    action = rng.choices((*ACTIONS, *CHANGES), (2, 2, 2, 2, 2, 1, 1, 1.2, 1.2, 1.2, 1.2))[0]
    if action == "turns" and shape in ("circle", "ring"):
        action = "still"
    size = size or rng.choices(tuple(SIZES), (3, 1) if is_picture else (1, 1))[0]
    if action in ("grows", "shrinks"):
        size = "large"
    radius = rng.uniform(*(PICTURE_SIZES if is_picture else SIZES)[size])
    tilt = rng.uniform(-0.5, 0.5) if is_picture else 0.0
    covered = rng.choice((-1, 1)) * rng.uniform(0.2, 0.35) if is_picture and rng.random() < 0.15 else 0.0
    return _Draft(
        shape, "" if is_picture else rng.choice(cast.colours), size, action, radius, "", tilt, covered
    )


def make_scene(
    rng: random.Random,
    start: float,
    end: float,
    extent: tuple[float, float],
    *,
    cast: Cast = Cast(),
    count: int | None = None,
    first: tuple[str, str] | None = None,
    backgrounds: tuple[str, ...] = BACKGROUNDS,
    pace: float = 1.0,
) -> Scene:
    """Make a random scene of up to `count` things (None: one to three) that do not cover each other.

    `first` fixes the (shape, colour) of the first thing. No look is used twice in a scene.
    """
    wanted = count or rng.choices((1, 2, 3), (0.45, 0.33, 0.22))[0]
    things: list[Thing] = []
    for attempt in range(wanted * 8):
        if len(things) == wanted:
            break
        given = first if first and not things else None
        late = "small" if attempt >= wanted * 4 else None
        used = {(t.shape, t.colour) for t in things}
        draft: _Draft | None
        if cast.wide and not given:
            draft = _draft(rng, cast, late)
        else:
            draft = _plain_draft(rng, cast, given, late, used)
        if draft is None or (draft.shape, draft.colour) in used:
            continue
        path = _route(rng, draft.action, draft.radius, extent)
        if not all(_apart(path, t.path, (draft.radius + t.radius) * 0.95) for t in things):
            continue
        change = start + (end - start) * rng.uniform(0.35, 0.65)
        things.append(
            Thing(
                **vars(draft),
                path=(path[0], path[1], path[2], path[3]),
                start=change if draft.action == "appears" else start,
                end=change if draft.action == "disappears" else end,
                pace=pace,
            )
        )
    background = Background(rng.choice(backgrounds), rng.getrandbits(31))
    return Scene(start, end, background, tuple(things))


def pace_of(duration: float) -> float:
    """How much slower a video of `duration` seconds is than one of ten minutes.

    A model that takes 1024 frames at most takes fewer of every second of a longer video. Scenes last longer
    by as much, so that a segment of eight frames still shows one or two of them.
    """
    return duration / DENSE_SECONDS if duration > LONGEST_QUICK else 1.0


def make_script(
    rng: random.Random,
    *,
    duration: float,
    aspect: float = 16 / 9,
    pace: float | None = None,
    needles: int | None = None,
    wide: bool = False,
) -> Script:
    """Make a random script of `duration` seconds whose scenes last SCENE_SECONDS times `pace`.

    Up to a dozen scenes anything goes. Longer videos keep three shapes and three colours rare: they appear
    only in `needles` scenes, each with a look of its own, so that a question about one of them has one answer
    however long the video is.

    Args:
        pace: see `pace_of`, which is the default.
        needles: number of scenes with something rare; about one in ten by default.
        wide: whether there are pictures, signs, things that change, and moving backgrounds.
    """
    pace = pace or pace_of(duration)
    shortest, longest = (seconds * pace for seconds in SCENE_SECONDS)
    cuts = [0.0]
    while cuts[-1] < duration:
        cuts.append(cuts[-1] + rng.uniform(shortest, longest))
    if len(cuts) > 2 and duration - cuts[-2] < shortest:
        cuts.pop(-2)
    cuts[-1] = duration
    spans = list(pairwise(cuts))
    extent = (aspect, 1.0) if aspect >= 1 else (1.0, 1 / aspect)

    cast, starring = Cast(wide=wide), {}
    if len(spans) > 12:
        shapes, colours = rng.sample(SHAPES, 8), rng.sample(tuple(COLOURS), 8)
        cast = Cast(tuple(shapes[3:]), tuple(colours[3:]), wide)
        looks = [(s, c) for s in shapes for c in colours if s in shapes[:3] or c in colours[:3]]
        # First looks in which the rare shape or colour occurs only once: they carry "what colour is the
        # star?".
        alone = [(shapes[0], rng.choice(colours[3:])), (rng.choice(shapes[3:]), colours[0])]
        rest = [look for look in looks if look[0] != shapes[0] and look[1] != colours[0]]
        wanted = min(needles or max(6, len(spans) // 10), len(spans) // 2, len(rest) + 2)
        chosen = (alone + rng.sample(rest, len(rest)))[:wanted]
        starring = dict(zip(rng.sample(range(len(spans)), wanted), chosen, strict=True))

    scenes = []
    for index, (start, end) in enumerate(spans):
        scene = make_scene(
            rng,
            start,
            end,
            extent,
            cast=cast,
            first=starring.get(index),
            backgrounds=WIDE_BACKGROUNDS if wide else BACKGROUNDS,
            pace=pace,
        )
        scenes.append(scene)
    return Script(duration, aspect, tuple(scenes), wide)


def shift(script: Script, seconds: float) -> Script:
    """The same script as if it began `seconds` later: how a piece out of the middle of a long video looks."""
    scenes = tuple(
        replace(
            scene,
            start=scene.start + seconds,
            end=scene.end + seconds,
            things=tuple(replace(t, start=t.start + seconds, end=t.end + seconds) for t in scene.things),
        )
        for scene in script.scenes
    )
    return replace(script, duration=script.duration + seconds, scenes=scenes)


def crop(script: Script, times: Sequence[float]) -> Script:
    """What of `script` can be seen in frames taken at `times`: scenes and things that are in none of them
    are left out."""
    scenes = []
    for scene in script.scenes:
        things = tuple(
            t for t in scene.things if any(scene.start <= x < scene.end and t.seen(x) for x in times)
        )
        if things:
            scenes.append(replace(scene, things=things))
    return replace(script, scenes=tuple(scenes))

"""What a clip shows: scenes of one to three solid things on changing backdrops, and what each does."""

from __future__ import annotations

import random
from dataclasses import dataclass

NAMES = ("circle", "square", "triangle", "star", "heart", "diamond")
# Other values than a designer would take for pure colours, and none that two names could fit.
PAINTS: dict[str, tuple[int, int, int]] = {
    "red": (196, 28, 34),
    "green": (38, 140, 52),
    "blue": (32, 74, 196),
    "yellow": (240, 208, 30),
    "orange": (236, 122, 20),
    "purple": (122, 40, 160),
    "pink": (238, 130, 180),
    "white": (236, 236, 232),
}
BACKDROPS = ("linen", "planks", "dusk", "tiles", "fog")
WAYS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}


@dataclass(frozen=True)
class Thing:
    """One solid thing.

    Attributes:
        motion: a key of WAYS, or "still".
        size: radius as a share of the frame's height.
        middle: where it is halfway through its scene, as shares of width and height.
        travel: how far it gets, as a share of the frame's shorter edge.
    """

    name: str
    paint: str
    motion: str
    size: float
    middle: tuple[float, float]
    travel: float

    @property
    def label(self) -> str:
        return f"{self.paint} {self.name}"


@dataclass(frozen=True)
class Scene:
    """Things that are together on screen from `start` to `end`, in seconds."""

    start: float
    end: float
    backdrop: str
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Clip:
    """A whole clip; `size` is (width, height) in pixels."""

    scenes: tuple[Scene, ...]
    size: tuple[int, int]
    fps: int
    seed: str

    @property
    def seconds(self) -> float:
        return self.scenes[-1].end

    @property
    def things(self) -> list[tuple[Scene, Thing]]:
        return [(scene, thing) for scene in self.scenes for thing in scene.things]


def compose(seed: str, *, seconds: float = 24.0) -> Clip:
    """A clip of that length. No two of its things have the same name and paint."""
    rng = random.Random(f"second hand/{seed}")
    size = rng.choice(((480, 270), (400, 300), (320, 320), (270, 480)))
    labels = [(name, paint) for name in NAMES for paint in PAINTS]
    rng.shuffle(labels)
    scenes: list[Scene] = []
    at = 0.0
    while at < seconds - 0.01:
        length = min(rng.uniform(2.5, 5.5), seconds - at)
        if seconds - at - length < 2.5:
            length = seconds - at
        count = rng.choice((1, 1, 1, 2, 2, 3))
        things = tuple(_thing(rng, *labels.pop(), place, count) for place in range(count))
        scenes.append(Scene(round(at, 3), round(at + length, 3), rng.choice(BACKDROPS), things))
        at += length
    return Clip(tuple(scenes), size, rng.choice((6, 10, 12)), seed)


def _thing(rng: random.Random, name: str, paint: str, place: int, count: int) -> Thing:
    across = (place + 0.5) / count
    return Thing(
        name,
        paint,
        rng.choice((*WAYS, *WAYS, "still", "still")),
        rng.uniform(0.11, 0.16) if count > 1 else rng.uniform(0.13, 0.22),
        (across if count > 1 else rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6)),
        rng.uniform(0.28, 0.45) / (1 if count == 1 else 1.3),
    )

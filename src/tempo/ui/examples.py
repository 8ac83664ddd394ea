"""Synthetic example videos to try the page with. Each is rendered when it is first opened."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from tempo.markup import jpeg
from tempo.serving.api_errors import ApiError
from tempo.synthetic.render import render
from tempo.synthetic.script import Script, make_script
from tempo.synthetic.video_files import ASPECTS, FileSpec, write_video

from .frames import HEIGHT


@dataclass(frozen=True)
class Example:
    """A video that opens with one click.

    Attributes:
        id: its name in addresses and files.
        about: what is in it, in one short sentence.
        questions: two that its script has answers to, and that may follow one another.
    """

    id: str
    title: str
    about: str
    spec: FileSpec
    questions: tuple[str, str]

    @cached_property
    def script(self) -> Script:
        """What happens in it."""
        rng = random.Random(f"{self.id}/{'held-out' if self.spec.held_out else 'train'}")
        aspect = ASPECTS[self.spec.aspect]
        return make_script(rng, duration=self.spec.seconds, aspect=aspect, wide=self.spec.wide)

    @cached_property
    def picture(self) -> bytes:
        """A frame of it as JPEG, from the middle of its liveliest scene."""
        scene = max(self.script.scenes, key=lambda one: len(one.things))
        width, height = self.spec.size
        size = (round(HEIGHT * 2 * width / height), HEIGHT * 2)
        time = np.array([(scene.start + scene.end) / 2])
        return jpeg(render(self.script, time, size, held_out=self.spec.held_out)[0])


EXAMPLES = (
    Example(
        "shapes", "Two minutes of shapes", "Coloured shapes cross the picture, one scene after another.",
        FileSpec(seconds=120, height=240, fps=6, held_out=True),
        ("Which way does the orange triangle go?", "When is the orange triangle there?"),
    ),
    Example(
        "things", "Everyday things", "A minute and a half of things that move, turn and grow.",
        FileSpec(seconds=90, height=240, fps=6, wide=True),
        ("What is the house doing?", "When is the house on screen?"),
    ),
    Example(
        "phone", "Upright, as from a phone", "Shapes again, in a picture that is higher than wide.",
        FileSpec(seconds=60, height=240, fps=6, aspect="9:16", held_out=True),
        ("What colour is the cross that moves right?", "When is the red cross there?"),
    ),
)  # fmt: skip


def example(identity: str) -> Example:
    """Raises ApiError where there is none of that name."""
    found = next((one for one in EXAMPLES if one.id == identity), None)
    if found is None:
        raise ApiError(404, f"{identity[:200]}: no such example; choose one that is listed", param="example")
    return found


class ExampleFiles:
    """The files of the examples in a folder. Two visitors who open the same one render it once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = lru_cache(lambda identity: threading.Lock())

    def get(self, one: Example, progress: Callable[[int, int], None]) -> Path:
        """The file, rendered if need be; PROGRESS is called with (frames rendered, frames to render)."""
        path = self._folder / f"{one.id}.mp4"
        with self._lock(one.id):
            if not path.is_file():
                self._folder.mkdir(parents=True, exist_ok=True)
                write_video(one.script, path, one.spec, progress=progress)
        return path

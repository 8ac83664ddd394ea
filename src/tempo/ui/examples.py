"""Films of the drawn world to try the page with, made when somebody first opens one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tempo.synthetic.video_files import FileSpec, make_file

from .client import Drawing, Source

ASKED = ("direction", "colour", "when", "shape")  # kinds of questions that are offered, one each


@dataclass(frozen=True)
class Example:
    """A film that can be opened with one click."""

    title: str
    spec: FileSpec


EXAMPLES = (
    Example("Half a minute of shapes", FileSpec(seconds=30, height=240, fps=10)),
    Example("Three minutes of shapes", FileSpec(seconds=180, height=240, fps=10, held_out=True)),
    Example("Upright, one minute", FileSpec(seconds=60, height=240, fps=10, aspect="9:16", held_out=True)),
)


class Shelf:
    """The examples in a folder; two visitors who open the same one make it once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def get(self, example: Example, report: Callable[[Drawing], None]) -> Source:
        """Make the film where it is not there yet."""
        path = self._folder / f"{example.title.lower().replace(',', '').replace(' ', '-')}.mp4"
        with self._lock:
            if not path.with_suffix(".json").is_file():
                self._folder.mkdir(parents=True, exist_ok=True)
                make_file(
                    path,
                    example.spec,
                    seed=example.title,
                    questions=24,
                    progress=lambda done, total: report(Drawing(done, total)),
                )
        truth = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        open_ended = [q for q in truth["questions"] if not q["options"]]
        offered = (next((q["text"] for q in open_ended if q["kind"] == kind), None) for kind in ASKED)
        return Source(path, example.title, tuple(text for text in offered if text))

"""Synthetic example videos to try the page with, each rendered when it is first opened."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tempo.synthetic.video_files import FileSpec, make_file

from .client import RenderProgress, VideoSource

SUGGESTED_KINDS = ("direction", "colour", "when", "shape")  # one question of each is suggested


@dataclass(frozen=True)
class ExampleVideo:
    """A video that opens with one click."""

    title: str
    spec: FileSpec


EXAMPLES = (
    ExampleVideo("Half a minute of shapes", FileSpec(seconds=30, height=240, fps=10)),
    ExampleVideo("Three minutes of shapes", FileSpec(seconds=180, height=240, fps=10, held_out=True)),
    ExampleVideo(
        "Upright, one minute", FileSpec(seconds=60, height=240, fps=10, aspect="9:16", held_out=True)
    ),
)


class ExampleVideos:
    """The example videos in a folder. Two sessions that open the same one render it once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def get(self, example: ExampleVideo, report: Callable[[RenderProgress], None]) -> VideoSource:
        """Return the file of an example with questions to suggest; render it if need be."""
        path = self._folder / f"{example.title.lower().replace(',', '').replace(' ', '-')}.mp4"
        with self._lock:
            if not path.with_suffix(".json").is_file():
                self._folder.mkdir(parents=True, exist_ok=True)
                make_file(
                    path,
                    example.spec,
                    seed=example.title,
                    questions=24,
                    progress=lambda done, total: report(RenderProgress(done, total)),
                )
        truth = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        open_ended = [q for q in truth["questions"] if not q["options"]]
        offered = (
            next((q["text"] for q in open_ended if q["kind"] == kind), None) for kind in SUGGESTED_KINDS
        )
        return VideoSource(path, example.title, tuple(text for text in offered if text))

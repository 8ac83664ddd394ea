"""From arguments to a model and its options, in the same way for every verb."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .options import given

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo
    from tempo.video.video import Video

MODEL_OPTIONS = ("base", "device", "dtype", "attention")
WATCH_OPTIONS = ("fps", "max_frames")
ANSWER_OPTIONS = ("budget", "adaptive", "keep", "max_new_tokens", "temperature")


def open_video(path: str) -> Video:
    """Open what is to be watched, and show how far that is where it has to be downloaded first."""
    import tempo
    from tempo.console import counting
    from tempo.video.remote import scheme_of

    if not scheme_of(path):
        return tempo.Video.open(path)
    with counting("downloading", "MB", before="connecting", after="downloading") as move:

        def progress(done: int, total: int | None) -> None:
            megabytes = done // 1_000_000
            move(megabytes, megabytes if total is None else max(1, -(-total // 1_000_000)))

        return tempo.Video.open(path, progress=progress)


def load_model(args: argparse.Namespace) -> Tempo:
    """Load the model that the shared options name."""
    import tempo

    return tempo.load(args.model, **given(args, *MODEL_OPTIONS))


def remark_on_watching(args: argparse.Namespace) -> None:
    """Say what one would not expect of what the user asked for."""
    from tempo.console import say

    if args.max_frames == 1:
        say("--max-frames 1: the first frame alone is watched, as if the video were a picture of it")


def answer_options(args: argparse.Namespace) -> dict[str, Any]:
    """What the user said about answering, as keyword arguments of `Session.ask`."""
    return given(args, *ANSWER_OPTIONS)

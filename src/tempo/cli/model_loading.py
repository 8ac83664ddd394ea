"""Open the video, load the model and watch, in the same way for every command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from .options import given

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo
    from tempo.inference.session import Session
    from tempo.serving.client import ServerClient
    from tempo.video.video import Video

MODEL_OPTIONS = ("base", "device", "devices", "dtype", "attention")
WATCH_OPTIONS = ("fps", "max_frames", "sampling")
ANSWER_OPTIONS = ("budget", "adaptive", "keep", "max_new_tokens", "temperature")


def open_video(path: str) -> Video:
    """Open a video, with a progress bar if it is downloaded first."""
    import tempo
    from tempo.console import download_bar
    from tempo.video.remote import scheme_of

    if not scheme_of(path):
        return tempo.Video.open(path)
    with download_bar() as progress:
        return tempo.Video.open(path, progress=progress)


def load_model(args: argparse.Namespace) -> Tempo:
    """Load the model that the shared options name."""
    import tempo

    return tempo.load(args.model, **given(args, *MODEL_OPTIONS))


def server_client(args: argparse.Namespace) -> ServerClient:
    """A client of the server that --server names.

    Raises:
        UsageError: that is no address, or an option says how to load a model here.
    """
    import os

    from tempo.errors import UsageError
    from tempo.serving.client import ServerClient

    refused = [*given(args, "model", *MODEL_OPTIONS, "decode_workers")]
    refused += ["cache"] if args.cache != "auto" else []
    refused += ["ray"] if getattr(args, "ray", None) is not None else []  # not every command has it
    if refused:
        name = refused[0].replace("_", "-")
        raise UsageError(f"--{name} does not go with --server: the server has its own; omit it")
    return ServerClient(args.server, key=os.environ.get("TEMPO_API_KEY"))


@contextmanager
def watched(
    args: argparse.Namespace, video: Video, *, then: str = "", several: bool = False
) -> Iterator[Session]:
    """Load the model, watch VIDEO and yield the session; warnings follow once the block has succeeded.

    The file is decoded while the model loads. Where neither can be used, the error is about the model.
    A progress bar shows how far it is. It stays for the block, labelled THEN.
    """
    from tempo.console import progress_bar
    from tempo.loader import find

    with progress_bar("watching", "frames", before="loading", after=then) as progress:
        found = find(args.model, **given(args, *MODEL_OPTIONS), ray=args.ray)
        sampling = given(args, *WATCH_OPTIONS)
        video.decode_workers = args.decode_workers or "auto"
        with ExitStack() as until_watched:
            until_watched.enter_context(found.decoding(video, **sampling))
            model = found.load()
            session = model.watch(video, cache=args.cache, several=several, progress=progress, **sampling)
            if session.is_cached:
                until_watched.close()
            yield session
    _warn(args, session)


def warn_about_one_frame(args: argparse.Namespace) -> None:
    """Say on stderr what a limit of one frame means, if that is what the user asked for."""
    from tempo.console import say

    if args.max_frames == 1:
        say("--max-frames 1: only the first frame is watched, as a still image")


def _warn(args: argparse.Namespace, session: Session) -> None:
    """Say on stderr why the results may be worse than the user expects."""
    from tempo.console import say

    warn_about_one_frame(args)
    for warning in session.warnings:
        say(warning)
    video = session.video_info
    if video.lost:
        reasons = "; ".join(dict.fromkeys(span.reason for span in video.lost))
        say(
            f"{video.path or 'frames'}: {video.lost_seconds:.1f} s could not be decoded ({reasons}); "
            "the rest was watched"
        )


def answer_options(args: argparse.Namespace) -> dict[str, Any]:
    """The answer options that the user gave, as keyword arguments of `Session.ask`."""
    return given(args, *ANSWER_OPTIONS)

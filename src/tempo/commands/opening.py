"""From arguments to a model and a watched video, in the same way for every verb."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tempo.commands.options import given

if TYPE_CHECKING:
    from tempo.cache import CacheKind
    from tempo.engine import Tempo
    from tempo.pipeline import Progress
    from tempo.session import Session
    from tempo.video import Video

MODEL_OPTIONS = ("base", "device", "dtype", "attention")
WATCH_OPTIONS = ("fps", "max_frames")
ANSWER_OPTIONS = ("budget", "adaptive", "keep", "max_new_tokens", "temperature")


def load_model(args: argparse.Namespace) -> Tempo:
    """Load the model that the shared options name."""
    import tempo

    return tempo.load(args.model, **given(args, *MODEL_OPTIONS))


def answer_options(args: argparse.Namespace) -> dict[str, Any]:
    """What the user said about answering, as keyword arguments of `Session.ask`."""
    return given(args, *ANSWER_OPTIONS)


def watch(
    model: Tempo,
    video: Video,
    *,
    cache: CacheKind,
    several: bool,
    progress: Progress | None = None,
    **sampling: Any,
) -> Session:
    """Watch a video for one question or, if SEVERAL are to come, once for all of them.

    With `cache="auto"` what several questions share is kept where there is room for it: where it is already,
    else on the device, on the host, on disk, and if nowhere, not at all.

    Raises:
        TempoError: as :meth:`tempo.Tempo.watch`.
    """
    from tempo.errors import NoRoomError

    session = model.watch(video, cache=cache, progress=progress, **sampling)
    if cache != "auto" or session.keeps or not several:
        return session
    places: tuple[CacheKind, ...] = ("device", "host", "disk")
    for place in places:
        try:
            return model.watch(video, cache=place, progress=progress, **sampling)
        except NoRoomError:
            continue
    return session

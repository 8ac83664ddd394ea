"""Watching for several questions: what they share is kept where there is room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tempo.errors import NoRoomError

if TYPE_CHECKING:
    from tempo.video.video import Video

    from .engine import Tempo
    from .pipeline import Progress
    from .prefix_cache import CacheKind
    from .session import Session


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

    With `cache="auto"` what several questions share is kept where it is already, else on the device, on the
    host or on disk, whichever has room first. Where none has, every question watches the video anew.

    Raises:
        UsageError, TempoError: as :meth:`tempo.Tempo.watch`.
    """
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

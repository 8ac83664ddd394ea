"""The videos that the server has watched: shared by all requests, and bounded in number and bytes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypedDict

from tempo.console import Progress
from tempo.errors import NoRoomError
from tempo.inference.cache_policy import CacheKind
from tempo.inference.compute_turn import ComputeTurn
from tempo.inference.engine import Tempo
from tempo.inference.session import Session
from tempo.video.sampling_options import DecodeWorkers, SamplingMode
from tempo.video.video import Video

from .api_errors import ApiError, watching_error

Part = tuple[float | None, float | None]
"""Where to begin and to end watching, in seconds; None: at the video's own beginning and end."""

Key = tuple[str, float | None, int | None, SamplingMode, Part]
"""Content, frames a second, most frames, mode and part: another sampling is another entry."""


# A question about another video waits for a batch of segments: they are this many times smaller than fastest.
WATCHED_SHARE = 4


class WatchOptions(TypedDict):
    """As :meth:`Tempo.watch` takes it."""

    fps: float | None
    max_frames: int | None
    start: float | None
    end: float | None
    sampling: SamplingMode


class Watchable(Protocol):
    """A video that is opened only where it was not watched yet; a :class:`Video` is one too."""

    @property
    def fingerprint(self) -> str:
        """Hash of the content."""

    @property
    def is_gone(self) -> bool:
        """Whether the content is not there any more."""

    def open(self) -> Video:
        """Raises ApiError: it cannot be read."""


class Abandoned(Exception):
    """Everybody who wanted a video has left."""


@dataclass
class _Entry:
    """A video that is being watched, or was."""

    done: threading.Event = field(default_factory=threading.Event)
    frames: tuple[int, int] = (0, 0)  # watched, and to watch
    session: Session | None = None
    error: BaseException | None = None
    is_gone: bool = False  # the error is that the video of whoever began is not there any more
    users: int = 0
    last_used: float = 0.0


class WatchedVideos:
    """Sessions by content and sampling.

    Two requests for a video that is being watched share that one watching. A client that leaves does not stop
    it for the others; where it was the only one, watching ends. What was not used for longest goes first.

    Args:
        limit_bytes: memory that all sessions together may take.
        most: how many there may be.
        sampling: of those who do not say how to sample.
        decode_workers: how many decoders work on a video file at once.
    """

    def __init__(
        self,
        model: Tempo,
        turn: ComputeTurn,
        *,
        cache: CacheKind,
        limit_bytes: int,
        most: int,
        sampling: SamplingMode = "exact",
        decode_workers: DecodeWorkers = "auto",
    ) -> None:
        self.model, self.turn, self.cache = model, turn, cache
        self.limit_bytes, self.most = limit_bytes, most
        self.sampling, self.decode_workers = sampling, decode_workers
        self._lock = threading.Lock()
        self._entries: dict[Key, _Entry] = {}

    @property
    def bytes(self) -> int:
        """Memory that all sessions take, with the frames that clients sent."""
        sessions = [entry.session for entry in list(self._entries.values()) if entry.session is not None]
        return sum(session.cached_bytes + session.video.frame_bytes for session in sessions)

    def __len__(self) -> int:
        return len(self._entries)

    @contextmanager
    def lease(
        self,
        video: Video | Watchable,
        *,
        fps: float | None,
        max_frames: int | None,
        left: threading.Event,
        sampling: SamplingMode | None = None,
        part: Part = (None, None),
        progress: Progress | None = None,
    ) -> Iterator[tuple[Session, bool]]:
        """The session of a video, watched if need be, and whether it was there already.

        Args:
            left: set when the client is gone; then waiting ends.
            progress: called with (frames watched, frames to watch) while it is waited for.

        Raises:
            Abandoned: the client is gone.
            TempoError: the video cannot be watched.
        """
        key = (video.fingerprint, fps, max_frames, sampling or self.sampling, part)
        while True:
            entry, known, ours = self._join(key, video)
            try:
                while not entry.done.wait(0.1):
                    if left.is_set():
                        raise Abandoned
                    if progress is not None and entry.frames[0]:
                        progress(*entry.frames)
                if isinstance(entry.error, Abandoned) or (entry.is_gone and not ours):
                    continue  # it was being given up when we came, or another's file was gone: watch ours
                if entry.error is not None:
                    raise entry.error
                assert entry.session is not None
                entry.session.touch()
                with self._forgetting(key, entry):
                    # What has to be read again is the client's own file: another's may be gone by then.
                    yield entry.session if entry.session.is_cached else self._uncached(key, video), known
                return
            finally:
                with self._lock:
                    entry.users -= 1
                    entry.last_used = time.monotonic()
                self._shrink()

    @contextmanager
    def _forgetting(self, key: Key, entry: _Entry) -> Iterator[None]:
        """Whoever comes next watches a video anew that turns out to be unreadable."""
        try:
            yield
        except ApiError:
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
            raise

    def _join(self, key: Key, video: Video | Watchable) -> tuple[_Entry, bool, bool]:
        """The entry of a video with one more user, whether it was watched before, and whether we begin it."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                entry.users += 1
                return entry, entry.session is not None and entry.session.is_cached, False
            entry = self._entries[key] = _Entry(users=1)
        arguments = (key, entry, video)
        threading.Thread(target=self._watch, args=arguments, name="tempo-watch", daemon=True).start()
        return entry, False, True

    def _watch(self, key: Key, entry: _Entry, video: Video | Watchable) -> None:
        def progress(done: int, total: int) -> None:
            if entry.users == 0:
                raise Abandoned
            entry.frames = (done, total)

        try:
            entry.session = self._watched(key, video, progress)
        except BaseException as error:  # it is raised where it is waited for
            entry.error, entry.is_gone = watching_error(error), _is_gone(video)
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
        finally:
            entry.done.set()
        self._shrink()

    def _watched(self, key: Key, video: Video | Watchable, progress: Progress) -> Session:
        """Watch; where there is no room, let go of what was not used for longest and try again. What fits
        nowhere is watched anew for each question: better late than not at all."""
        opened = video if isinstance(video, Video) else video.open()
        together = self.model.segments_per_batch(opened, reserve=0)
        watch = partial(
            self.model.watch,
            opened,
            decode_workers=self.decode_workers,
            cache=self.cache,
            several=True,
            progress=progress,
            turn=self.turn.take_to_watch,
            most_together=max(1, together // WATCHED_SHARE),
            **_watch_options(key),
        )
        while True:
            try:
                return watch()
            except NoRoomError:
                if self.cache == "disk" or not self._remove_oldest():
                    return self._uncached(key, opened)

    def _uncached(self, key: Key, video: Video | Watchable) -> Session:
        """A session of which nothing is kept."""
        opened = video if isinstance(video, Video) else video.open()
        return self.model.watch(
            opened, decode_workers=self.decode_workers, cache="none", progress=None, **_watch_options(key)
        )

    def _shrink(self) -> None:
        with self._lock:  # what is of no use to anybody any more
            for key, entry in list(self._entries.items()):
                session = entry.session
                if session and not entry.users and (session.is_evicted or not session.is_cached):
                    del self._entries[key]
        while self.bytes > self.limit_bytes or len(self._entries) > self.most:
            if not self._remove_oldest():
                return

    def _remove_oldest(self) -> bool:
        """Let go of the idle video that was not used for longest; False: all are in use."""
        with self._lock:
            idle = [key for key, entry in self._entries.items() if entry.users == 0 and entry.done.is_set()]
            if not idle:
                return False
            del self._entries[min(idle, key=lambda key: self._entries[key].last_used)]
            return True


def _is_gone(video: Video | Watchable) -> bool:
    if isinstance(video, Video):
        return video.path is not None and not os.path.exists(video.path)
    return video.is_gone


def _watch_options(key: Key) -> WatchOptions:
    _, fps, max_frames, sampling, (start, end) = key
    return {"fps": fps, "max_frames": max_frames, "start": start, "end": end, "sampling": sampling}

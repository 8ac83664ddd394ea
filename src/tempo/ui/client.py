"""The session of one browser page: its open video, its conversation, and the work it waits for."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tempo.errors import NoRoomError, TempoError
from tempo.host_memory import release_freed
from tempo.inference.cache_policy import CacheKind, places
from tempo.inference.session import Session
from tempo.video.video import Video

from .jobs import (
    Heartbeat,
    Queued,
    Stopped,
    Task,
    follow,
)
from .player import OpenVideo
from .request_queue import RequestQueue
from .turns import (
    GenerationOptions,
    PartialAnswer,
    Turn,
    Variant,
)

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

OPEN_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True)
class VideoSource:
    """A file to open, the title that the page shows for it, and questions to suggest."""

    path: Path
    title: str
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Admission:
    """How a session gets room for its video; by default it neither waits nor evicts.

    Attributes:
        admit: makes sure that one more video may be open; raises TempoError if every other session is busy.
        evict: closes the video of the least recently used idle session; False if there is none.
    """

    admit: Callable[[], None] = lambda: None
    evict: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class WatchProgress:
    """DONE of TOTAL frames are watched; the rest takes about LEFT more seconds (None: too early to say)."""

    done: int
    total: int
    left: float | None


@dataclass(frozen=True)
class RenderProgress:
    """DONE of TOTAL frames of an example video are rendered."""

    done: int
    total: int


class ClientSession:
    """What one browser page has open and is doing. Every method may be called from any thread.

    Args:
        request_queue: admits requests to the model.
        folder: holds the uploaded files; created when needed, deleted when the session closes.
        key: an unguessable name of the session in the URLs of its files.
        open_queue: admits files to be opened, so that a slow file does not keep others from the model.
        cache: where watched videos are cached.
    """

    def __init__(
        self,
        model: Tempo,
        request_queue: RequestQueue,
        folder: Path,
        *,
        key: str,
        open_queue: RequestQueue,
        cache: CacheKind = "auto",
    ) -> None:
        self.model = model
        self.key = key
        self.open_video: OpenVideo | None = None
        self.turns: list[Turn] = []
        self.evicted = False  # its video was closed to make room for another session
        self.closed = False
        self.last_used = time.monotonic()
        self._request_queue, self._open_queue = request_queue, open_queue
        self._folder = folder
        self._cache = cache
        self._task: Task | None = None
        self._uploads = 0
        self._lock = threading.Lock()

    # --- running work --------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether any work is running or queued."""
        task = self._task
        return task is not None and not task.stopped

    @property
    def is_asking(self) -> bool:
        """Whether a new question is being answered."""
        task = self._task
        return task is not None and task.asks and not task.stopped

    def stop(self) -> bool:
        """Stop the running work. Returns whether there was any."""
        with self._lock:
            busy = self.is_busy
            if self._task is not None:
                self._task.stop()
            return busy

    def _begin(self, *, asks: bool = False) -> Task:
        """Start a new task and stop the one before it: a session does one thing at a time."""
        with self._lock:
            if self.closed:
                raise Stopped
            if self._task is not None:
                self._task.stop()
            self._task = Task(asks=asks)
            self.last_used = time.monotonic()
            return self._task

    def close(self) -> None:
        """End the session: stop its work and delete its files."""
        with self._lock:
            self.closed = True
            if self._task is not None:
                self._task.stop()
        self.drop()

    def drop(self, *, evicted: bool = False) -> None:
        """Close the video and free what is cached of it; the conversation can still be read."""
        self.open_video = None
        self.evicted = evicted
        shutil.rmtree(self._folder, ignore_errors=True)
        release_freed()

    # --- opening -------------------------------------------------------------------------------------------

    def adopt(self, uploaded: Path) -> Path:
        """Link an uploaded file into the session's own folder.

        Gradio stores equal uploads once, so its own copy may serve other sessions too.
        """
        self._uploads += 1
        mine = self._folder / str(self._uploads) / uploaded.name
        mine.parent.mkdir(parents=True)
        try:
            os.link(uploaded, mine)
        except OSError:  # not every file system has links
            shutil.copy(uploaded, mine)
        return mine

    def open(
        self,
        find: Callable[[Callable[[RenderProgress], None]], VideoSource],
        *,
        fps: float | None = None,
        max_frames: int | None = None,
        admission: Admission = Admission(),
    ) -> Iterator[WatchProgress | RenderProgress | Queued | Heartbeat]:
        """Open a video and watch it. It replaces the open video only once it is watched to the end.

        Args:
            find: returns what to open; may report progress while it renders an example.

        Raises:
            TempoError: the video cannot be read, takes too long to open, finds no room, or the queue is full.
            Stopped: the task was stopped.
        """
        task = self._begin()
        sources: list[VideoSource] = []
        videos: list[Video] = []
        watched: list[OpenVideo] = []

        def find_and_open(report: Callable[[RenderProgress], None]) -> None:
            sources.append(find(report))
            task.check()
            videos.append(Video.open(sources[0].path))

        def watch(report: Callable[[WatchProgress], None]) -> None:
            begun = time.monotonic()
            session = self._watch(videos[0], fps, max_frames, admission, report, task)
            task.check()
            source, seconds = sources[0], time.monotonic() - begun
            watched.append(
                OpenVideo(source.path, source.title, session, questions=source.questions, watched=seconds)
            )

        try:
            yield from follow(self._open_queue, task, find_and_open, timeout=OPEN_TIMEOUT)
            yield from follow(self._request_queue, task, watch)
        except TempoError as error:
            if not sources:
                raise
            # The browser need not know where the server keeps its files.
            raise type(error)(str(error).replace(str(sources[0].path), sources[0].title)) from error
        finally:
            task.stop()
            if sources and not watched:
                self._remove(sources[0].path)
        with self._lock:
            if self.closed:
                raise Stopped
            old, self.open_video, self.turns, self.evicted = self.open_video, watched[0], [], False
            self.last_used = time.monotonic()
        if old is not None and old.path != watched[0].path:
            self._remove(old.path)

    def _remove(self, path: Path) -> None:
        """Delete an uploaded file that is no longer open; files outside the session's folder stay."""
        if path.is_relative_to(self._folder) and (self.open_video is None or self.open_video.path != path):
            shutil.rmtree(path.parent, ignore_errors=True)

    def _watch(
        self,
        video: Video,
        fps: float | None,
        max_frames: int | None,
        admission: Admission,
        report: Callable[[WatchProgress], None],
        task: Task,
    ) -> Session:
        """Watch a video and cache it in the first place with room; evict other sessions if none has any."""
        begun = time.monotonic()

        def progress(done: int, total: int) -> None:
            report(WatchProgress(done, total, _seconds_left(done, total, time.monotonic() - begun)))

        kinds = places(self._cache, several=True)
        if len(kinds) > 1:
            kinds.remove("none")  # watching again for every answer takes longer than waiting for room
        # Here, not before: only a video that can be read takes a place, and two sessions that are admitted
        # at the same time would not count each other.
        admission.admit()
        while True:
            for kind in kinds:
                begun = time.monotonic()
                try:
                    return self.model.watch(
                        video, fps=fps, max_frames=max_frames, cache=kind, progress=progress
                    )
                except NoRoomError:
                    if kind == kinds[-1] and not admission.evict():
                        raise
                    task.check()

    # --- asking --------------------------------------------------------------------------------------------

    def ask(
        self, question: str, variant: Variant, generation: GenerationOptions
    ) -> Iterator[PartialAnswer | Queued | Heartbeat]:
        """Answer the conversation's next question. The turn is recorded once its answer is complete.

        Raises:
            TempoError: no video is open, the queue is full, or the question cannot be answered.
            Stopped: the task was stopped.
        """
        opened = self.require_video()
        turn = Turn(question.strip(), self._pairs(), generation, variant)
        task = self._begin(asks=True)

        def work(report: Callable[[PartialAnswer], None]) -> None:
            self._generate(opened, turn, variant, report)

        try:
            yield from follow(self._request_queue, task, work)
        finally:
            task.stop()
        if self.open_video is opened:
            self.turns.append(turn)

    def compare(self, variant: Variant, *, both: bool = True) -> Iterator[PartialAnswer | Queued | Heartbeat]:
        """Answer the latest question under VARIANT, which the page then shows; if BOTH, also under the other.

        Answers that exist are not computed again.

        Raises: as `ask`.
        """
        opened = self.require_video()
        if not self.turns:
            return
        turn = self.turns[-1]
        before, turn.variant = turn.variant, variant
        task = self._begin()

        missing = [
            one for one in ((variant, variant.other) if both else (variant,)) if one not in turn.answers
        ]

        def work(report: Callable[[PartialAnswer], None]) -> None:
            for one in missing:
                self._generate(opened, turn, one, report)

        try:
            if missing:
                yield from follow(self._request_queue, task, work)
        finally:
            task.stop()
            if turn.variant == variant and turn.answer is None:
                turn.variant = before  # the one that has an answer

    def forget(self) -> None:
        """Begin a new conversation about the same video."""
        self.stop()
        self.turns = []

    def tokens(self, variant: Variant) -> list[int] | None:
        """Tokens per segment under VARIANT for the latest question, computed from the relevance alone.

        None if nothing was asked yet.
        """
        relevance = self.turns[-1].relevance if self.turns else None
        if relevance is None:
            return None
        return self.model.allocate(relevance, budget=variant.budget, adaptive=variant.adaptive)

    def _generate(
        self, opened: OpenVideo, turn: Turn, variant: Variant, report: Callable[[PartialAnswer], None]
    ) -> None:
        """Write the answer of a turn under one variant, piece by piece."""
        stream = opened.session.stream_after(
            turn.earlier, turn.question, budget=variant.budget, adaptive=variant.adaptive, **turn.generation
        )
        text = ""
        try:
            for piece in stream:
                text += piece
                report(PartialAnswer(variant, text))
            turn.answers[variant] = stream.answer
        finally:
            stream.close()

    def require_video(self) -> OpenVideo:
        """The open video.

        Raises:
            TempoError: no video is open; the message says why.
            Stopped: the session is closed.
        """
        if self.closed:
            raise Stopped
        if self.open_video is None:
            raise TempoError(
                "the video was closed to make room for other sessions; open it again"
                if self.evicted
                else "no video is open; open one first"
            )
        return self.open_video

    def _pairs(self) -> tuple[tuple[str, str], ...]:
        """The (question, answer) pairs that the next question follows."""
        return tuple((turn.question, turn.answer.text) for turn in self.turns if turn.answer is not None)


def _seconds_left(done: int, total: int, seconds: float) -> float | None:
    """Seconds that the rest of TOTAL frames takes if DONE frames took SECONDS; None: too early to say."""
    return seconds * (total - done) / done if done > 0 and seconds > 0.5 else None

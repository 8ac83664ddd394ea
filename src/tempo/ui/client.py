"""One visitor: what is open, what was asked of it, and what it is doing now."""

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
    Alive,
    Stopped,
    Task,
    Waiting,
    follow,
)
from .player import Film
from .request_queue import Line
from .turns import (
    Setting,
    Text,
    Turn,
    Writing,
)

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

LONGEST_OPENING = 60.0  # seconds that a visitor waits for a file to be opened


@dataclass(frozen=True)
class Source:
    """Something to open: the file, its name for the visitor, and questions that could be asked."""

    path: Path
    title: str
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Room:
    """How a visit comes by room among the others.

    Attributes:
        place: makes sure that one more video can be open; raises TempoError where none can.
        more: lets another visitor's video go; False: there is none that could be.
    """

    place: Callable[[], None] = lambda: None
    more: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Watching:
    """So many frames are watched, in about so many more seconds all of them will be."""

    done: int
    total: int
    left: float | None


@dataclass(frozen=True)
class Drawing:
    """An example is being made: so many of its frames are drawn."""

    done: int
    total: int


class Visit:
    """What one visitor does. Every method may be called from any thread.

    Args:
        folder: for the visitor's files; made when it is needed, removed at the end.
        line: in front of the model.
        key: names the visit in the addresses of its files; not to be guessed.
        openings: in front of the files; one that takes long to open keeps nobody from the model.
    """

    def __init__(
        self,
        model: Tempo,
        line: Line,
        folder: Path,
        *,
        key: str,
        openings: Line,
        cache: CacheKind = "auto",
    ) -> None:
        self.model = model
        self.key = key
        self.film: Film | None = None
        self.turns: list[Turn] = []
        self.let_go = False  # the video was dropped to make room for others
        self.closed = False
        self.last_used = time.monotonic()
        self._line, self._openings = line, openings
        self._folder = folder
        self._cache = cache
        self._task: Task | None = None
        self._uploads = 0
        self._lock = threading.Lock()

    # --- what goes on --------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        task = self._task
        return task is not None and not task.stopped

    @property
    def is_asking(self) -> bool:
        """Whether a new question is being answered."""
        task = self._task
        return task is not None and task.asks and not task.stopped

    def stop(self) -> bool:
        """End what goes on. False: nothing did."""
        with self._lock:
            busy = self.is_busy
            if self._task is not None:
                self._task.stop()
            return busy

    def _begin(self, *, asks: bool = False) -> Task:
        """What went on before ends: a visitor waits for one thing at a time."""
        with self._lock:
            if self.closed:
                raise Stopped
            if self._task is not None:
                self._task.stop()
            self._task = Task(asks=asks)
            self.last_used = time.monotonic()
            return self._task

    def close(self) -> None:
        """The visitor has left: stop, and keep nothing."""
        with self._lock:
            self.closed = True
            if self._task is not None:
                self._task.stop()
        self.drop()

    def drop(self, *, for_others: bool = False) -> None:
        """Let the video go with what is kept of it; the conversation stays to be read."""
        self.film = None
        self.let_go = for_others
        shutil.rmtree(self._folder, ignore_errors=True)
        release_freed()

    # --- opening -------------------------------------------------------------------------------------------

    def adopt(self, uploaded: Path) -> Path:
        """Link an uploaded file into the visit's own folder: who else uploads the same must find it too."""
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
        find: Callable[[Callable[[Drawing], None]], Source],
        *,
        fps: float | None = None,
        max_frames: int | None = None,
        room: Room = Room(),
    ) -> Iterator[Watching | Drawing | Waiting | Alive]:
        """Open a video and watch it, instead of what was open before.

        Args:
            find: says what to open; may report how far it is with making it.

        Raises:
            TempoError: it cannot be read, or not in time, there is no room for it, or too many wait. What was
                open stays.
            Stopped: it was stopped; what was open stays.
        """
        task = self._begin()
        found: list[Source] = []
        opened: list[Video] = []
        films: list[Film] = []

        def look(report: Callable[[Drawing], None]) -> None:
            found.append(find(report))
            task.check()
            opened.append(Video.open(found[0].path))

        def work(report: Callable[[Watching], None]) -> None:
            begun = time.monotonic()
            session = self._watch(opened[0], fps, max_frames, room, report, task)
            task.check()
            source, watched = found[0], time.monotonic() - begun
            films.append(
                Film(source.path, source.title, session, questions=source.questions, watched=watched)
            )

        try:
            yield from follow(self._openings, task, look, longest=LONGEST_OPENING)
            yield from follow(self._line, task, work)
        except TempoError as error:
            if not found:
                raise
            # Where the server keeps its files is nobody's business.
            raise type(error)(str(error).replace(str(found[0].path), found[0].title)) from error
        finally:
            task.stop()
            if found and not films:
                self._remove(found[0].path)
        with self._lock:
            if self.closed:
                raise Stopped
            old, self.film, self.turns, self.let_go = self.film, films[0], [], False
            self.last_used = time.monotonic()
        if old is not None and old.path != films[0].path:
            self._remove(old.path)

    def _remove(self, path: Path) -> None:
        """An uploaded file is removed when it is not needed any more; others are not the visit's."""
        if path.is_relative_to(self._folder) and (self.film is None or self.film.path != path):
            shutil.rmtree(path.parent, ignore_errors=True)

    def _watch(
        self,
        video: Video,
        fps: float | None,
        max_frames: int | None,
        room: Room,
        report: Callable[[Watching], None],
        task: Task,
    ) -> Session:
        """Watch, and keep where there is room: on the device, on the host, then on disk."""
        begun = time.monotonic()

        def progress(done: int, total: int) -> None:
            report(Watching(done, total, _left(done, total - done, time.monotonic() - begun)))

        kinds = places(self._cache, several=True)
        if len(kinds) > 1:
            kinds.remove("none")  # a visitor who waits for every answer had better wait for room
        room.place()  # for what can be read, and in our turn: two at once would count one another
        while True:
            for kind in kinds:
                begun = time.monotonic()
                try:
                    return self.model.watch(
                        video, fps=fps, max_frames=max_frames, cache=kind, progress=progress
                    )
                except NoRoomError:
                    if kind == kinds[-1] and not room.more():
                        raise
                    task.check()

    # --- asking --------------------------------------------------------------------------------------------

    def ask(self, question: str, setting: Setting, writing: Writing) -> Iterator[Text | Waiting | Alive]:
        """Ask, after what was asked before. The turn is remembered once its answer is whole.

        Raises:
            TempoError: nothing is open, or what the session says.
            Stopped: it was stopped.
        """
        film = self.open_film()
        turn = Turn(question.strip(), self._pairs(), writing, setting)
        task = self._begin(asks=True)

        def work(report: Callable[[Text], None]) -> None:
            self._write(film, turn, setting, report)

        try:
            yield from follow(self._line, task, work)
        finally:
            task.stop()
        if self.film is film:
            self.turns.append(turn)

    def compare(self, setting: Setting, *, both: bool = True) -> Iterator[Text | Waiting | Alive]:
        """Answer the latest question under SETTING, which is shown from now on; BOTH: and under the other.

        What was answered before is not answered again, and nothing is watched.

        Raises: as `ask`.
        """
        film = self.open_film()
        if not self.turns:
            return
        turn = self.turns[-1]
        before, turn.setting = turn.setting, setting
        task = self._begin()

        missing = [
            one for one in ((setting, setting.other) if both else (setting,)) if one not in turn.answers
        ]

        def work(report: Callable[[Text], None]) -> None:
            for one in missing:
                self._write(film, turn, one, report)

        try:
            if missing:
                yield from follow(self._line, task, work)
        finally:
            task.stop()
            if turn.setting == setting and turn.answer is None:
                turn.setting = before  # of which there is an answer

    def forget(self) -> None:
        """Begin a new conversation about the same video."""
        self.stop()
        self.turns = []

    def tokens(self, setting: Setting) -> list[int] | None:
        """How SETTING shares its tokens out for the latest question: at once, from the relevance alone.

        None: nothing was asked yet.
        """
        relevance = self.turns[-1].relevance if self.turns else None
        if relevance is None:
            return None
        return self.model.allocate(relevance, budget=setting.budget, adaptive=setting.adaptive)

    def _write(self, film: Film, turn: Turn, setting: Setting, report: Callable[[Text], None]) -> None:
        stream = film.session.stream_after(
            turn.earlier, turn.question, budget=setting.budget, adaptive=setting.adaptive, **turn.writing
        )
        text = ""
        try:
            for piece in stream:
                text += piece
                report(Text(setting, text))
            turn.answers[setting] = stream.answer
        finally:
            stream.close()

    def open_film(self) -> Film:
        """What is open. Raises TempoError, which says why, if nothing is."""
        if self.closed:
            raise Stopped
        if self.film is None:
            raise TempoError(
                "the video was let go to make room for other visitors; open it again"
                if self.let_go
                else "no video is open; open one first"
            )
        return self.film

    def _pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((turn.question, turn.answer.text) for turn in self.turns if turn.answer is not None)


def _left(done: int, to_do: int, seconds: float) -> float | None:
    """Seconds that TO_DO frames will take if DONE ones took SECONDS; None: too early to say."""
    return seconds * to_do / done if done > 0 and seconds > 0.5 else None

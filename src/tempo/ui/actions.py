"""What a visitor can do: open a video, ask, compare allocations. Each action runs in a thread.

It returns a :class:`~tempo.serving.request_threads.PendingResponse` whose results are events: dictionaries
with the name of the event under ``event``. When the page leaves, or ends the action, `gone` is set and the
work ends at its next step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.serving.api_errors import ApiError
from tempo.serving.request_threads import PendingResponse, RequestThreads
from tempo.serving.watched_videos import Abandoned, Part
from tempo.text_safety import whole_text
from tempo.video.video import Video

from . import views
from .answering import AnswerableVideo, Answering
from .client_sessions import ClientSession, ClientSessions
from .examples import EXAMPLES, ExampleFiles, example
from .library import Library, check_kind
from .open_video import BudgetLimits, OpenVideo, Source, Watched
from .requests import AskRequest, OpenRequest, SamplingRequest, VariantRequest
from .turns import Turn, Variant

WHOLE: Part = (None, None)


@dataclass(frozen=True)
class SamplingDefaults:
    """How videos are sampled unless the page says; the operator's limit on frames holds in any case."""

    fps: float
    max_frames: int


class Actions:
    """What visitors can do.

    Args:
        folder: where examples are rendered.
        fps, max_frames: frames watched a second unless the page says, and at most; None: the model's own.
    """

    def __init__(
        self,
        requests: RequestThreads,
        answering: Answering,
        library: Library,
        folder: Path,
        *,
        fps: float | None = None,
        max_frames: int | None = None,
    ) -> None:
        self.requests, self.answering, self.library = requests, answering, library
        self.model = answering.info
        self.sessions = ClientSessions(requests.uploads)
        self.sampling = SamplingDefaults(fps or self.model.fps, max_frames or self.model.max_frames)
        self._examples = ExampleFiles(folder)
        # Of its own: a slow file or disk keeps nobody from anything but pictures.
        self.pictures = ThreadPoolExecutor(4, "tempo-pictures")

    # --- opening -------------------------------------------------------------------------------------------

    def open(self, session: ClientSession, request: OpenRequest) -> PendingResponse:
        """Open a video and watch it: ``rendering``, ``opened``, ``watching``, ``ready``.

        Raises:
            ApiError: there is no such video, or its sampling makes no sense.
        """
        fps, max_frames = self._sampling(request)
        find = self._finder(session, request)

        def work(pending: PendingResponse) -> None:
            source = find(pending)
            try:
                opened = OpenVideo(source, _read(source), fps, max_frames)
                opened.begin(pending.gone)
                _stop_if_gone(pending)
                session.add(opened)
            except BaseException:
                self.sessions.remove_upload(session, source.id)
                raise
            pending.put({"event": "opened", "video": views.video(opened, self.model)})
            self._watch(pending, opened)

        return self.requests.begin(work)

    def watch_again(self, opened: OpenVideo, request: SamplingRequest) -> PendingResponse:
        """Watch an open video with other frames: ``watching``, ``ready``. Its conversation begins anew."""
        fps, max_frames = self._sampling(request)

        def work(pending: PendingResponse) -> None:
            opened.begin(pending.gone)
            before = opened.fps, opened.max_frames
            opened.fps, opened.max_frames = fps, max_frames
            try:
                self._watch(pending, opened)
            except BaseException:
                opened.fps, opened.max_frames = before
                raise

        return self.requests.begin(work)

    def _finder(self, session: ClientSession, request: OpenRequest) -> Callable[[PendingResponse], Source]:
        """What finds the file of a request, once there is somebody to tell how far it is."""
        if request.upload is not None:
            upload = session.uploads.get(request.upload)
            if upload is None:
                raise ApiError(404, "this upload is gone; send the file again", param="upload")
            source = Source("upload", upload.id, upload.path, upload.name)
            return lambda pending: source
        if request.library is not None:
            found = self.library.get(request.library)
            return lambda pending: Source("library", found.id, found.path, found.title)
        if request.example is None:
            raise ApiError(400, "name an upload, a library video or an example")
        one = example(request.example)

        def render(pending: PendingResponse) -> Source:
            def progress(done: int, total: int) -> None:
                _stop_if_gone(pending)
                pending.put({"event": "rendering", "done": done, "total": total})

            path = self._examples.get(one, progress)
            return Source("example", one.id, path, f"{one.title}.mp4", one.questions)

        return render

    def _sampling(self, request: SamplingRequest) -> tuple[float | None, int]:
        """The sampling that is asked for. Raises ApiError for more frames than the operator allows."""
        most = self.sampling.max_frames
        if request.max_frames is not None and request.max_frames > most:
            raise ApiError(400, f"this server watches at most {most} frames of a video", param="max_frames")
        return request.fps or self.sampling.fps, request.max_frames or most

    def _watch(self, pending: PendingResponse, opened: OpenVideo) -> None:
        begun = time.monotonic()
        with self._watched(pending, opened, WHOLE) as found:
            facts = found.facts
        opened.turns = []  # before a question about these frames can come
        opened.watched = replace(facts, seconds=time.monotonic() - begun)
        pending.put({"event": "ready", "video": views.video(opened, self.model)})

    @contextmanager
    def _watched(self, pending: PendingResponse, opened: OpenVideo, part: Part) -> Iterator[AnswerableVideo]:
        """A video or a part of it, watched if need be (``watching``)."""
        begun = time.monotonic()
        told = (0, 0)

        def progress(done: int, total: int) -> None:
            nonlocal told
            if (done, total) != told:
                told = (done, total)
                passed = time.monotonic() - begun
                left = passed * (total - done) / done if done and passed > 0.5 else None
                pending.put({"event": "watching", "done": done, "total": total, "left": left})

        watched = self.answering.watched(opened, part, progress=progress, gone=pending.gone)
        with _by_title(opened.source), watched as found:
            yield found

    # --- asking --------------------------------------------------------------------------------------------

    def ask(self, opened: OpenVideo, request: AskRequest) -> PendingResponse:
        """Answer the conversation's next question: ``watching`` where only a part is asked about,
        ``waiting``, ``text``, ``answered``. The turn is recorded once its answer is complete.

        Raises:
            ApiError: the question is empty, or the video was not watched to the end.
        """
        question = whole_text(request.question).strip()
        if not question:
            raise ApiError(400, "the question is empty; ask something", param="question")
        if opened.watched is None:
            raise ApiError(409, "this video is not watched yet; ask when it is")
        earlier = tuple((turn.question, turn.answer.text) for turn in opened.turns)

        def work(pending: PendingResponse) -> None:
            opened.begin(pending.gone)
            with self._watched(pending, opened, request.part) as found:
                facts = opened.watched if request.part == WHOLE and opened.watched else found.facts
                variant = self._variant(facts, request)
                turn = Turn(question, earlier, request.generation, request.part, variant)
                self._write(pending, opened, found, turn, variant)
            _stop_if_gone(pending)
            opened.turns.append(turn)
            pending.put({"event": "answered", "turn": views.turn(opened, len(opened.turns) - 1, self.model)})

        return self.requests.begin(work)

    def compare(self, opened: OpenVideo, number: int, request: VariantRequest) -> PendingResponse:
        """Answer a turn's question under another allocation, unless it is answered: ``waiting``, ``text``,
        ``answered``.

        Raises:
            ApiError: there is no such turn.
        """
        turn = turn_of(opened, number)

        def work(pending: PendingResponse) -> None:
            opened.begin(pending.gone)
            variant = Variant(self._limits(turn).within(request.budget), request.adaptive)
            if variant not in turn.answers:
                with self._watched(pending, opened, turn.part) as found:
                    self._write(pending, opened, found, turn, variant)
            if request.show:
                turn.variant = variant
            pending.put({"event": "answered", "turn": views.turn(opened, number, self.model, variant)})

        return self.requests.begin(work)

    def allocation(self, opened: OpenVideo, number: int, request: VariantRequest) -> dict[str, Any]:
        """How a turn's tokens are shared out under a budget, by relevance or evenly; nothing is answered."""
        turn = turn_of(opened, number)
        variant = Variant(self._limits(turn).within(request.budget), request.adaptive)
        return views.allocation(turn, variant, self.model)

    def _variant(self, watched: Watched, request: VariantRequest) -> Variant:
        limits = BudgetLimits.of(self.model, len(watched.starts))
        return Variant(limits.within(request.budget), request.adaptive)

    def _limits(self, turn: Turn) -> BudgetLimits:
        return BudgetLimits.of(self.model, len(turn.segments))

    def _write(
        self,
        pending: PendingResponse,
        opened: OpenVideo,
        found: AnswerableVideo,
        turn: Turn,
        variant: Variant,
    ) -> None:
        """Write the answer of a turn under one variant, piece by piece. It names the video by its title: it
        may have been watched in another visitor's file of the same content."""
        if ahead := self.answering.ahead:
            pending.put({"event": "waiting", "ahead": ahead})

        def say(text: str) -> None:
            pending.put({"event": "text", "parts": views.parts(text, opened.video.duration)})

        answer = found.answer(turn, variant, say, pending.gone)
        turn.answers[variant] = answer.called(opened.source.title)

    # --- what is offered -----------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """The model, the limits, and what can be opened, as the page shows them."""
        return {
            **views.model(self.model),
            "sampling": {"fps": self.sampling.fps, "max_frames": self.sampling.max_frames},
            "upload_bytes": self.requests.uploads.limit_bytes,
            "library": bool(self.library),
            "opens": self.library.first_file.id if self.library.first_file else None,
            "examples": [views.example(one) for one in EXAMPLES],
        }

    def check_upload(self, session: ClientSession, name: str) -> None:
        """Raises ApiError where a file cannot be taken, before it is sent."""
        check_kind(name)
        if len(session.uploads) > len(session.videos) + 1:
            raise ApiError(409, "uploads are waiting to be opened; open them first")


def turn_of(opened: OpenVideo, number: int) -> Turn:
    """Raises ApiError where there is none."""
    if not 0 <= number < len(opened.turns):
        raise ApiError(404, "this question is not there any more; ask again")
    return opened.turns[number]


def _read(source: Source) -> Video:
    """Raises TempoError, with the title for the path, where the file is no video."""
    with _by_title(source):
        return Video.open(source.path)


@contextmanager
def _by_title(source: Source) -> Iterator[None]:
    """Errors name the video by its title: where the server keeps its files is nobody's business."""
    try:
        yield
    except TempoError as error:
        path = str(source.path)
        if path not in str(error):
            raise
        raise type(error)(str(error).replace(path, source.title)) from error


def _stop_if_gone(pending: PendingResponse) -> None:
    if pending.gone.is_set():
        raise Abandoned

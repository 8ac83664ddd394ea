"""What the server computes: from a request to an answer, in a thread of its own, followed from outside."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempo.inference.cache_policy import CacheKind
from tempo.inference.engine import Tempo
from tempo.inference.results import Answer
from tempo.inference.serialization import moment_values
from tempo.moments import strongest
from tempo.video.video import Video

from .api_errors import ApiError
from .completions import Completion, finish_reason, pieces_until
from .compute_turn import ComputeTurn
from .fetched_files import FetchedFiles, FetchPolicy
from .media import Media
from .messages import Asked
from .prometheus import Metrics
from .protocol import ChatRequest, MomentsRequest, TempoOptions
from .uploads import Uploads
from .watched_videos import Abandoned, WatchedVideos

_DEFAULT_TOKENS = 256


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What the operator chooses.

    Attributes:
        name: by which clients call the model.
        allowed_local: the folder beneath which ``file://`` may be opened.
        limit_bytes: of one video.
        most_videos, memory_bytes: how many watched videos stay, and what they may take.
        most_waiting: requests at once; one more is refused.
        timeout: seconds that a request may take.
    """

    name: str
    cache: CacheKind = "auto"
    allowed_local: Path | None = None
    fetch: FetchPolicy = field(default_factory=FetchPolicy)
    limit_bytes: int = 2 * 10**9
    most_videos: int = 64
    memory_bytes: int = 8 * 10**9
    most_waiting: int = 64
    timeout: float = 3600.0


class PendingResponse:
    """A request that is computed in a thread. Its results arrive in the event loop, so that waiting for them
    takes no thread; setting `gone` ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._results: asyncio.Queue[dict[str, Any] | BaseException | None] = asyncio.Queue()
        self.gone = threading.Event()

    def put(self, result: dict[str, Any] | BaseException | None) -> None:
        """Add a result, from any thread. None: it was the last."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and everybody has left
            self._loop.call_soon_threadsafe(self._results.put_nowait, result)

    async def next(self) -> Any:
        """The next result, an error, or None at the end."""
        return await self._results.get()


class Service:
    """Videos, uploads and answers of one model."""

    def __init__(self, model: Tempo, settings: ServiceSettings) -> None:
        self.model, self.settings = model, settings
        self._folder = tempfile.TemporaryDirectory(prefix="tempo-serve-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        self.turn = ComputeTurn(settings.most_waiting)
        self.uploads = Uploads(folder, limit_bytes=settings.limit_bytes)
        self.fetched = FetchedFiles(folder, settings.fetch)
        self.media = Media(
            self.uploads,
            self.fetched,
            allowed=settings.allowed_local,
            limit_bytes=settings.limit_bytes,
        )
        self.watched = WatchedVideos(
            model,
            self.turn,
            cache=settings.cache,
            limit_bytes=settings.memory_bytes,
            most=settings.most_videos,
        )
        self.metrics = Metrics(self.watched, self.turn)
        self._threads = ThreadPoolExecutor(settings.most_waiting, thread_name_prefix="tempo-request")
        self.closing = False

    def close(self) -> None:
        """Refuse what is new; remove what was stored."""
        self.closing = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.fetched.close()
        self._folder.cleanup()

    def check_model(self, name: str | None) -> None:
        """Raises ApiError where a client names another model."""
        if name not in (None, self.settings.name):
            raise ApiError(404, f"the model {name!r} is not here; use {self.settings.name!r}", param="model")

    def answer(self, request: ChatRequest, asked: Asked) -> PendingResponse:
        """Watch if need be, and answer: chunks of the stream, the whole completion last."""
        return self.begin(lambda work: self._answer(work, request, asked))

    def moments(self, request: MomentsRequest) -> PendingResponse:
        """Which spans matter for a query, the most relevant first."""
        return self.begin(lambda work: self._moments(work, request))

    def begin(self, compute: Callable[[PendingResponse], None]) -> PendingResponse:
        """Run COMPUTE in a thread, where it puts its results; errors that it raises are results too.

        Raises:
            ApiError: too many requests wait, or the server is shutting down.
        """
        if self.closing:
            raise ApiError(503, "the server is shutting down; try again later")
        work = PendingResponse()

        def run() -> None:
            try:
                with self.metrics.request():
                    compute(work)
            except Abandoned:
                work.put(ApiError(503, "the client is gone"))
            except BaseException as error:
                work.put(error)
            finally:
                self.turn.leave()
            work.put(None)

        self.turn.admit()
        self._threads.submit(run)
        return work

    def _answer(self, work: PendingResponse, request: ChatRequest, asked: Asked) -> None:
        begun = time.perf_counter()
        video = self._open(work, asked)
        own = request.tempo
        options: dict[str, Any] = {
            "budget": own.budget,
            "adaptive": own.adaptive,
            "keep": own.keep,
            "max_new_tokens": request.max_completion_tokens or request.max_tokens or _DEFAULT_TOKENS,
            "temperature": request.temperature,
            "top_p": request.top_p,
        }
        lease = self.watched.lease(video, fps=asked.fps, max_frames=asked.max_frames, left=work.gone)
        with lease as (session, known):
            completion = Completion(self.settings.name, cached=known, segments=own.segments)
            work.put(completion.chunk({"role": "assistant", "content": ""}))
            text, stopped = "", False
            with self.turn.take():
                stream = session.stream_after(asked.earlier, asked.question, **options)
                for piece, cut in pieces_until(stream, request.stops, self.turn):
                    if work.gone.is_set():
                        stream.close()
                        raise Abandoned
                    if not text:
                        self.metrics.first_token(time.perf_counter() - begun)
                    text, stopped = text + piece, cut
                    work.put(completion.chunk({"content": piece}))
                answer: Answer = stream.answer
        self.metrics.answered(answer, known=known)
        work.put(completion.chunk({}, finish_reason(answer, stopped=stopped)))
        work.put(completion.last_chunk(answer))
        work.put(completion.whole(text, answer, stopped=stopped))

    def _moments(self, work: PendingResponse, request: MomentsRequest) -> None:
        own: TempoOptions = request.tempo
        asked = Asked(_named(request.video), (), request.query, own.fps, own.max_frames, None)
        video = self._open(work, asked)
        with self.watched.lease(video, fps=own.fps, max_frames=own.max_frames, left=work.gone) as (
            session,
            _,
        ):
            with self.turn.take():
                options = {"budget": own.budget, "adaptive": own.adaptive, "keep": own.keep}
                segments = session.route(request.query, **options)  # type: ignore[arg-type]
            found = strongest(segments, request.count, floor=self.model.config.relevance_floor)
            values = [moment_values(moment, segments) for moment in found]
        best = max(segment.relevance for segment in segments)
        work.put({"object": "list", "data": values, "best_relevance": best})

    def _open(self, work: PendingResponse, asked: Asked) -> Video:
        with self.metrics.opening():
            return self.media.open(asked, work.gone.is_set)


def _named(video: str) -> str:
    return f"file-id:{video}" if video.startswith("file-") else video

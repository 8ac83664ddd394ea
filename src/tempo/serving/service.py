"""What the server computes: from a request to an answer, in a thread of its own, followed from outside."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempo.inference.cache_policy import CacheKind
from tempo.inference.compute_turn import ComputeTurn
from tempo.inference.engine import Tempo
from tempo.inference.model_info import ModelInfo
from tempo.inference.options import AskOptions
from tempo.inference.serialization import moment_values
from tempo.inference.session import Session
from tempo.moments import strongest
from tempo.video.sampling_options import DecodeWorkers, SamplingMode

from .completions import Completion, finish_reason
from .constraints import Constraints
from .fetched_files import FetchedFiles, FetchPolicy
from .media import Media
from .messages import Asked
from .prometheus import LiveGauge, Metrics
from .protocol import ChatRequest, MomentsRequest
from .request_threads import PendingResponse, RequestThreads
from .scheduler import QuestionScheduler
from .watched_videos import Abandoned, WatchedVideos
from .written_text import WrittenText


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What the operator chooses.

    Attributes:
        name: by which clients call the model.
        allowed_local: the folder beneath which ``file://`` may be opened.
        limit_bytes: of one video.
        most_videos, memory_bytes: how many watched videos stay, and what they may take in memory.
        disk_bytes: what they may take on disk; None: what the disk cache's own limit is.
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
    disk_bytes: int | None = None
    most_waiting: int = 64
    timeout: float = 3600.0
    sampling: SamplingMode = "exact"
    decode_workers: DecodeWorkers = "auto"


class Service(RequestThreads):
    """Videos, uploads and answers of one model."""

    def __init__(self, model: Tempo, settings: ServiceSettings) -> None:
        super().__init__(most_waiting=settings.most_waiting, limit_bytes=settings.limit_bytes)
        self.model, self.settings = model, settings
        self.turn = ComputeTurn.of(model.model, model.device)
        self.fetched = FetchedFiles(self.folder.path, settings.fetch)
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
            sampling=settings.sampling,
            decode_workers=settings.decode_workers,
        )
        self.scheduler = QuestionScheduler(model, self.turn)
        self.constraints = Constraints(model.prompts.decoder, model.prompts.end_of_answer)
        if settings.disk_bytes is not None:
            model.disk.limit_bytes = settings.disk_bytes
        self.metrics = Metrics(self._gauges(), self._media_bytes)

    @property
    def info(self) -> ModelInfo:
        """Of the model."""
        return self.model.info

    def close(self) -> None:
        """Refuse what is new, end what runs, and remove what was stored."""
        self.abandon()
        self.scheduler.close()
        self.fetched.close()
        super().close()

    def _gauges(self) -> tuple[LiveGauge, ...]:
        return (
            LiveGauge("tempo_requests_running", "Requests being answered", lambda: self.open_requests),
            LiveGauge("tempo_steps_waiting", "Requests waiting for their turn", lambda: self.turn.waiting),
            LiveGauge(
                "tempo_questions_waiting", "Questions to be compressed", lambda: self.scheduler.waiting
            ),
            LiveGauge(
                "tempo_answers_writing", "Answers written side by side", lambda: self.scheduler.writing
            ),
            LiveGauge("tempo_watched_videos", "Watched videos that are kept", lambda: len(self.watched)),
            LiveGauge("tempo_watched_bytes", "Memory that they take", lambda: self.watched.bytes),
        )

    def _media_bytes(self) -> dict[str, int]:
        return {"fetched": self.fetched.bytes_fetched, "uploaded": self.uploads.bytes_received}

    def answer(self, request: ChatRequest, asked: Asked) -> PendingResponse:
        """Watch if need be, and answer: chunks of the stream, the whole completion last."""
        return self.begin(lambda work: self._answer(work, request, asked))

    def moments(self, request: MomentsRequest) -> PendingResponse:
        """Which spans matter for a query, the most relevant first."""
        return self.begin(lambda work: self._moments(work, request))

    def _answer(self, work: PendingResponse, request: ChatRequest, asked: Asked) -> None:
        begun = time.perf_counter()
        own, noted = request.tempo, request.noted_logprobs
        options: AskOptions = {
            "budget": own.budget,
            "adaptive": own.adaptive,
            "keep": own.keep,
            "max_new_tokens": request.most_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": None if request.seed is None else request.seed % 2**63,
        }
        constraint = self.constraints.of(request.format)
        with self._lease(work, asked, progress=own.progress) as (session, known):
            posed = session.pose(asked.earlier, asked.question, **options)
            completion = Completion(self.settings.name, cached=known, segments=own.segments)
            writing = WrittenText(
                self.model.prompts.decoder, stops=request.stops, stop_ids=self.model.stop_ids
            )
            tokens = self.scheduler.tokens(
                posed, constraint=constraint, top_logprobs=noted, gone=work.gone.is_set
            )
            all_noted: list[dict[str, Any]] = []
            for number, piece in enumerate(writing.pieces(tokens)):
                if number == 0:
                    self.metrics.first_token(time.perf_counter() - begun, cached=known)
                    work.put(completion.chunk({"role": "assistant", "content": ""}))
                all_noted += piece.logprobs
                logprobs = None if noted is None else piece.logprobs
                work.put(completion.chunk({"content": piece.text}, logprobs=logprobs))
            tokens.close()
            if work.gone.is_set():
                raise Abandoned
            answer = posed.answer(writing.ids, writing.text)
        usage = answer.usage
        self.metrics.answered(usage.prompt_tokens, usage.visual_tokens, usage.answer_tokens, known=known)
        work.put(completion.chunk({}, finish_reason(answer, stopped=writing.stopped)))
        work.put(completion.last_chunk(answer))
        logprobs = None if noted is None else all_noted
        work.put(completion.whole(answer, stopped=writing.stopped, logprobs=logprobs))

    def _moments(self, work: PendingResponse, request: MomentsRequest) -> None:
        own = request.tempo
        asked = Asked(
            media=(addressed(request.video),),
            question=request.query,
            fps=own.fps,
            max_frames=own.max_frames,
            sampling=own.sampling,
            part=(own.start, own.end),
        )
        with self._lease(work, asked) as (session, _):
            posed = session.pose((), request.query, budget=own.budget, adaptive=own.adaptive, keep=own.keep)
            self.scheduler.compress(posed, gone=work.gone.is_set)
            if work.gone.is_set():
                raise Abandoned
        segments = posed.segments
        found = strongest(segments, request.count, floor=self.model.config.relevance_floor)
        values = [moment_values(moment, segments) for moment in found]
        best = max(segment.relevance for segment in segments)
        work.put({"object": "list", "data": values, "best_relevance": best})

    @contextlib.contextmanager
    def _lease(
        self, work: PendingResponse, asked: Asked, *, progress: bool = False
    ) -> Iterator[tuple[Session, bool]]:
        """The session of a request's video, and whether it was watched before."""
        told = (0, 0)

        def tell(done: int, total: int) -> None:
            nonlocal told
            if (done, total) != told:
                told = (done, total)
                work.put({"object": "tempo.progress", "frames": done, "of": total})

        with self.metrics.opening():
            media = self.media.find(asked, work.gone.is_set)
        lease = self.watched.lease(
            media,
            fps=asked.fps,
            max_frames=asked.max_frames,
            sampling=asked.sampling,
            part=asked.part,
            left=work.gone,
            progress=tell if progress else None,
        )
        with lease as found:
            yield found


def addressed(video: str) -> str:
    """The address of a video of `POST /v1/moments`: it may be the id of an uploaded file."""
    return f"file-id:{video}" if video.startswith("file-") else video

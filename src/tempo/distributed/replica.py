"""What a compressor replica is asked, and what answers wherever it runs.

A question takes two calls, because only who knows the relevance of all segments can allocate the budget:
`score`, then `compress` with the counts. Between the two a replica keeps what it has read of the question,
and between questions the segments that it has watched.
"""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from tempo.console import Progress
from tempo.devices import available_bytes, name_on_machine
from tempo.errors import TempoError
from tempo.inference.cache_entry import entries_within
from tempo.inference.cache_policy import CacheKind
from tempo.inference.compute_turn import ComputeTurn
from tempo.inference.engine import Tempo
from tempo.inference.keep_strategies import Keep
from tempo.inference.phase_timer import PhaseTimer
from tempo.inference.pipeline import ScoredQuestions
from tempo.inference.prefix_cache import DiskCache
from tempo.inference.session import Session
from tempo.inference.watch_request import WatchRequest
from tempo.networks.compressor import Compressor
from tempo.networks.tempo_network import CompressorNetwork
from tempo.processing.batching import SegmentRange, SegmentSpan
from tempo.video.frames import Damage
from tempo.video.video import Sampling, Video

T = TypeVar("T")


class ReplicaDiedError(TempoError):
    """A replica is gone, with everything that it kept."""


class CancelledError(Exception):
    """Nobody waits for a call any more."""


class ForgottenError(TempoError):
    """A replica knows nothing of the question that it is to compress; it has to be scored first."""


@dataclass(frozen=True)
class RangeWork:
    """A range of a video's segments, and where what is watched of it is kept.

    Attributes:
        key: names the range among all that the replica keeps.
        sampling: the sampled times of the whole video, of which the range is `part`.
        disk: where it is kept if `place` is "disk"; `disk_key` names it there, and `whole_disk_key` an entry
            of the whole video.
        most_together: segments of a batch at most; None: what is fastest.
    """

    key: str
    video: Video
    sampling: Sampling
    part: SegmentRange
    place: CacheKind
    disk: DiskCache
    disk_key: str = ""
    whole_disk_key: str = ""
    most_together: int | None = None


@dataclass(frozen=True)
class RangeReport:
    """What came of watching a range: its segments, what could not be shown, and bytes and seconds taken."""

    spans: list[SegmentSpan]
    damage: Damage
    nbytes: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class RangeScores:
    """How relevant the segments of a range are for each question, and the seconds of each by phase."""

    spans: list[SegmentSpan]
    relevance: list[list[float]]
    damage: Damage
    seconds: list[dict[str, float]]


@dataclass(frozen=True)
class RangeMemory:
    """The kept memory tokens of a range for each question, one segment's behind another's [k, D], and the
    seconds of each question by phase."""

    memory_kD: list[torch.Tensor]
    seconds: list[dict[str, float]]


class Replica(Protocol):
    """A compressor that watches ranges of videos and compresses them for questions.

    Calls may come from several threads at once; they take turns between batches of segments. `progress` is
    called again and again while a call runs, with (frames watched, frames to watch) or with zeros, in the
    thread that called. What it raises ends the call.

    Attributes:
        name: where it computes, for messages.
    """

    name: str

    def room(self, place: CacheKind) -> tuple[str, int]:
        """Which memory it keeps segments in, "device" or "host", and how many bytes of it are free. Replicas
        that share a memory name it alike."""

    def watch(self, work: RangeWork, progress: Progress) -> RangeReport:
        """Watch a range and keep it, unless it is kept already.

        Raises:
            NoRoomError: there is no room for it.
            TempoError: the video cannot be read.
            ReplicaDiedError: it is gone; so do all calls.
        """

    def score(
        self, work: RangeWork, ask: str, questions: Sequence[list[int]], keep: Keep, progress: Progress
    ) -> RangeScores:
        """Score a range for some questions that are allocated together; a range that is not kept is watched.

        Args:
            ask: names the questions, for `compress` and `forget`.
        """

    def compress(self, ask: str, counts: Sequence[list[int]], progress: Progress) -> RangeMemory:
        """Compute the kept memory tokens of scored questions, which are forgotten with that.

        Args:
            counts: how many each segment of the range keeps, for each question.

        Raises:
            ForgottenError: it did not score them.
        """

    def forget(self, key: str) -> None:
        """Let go of a range or of questions, if it knows them."""

    def close(self) -> None:
        """End it."""


class RemoteReplica(ABC):
    """A replica in another process: every call is a message to it."""

    @abstractmethod
    def _call(self, method: str, *arguments: object, progress: Progress | None = None) -> Any:
        """Let it call a method of its :class:`CompressorReplica`, and return what that returns."""

    def room(self, place: CacheKind) -> tuple[str, int]:
        return self._call("room", place)

    def watch(self, work: RangeWork, progress: Progress) -> RangeReport:
        return self._call("watch", work, progress=progress)

    def score(
        self, work: RangeWork, ask: str, questions: Sequence[list[int]], keep: Keep, progress: Progress
    ) -> RangeScores:
        return self._call("score", work, ask, questions, keep, progress=progress)

    def compress(self, ask: str, counts: Sequence[list[int]], progress: Progress) -> RangeMemory:
        return self._call("compress", ask, counts, progress=progress)


@dataclass(frozen=True)
class _Scored:
    """Questions between their two calls."""

    session: Session
    score: Callable[[], ScoredQuestions]
    scored: ScoredQuestions
    timers: list[PhaseTimer]
    range_key: str


class CompressorReplica:
    """What a replica computes with: see :class:`Replica`.

    Args:
        engine: a model whose compressor is all that is used of it.
    """

    def __init__(self, engine: Tempo, *, name: str) -> None:
        self.name = name
        self._engine = engine
        self._turn = ComputeTurn()
        self._guard = threading.Lock()
        self._watching: dict[str, threading.Lock] = {}
        self._sessions: dict[str, Session] = {}
        self._scored: dict[str, _Scored] = {}
        self._call = threading.local()  # the progress of the call that a thread works at

    @property
    def kept(self) -> int:
        """How many ranges and scored questions it keeps."""
        return len(self._sessions) + len(self._scored)

    def room(self, place: CacheKind) -> tuple[str, int]:
        device = self._engine.device if place == "device" else torch.device("cpu")
        return f"{socket.gethostname()}:{name_on_machine(device)}", available_bytes(device)

    def watch(self, work: RangeWork, progress: Progress) -> RangeReport:
        with self._reporting(progress):
            session = self._session(work)
        spans = [span for entry in session.entries or () for span in entry.segments]
        return RangeReport(spans, session.damage, session.cached_bytes, session.timings)

    def score(
        self, work: RangeWork, ask: str, questions: Sequence[list[int]], keep: Keep, progress: Progress
    ) -> RangeScores:
        with self._reporting(progress):
            session = self._session(work)
            timers = [PhaseTimer(self._engine.device, shared=True) for _ in questions]

            def score() -> ScoredQuestions:
                if not session.is_cached:
                    return session.score(questions, keep, timers, self._step, self._turn.take_to_watch)
                with self._turn.take():
                    return session.score(questions, keep, timers, self._step_in_turn)

            scored = session.repair_and_repeat(score, timers[0], self._step)
        with self._guard:
            self._scored[ask] = _Scored(session, score, scored, timers, work.key)
        return RangeScores(scored.spans, scored.relevance, session.damage, _seconds(timers))

    def compress(self, ask: str, counts: Sequence[list[int]], progress: Progress) -> RangeMemory:
        with self._guard:
            known = self._scored.pop(ask, None)
        if known is None:
            raise ForgottenError("these questions were not scored here")
        scored: ScoredQuestions | None = known.scored

        def compress() -> list[torch.Tensor]:
            nonlocal scored
            current, scored = scored or known.score(), None  # what failed is scored again
            with self._turn.take():
                compressed = current.compress(counts, step=self._step_in_turn)
            width = self._engine.model.compressor.compression_tokens.shape[-1]
            nothing = torch.empty(0, width, dtype=self._engine.dtype, device=self._engine.device)
            return [torch.cat([nothing, *(s.memory_kD for s in segments)]) for segments in compressed]

        before = _seconds(known.timers)
        with self._reporting(progress):
            memory = known.session.repair_and_repeat(compress, known.timers[0], self._step)
        after = _seconds(known.timers)
        return RangeMemory(memory, [{n: b[n] - a[n] for n in b} for a, b in zip(before, after, strict=True)])

    def forget(self, key: str) -> None:
        with self._guard:
            self._sessions.pop(key, None)
            self._watching.pop(key, None)
            self._scored = {ask: one for ask, one in self._scored.items() if key not in (ask, one.range_key)}

    def close(self) -> None:
        with self._guard:  # questions may be forgotten meanwhile
            self._sessions.clear()
            self._watching.clear()
            self._scored.clear()

    def _session(self, work: RangeWork) -> Session:
        """The session of a range, watched if need be. Where nothing is kept, every call has its own."""
        request = WatchRequest(
            key=work.disk_key,
            video=work.video.independent(),
            sampling=work.sampling,
            part=work.part,
            progress=self._moved,
            turn=self._turn.take_to_watch,
            most_together=work.most_together,
        )
        if work.place == "none":
            return self._engine.watch_in("none", request)
        with self._guard:
            watching = self._watching.setdefault(work.key, threading.Lock())
        with watching:
            if work.key not in self._sessions:
                session = self._watched(work, request)
                with self._guard:
                    self._sessions[work.key] = session
            return self._sessions[work.key]

    def _watched(self, work: RangeWork, request: WatchRequest) -> Session:
        self._engine.disk = work.disk
        whole = work.disk.open(work.whole_disk_key) if work.place == "disk" else None
        if whole is None:
            return self._engine.watch_in(work.place, request)
        entries, damage = whole
        return Session(
            self._engine,
            request,
            entries=entries_within(entries, work.part.start, work.part.stop),
            damage=damage,
            rebuild=partial(self._engine.rebuild, request),
        )

    @contextmanager
    def _reporting(self, progress: Progress) -> Iterator[None]:
        self._call.progress = progress
        try:
            yield
        finally:
            del self._call.progress

    def _moved(self, done: int, total: int) -> None:
        self._call.progress(done, total)

    def _step(self) -> None:
        self._call.progress(0, 0)

    def _step_in_turn(self) -> None:
        self._turn.give_way()
        self._call.progress(0, 0)


def _seconds(timers: Sequence[PhaseTimer]) -> list[dict[str, float]]:
    return [dict(timer.seconds) for timer in timers]


def portable(found: T) -> T:
    """What a replica returned, for another process, which may have no such device."""
    if not isinstance(found, RangeMemory):
        return found
    return replace(found, memory_kD=[one.cpu() for one in found.memory_kD])


def replica_in_thread(model: Tempo, device: torch.device) -> CompressorReplica:
    """A replica in this process, on the model's device or with a copy of its compressor on another."""
    compressor = model.model.compressor
    if device != model.device:
        # The copies are made where they belong, one tensor after the other.
        copies: dict[int, object] = {
            id(parameter): nn.Parameter(parameter.to(device), requires_grad=False)
            for parameter in compressor.parameters()
        }
        copies |= {id(buffer): buffer.to(device) for buffer in compressor.buffers()}
        compressor = deepcopy(compressor, copies)
    return CompressorReplica(compressor_of(model, compressor), name=str(device))


def compressor_of(model: Tempo, compressor: Compressor) -> Tempo:
    """A model of which a compressor is all that there is."""
    return Tempo(CompressorNetwork(model.config, compressor), model.prompts, name=model.name)

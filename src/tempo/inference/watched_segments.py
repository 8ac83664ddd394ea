"""The segments of a watched video, all of them or a range: scored and compressed for questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TypeVar

from tempo.console import shown_progress
from tempo.video.video import Damage, Sampling, Video

from .cache_entry import CacheEntry, DamagedEntryError, DiskCacheEntry, SegmentFile
from .keep_strategies import Keep
from .loaded_model import LoadedModel
from .options import ResolvedOptions
from .phase_timer import PhaseTimer
from .pipeline import CompressedSegment, ScoredQuestions, Step, Turn, go_on, score_uncached
from .question_batch import CachedQuestion, score_together
from .video_info import fingerprint_of
from .watch_request import WatchRequest

T = TypeVar("T")

Rebuild = Callable[[Sequence[CacheEntry], PhaseTimer, Step], tuple[Sequence[CacheEntry] | None, Damage]]
"""Watches a video again whose cache entries are damaged: the new ones (None: there is no room), and what of
the video could not be shown."""


class WatchedSegments:
    """What a model has watched of a video, or watches anew for every question if nothing is kept of it.

    Attributes:
        video, sampling: what is watched, and which moments of it.
        damage: what could not be shown of it; empty until the video has been watched.
        timings: seconds that watching took, by phase (decode, watch); zeros where nothing is kept.
        entries: what is kept of it; None: nothing.
    """

    def __init__(
        self,
        engine: LoadedModel,
        request: WatchRequest,
        *,
        entries: Sequence[CacheEntry] | None,
        damage: Damage | None = None,
        timings: dict[str, float] | None = None,
        rebuild: Rebuild | None = None,
    ) -> None:
        self.engine = engine
        self.video: Video = request.video
        self.sampling: Sampling = request.sampling
        self._request = request
        self.timings = timings or {"decode": 0.0, "watch": 0.0}
        self.damage = damage or Damage()
        self.entries = entries
        self._rebuild = rebuild
        self._fingerprint = fingerprint_of(request.video)

    @property
    def is_cached(self) -> bool:
        """Whether the question-free part is kept, so that a next question need not watch the video."""
        return self.entries is not None

    @property
    def cached_bytes(self) -> int:
        """Memory that the kept part takes, on the device or the host; what is on disk does not count."""
        return sum(entry.nbytes for entry in self.entries or ())

    @property
    def is_evicted(self) -> bool:
        """Whether what it has on disk was removed there; it takes room until this session is let go."""
        return any(file.is_removed for file in self._files)

    def touch(self) -> None:
        """Count as used now, where the least recently used entries are removed from the disk first."""
        for file in self._files:
            file.touch()

    @property
    def _files(self) -> set[SegmentFile]:
        return {entry.file for entry in self.entries or () if isinstance(entry, DiskCacheEntry)}

    def compress(
        self,
        questions: Sequence[list[int]],
        options: ResolvedOptions,
        timers: Sequence[PhaseTimer],
        step: Step = go_on,
        turn: Turn = nullcontext,
    ) -> list[list[CompressedSegment]]:
        """Score every segment for each question, allocate the budget, and compute the kept memory tokens.

        Args:
            questions: token ids of each, as the compressor reads it.
            timers: one for each.
            turn: entered for each batch of segments, where the video has to be watched for this.
        """
        self.engine.check_process()

        def compress() -> list[list[CompressedSegment]]:
            scored = self.score(questions, options.keep, timers, step, turn)
            counts = [
                self.engine.allocate(relevance, budget=options.budget, adaptive=options.adaptive)
                for relevance in scored.relevance
            ]
            return scored.compress(counts, step=step)

        return self.repair_and_repeat(compress, timers[0], step)

    def score(
        self,
        questions: Sequence[list[int]],
        keep: Keep,
        timers: Sequence[PhaseTimer],
        step: Step = go_on,
        turn: Turn = nullcontext,
    ) -> ScoredQuestions:
        """The relevance of every segment for each question; the first half of `compress`.

        Raises:
            DamagedEntryError: an entry on disk is not what was written; see `repair_and_repeat`.
        """
        if self.entries is not None:
            cached = [
                CachedQuestion(self.video, self.entries, question_ids, keep, timer)
                for question_ids, timer in zip(questions, timers, strict=True)
            ]
            return score_together(self.engine, cached, step=step)
        with shown_progress(self._request.progress, "watching", "frames") as progress:
            scored = score_uncached(
                self.engine,
                self.video,
                self.sampling,
                list(zip(questions, timers, strict=True)),
                keep=keep,
                progress=progress,
                step=step,
                turn=turn,
                most_together=self._request.most_together,
                part=self._request.part,
            )
        self.damage = self.video.damage
        return scored

    def repair_and_repeat(self, action: Callable[[], T], timer: PhaseTimer, step: Step = go_on) -> T:
        """Do something with what is kept. Where that is damaged, watch the video again and do it once more;
        where it is damaged at once, keep nothing and do it a last time."""
        rebuilt = False
        while True:
            try:
                return action()
            except DamagedEntryError:
                if self.entries is None:
                    raise
                if self._rebuild is None or rebuilt:  # a disk that damages it at once is not written again
                    self.entries = None
                else:
                    self.entries, self.damage = self._rebuild(self.entries, timer, step)
                    rebuilt = True

    def _segment_count(self) -> int:
        if self.entries is not None:
            return sum(len(entry.segments) for entry in self.entries)
        return self._request.segments(self.engine.config.segment_frames)

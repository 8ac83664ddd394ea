"""A watched video: ask, ask again, or ask in a conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Unpack

import torch

from tempo.devices import peak_bytes
from tempo.errors import TempoError, UsageError
from tempo.video.video import Damage, Sampling, Video

from .cache_entry import CacheEntry, DamagedEntryError
from .generation import generate, pieces
from .limits import check_context, check_question
from .loaded_model import LoadedModel
from .options import AskOptions, ResolvedOptions
from .phase_timer import PhaseTimer
from .pipeline import (
    CompressedSegment,
    Progress,
    compress_cached,
    compress_uncached,
)
from .results import (
    Answer,
    AnswerSegment,
    AnswerStream,
    LostSpan,
    Usage,
    VideoInfo,
)

Rebuild = Callable[[Sequence[CacheEntry], PhaseTimer], tuple[Sequence[CacheEntry] | None, Damage]]
"""Watches a video again whose cache entries are damaged: the new ones (None: there is no room), and what of
the video could not be shown."""


@dataclass(frozen=True)
class _Prompt:
    """A question and its token ids: for the compressor, and around the video for the decoder."""

    question: str
    question_ids: list[int]
    before_ids: list[int]
    after_ids: list[int]
    turns: int = 0  # earlier ones that are part of it


class Session:
    """A video that a model has watched, or watches anew for every question if nothing is kept of it.

    Attributes:
        video, sampling: what is watched, and which moments of it.
        damage: what could not be shown of it; empty until the video has been watched.
        timings: seconds that watching took, by phase (decode, watch); zeros where nothing is kept.
    """

    def __init__(
        self,
        engine: LoadedModel,
        video: Video,
        sampling: Sampling,
        *,
        entries: Sequence[CacheEntry] | None,
        damage: Damage | None = None,
        timings: dict[str, float] | None = None,
        rebuild: Rebuild | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.engine = engine
        self.video = video
        self.sampling = sampling
        self.timings = timings or {"decode": 0.0, "watch": 0.0}
        self.damage = damage or Damage()
        self._entries = entries
        self._rebuild = rebuild
        self._progress = progress
        self._fingerprint = _fingerprint_of(video)

    @property
    def is_cached(self) -> bool:
        """Whether the question-free part is kept, so that a next question need not watch the video."""
        return self._entries is not None

    @property
    def cached_bytes(self) -> int:
        """Memory that the kept part takes, on the device or the host; what is on disk does not count."""
        return sum(entry.nbytes for entry in self._entries or ())

    @property
    def lost_seconds(self) -> float:
        """How much of the video could not be shown, in seconds."""
        return self.damage.seconds

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before you rely on an answer, a line each: the model does not know such videos."""
        unfamiliar = self.engine.unfamiliar(self.video)
        return () if unfamiliar is None else (unfamiliar,)

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question about the video. Every question stands alone.

        Raises:
            UsageError: an option that can never work.
            TempoError: an empty question, a question or budget beyond the model's context, a budget below one
                token a segment; and without a kept cache whatever keeps the video from being read.
        """
        return self.stream(question, **options).answer

    def stream(self, question: str, **options: Unpack[AskOptions]) -> AnswerStream:
        """The same, in pieces of text as they are written. `answer` of what is returned is the whole."""
        return self.stream_after((), question, **options)

    def route(self, question: str, **options: Unpack[AskOptions]) -> list[AnswerSegment]:
        """How relevant every segment is for a question, and how many tokens it gets. Nothing is answered.

        Raises:
            UsageError, TempoError: as `ask`.
        """
        chosen = ResolvedOptions(**options)
        prompt = self._prompt((), question, chosen)
        return _answer_segments(self._compress(prompt.question_ids, chosen, PhaseTimer(self.engine.device)))

    def conversation(self, *, keep_turns: int | None = None) -> Conversation:
        """Like this session, but later questions see the earlier ones and their answers.

        Args:
            keep_turns: how many of the latest turns they see at most; None: all, until the context is full.
        """
        return Conversation(self, keep_turns=keep_turns)

    def stream_after(
        self, earlier: Sequence[tuple[str, str]], question: str, **options: Unpack[AskOptions]
    ) -> AnswerStream:
        """Answer a question that follows (question, answer) pairs of the same conversation."""
        chosen = ResolvedOptions(**options)
        prompt = self._prompt(earlier, question, chosen)
        return AnswerStream(self._write(prompt, chosen))

    def _prompt(self, earlier: Sequence[tuple[str, str]], question: str, options: ResolvedOptions) -> _Prompt:
        """What both models read beside the video. Raises TempoError where it is empty or does not fit."""
        if not question.strip():
            raise TempoError("the question is empty; ask something")
        prompts = self.engine.prompts
        if earlier:  # a question that is too long by itself is not the conversation's fault
            alone = _Prompt(question, prompts.question(question), *prompts.decoder_prompt(question))
            self._check(alone, options)
        before_ids, after_ids = prompts.decoder_prompt(question, earlier=earlier)
        question_ids = prompts.question(question, earlier=[asked for asked, _ in earlier])
        prompt = _Prompt(question, question_ids, before_ids, after_ids, turns=len(earlier))
        self._check(prompt, options)
        return prompt

    def _check(self, prompt: _Prompt, options: ResolvedOptions) -> None:
        check_question(
            self.engine,
            self.video,
            options,
            segments=self._segment_count(),
            decoder_tokens=len(prompt.before_ids) + len(prompt.after_ids),
            question_tokens=len(prompt.question_ids),
            turns=prompt.turns,
        )

    def _write(self, prompt: _Prompt, options: ResolvedOptions) -> Iterator[str | Answer]:
        """Compress the video for the question, then write: pieces of text, and at last the answer."""
        engine, model = self.engine, self.engine.model
        timer = PhaseTimer(engine.device)
        compressed = self._compress(prompt.question_ids, options, timer)
        with timer.phase("answer"), torch.inference_mode():
            segments = [(self._timestamp(segment), segment.memory_kD) for segment in compressed]
            inputs_embeds_LU = model.decoder_inputs(prompt.before_ids, segments, prompt.after_ids)
        check_context(engine, options, prompt_tokens=len(inputs_embeds_LU), turns=prompt.turns)
        stop_ids = engine.stop_ids
        tokens = generate(
            model,
            inputs_embeds_LU,
            max_new_tokens=options.max_new_tokens,
            stop_ids=stop_ids,
            temperature=options.temperature,
            top_p=options.top_p,
        )
        writing = pieces(engine.prompts.decoder, tokens)
        ids: list[int] = []
        text = ""
        while True:
            with timer.phase("answer"):
                ids, piece = next(writing, (ids, None))
            if piece is None:
                break
            if piece:
                text += piece
                yield piece
        yield Answer(
            text=text,
            token_ids=ids,
            segments=_answer_segments(compressed),
            usage=Usage(
                visual_tokens=sum(len(segment.memory_kD) for segment in compressed),
                prompt_tokens=len(inputs_embeds_LU),
                answer_tokens=len(ids),
                timings=timer.timings(),
                peak_memory_bytes=peak_bytes(engine.device),
            ),
            finished=bool(ids) and ids[-1] in stop_ids,
            budget=options.budget_of(engine),
            model=engine.name,
            video=self.video_info,
            relevance_floor=engine.config.relevance_floor,
            warnings=self.warnings,
            question=prompt.question,
        )

    def _compress(
        self, question_ids: list[int], options: ResolvedOptions, timer: PhaseTimer
    ) -> list[CompressedSegment]:
        """Score every segment for the question, allocate the budget, and compute the kept memory tokens."""
        self.engine.check_process()
        allocate = partial(self.engine.allocate, budget=options.budget, adaptive=options.adaptive)
        rebuilt = False
        while (entries := self._entries) is not None:
            try:
                return compress_cached(
                    self.engine,
                    self.video,
                    entries,
                    question_ids,
                    allocate=allocate,
                    keep=options.keep,
                    timer=timer,
                )
            except DamagedEntryError:
                if self._rebuild is None or rebuilt:  # a disk that damages it at once is not written again
                    self._entries = None
                else:
                    self._entries, self.damage = self._rebuild(entries, timer)
                    rebuilt = True
        compressed = compress_uncached(
            self.engine,
            self.video,
            self.sampling,
            question_ids,
            allocate=allocate,
            keep=options.keep,
            timer=timer,
            progress=self._progress,
        )
        self.damage = self.video.damage
        return compressed

    def _timestamp(self, segment: CompressedSegment) -> list[int]:
        """What the decoder reads before a segment's memory tokens; a still image has no time."""
        if self.video.kind == "image":
            return []
        return self.engine.prompts.timestamp(segment.span.timestamp)

    def _segment_count(self) -> int:
        if self._entries is not None:
            return sum(len(entry.segments) for entry in self._entries)
        return -(-len(self.sampling) // self.engine.config.segment_frames)

    @property
    def video_info(self) -> VideoInfo:
        """What is watched, and what of it could not be shown."""
        video = self.video
        return VideoInfo(
            path=video.path,
            duration=video.duration,
            width=video.width,
            height=video.height,
            frames=len(self.sampling),
            fps=self.sampling.fps,
            lost_seconds=self.damage.seconds,
            lost=tuple(
                LostSpan(start, end, reason)
                for (start, end), reason in zip(self.damage.spans, self.damage.reasons, strict=True)
            ),
            remarks=video.remarks,
            generated=video.generated,
            fingerprint=self._fingerprint,
        )


class Conversation:
    """A session with a memory: each question is read together with the earlier ones and their answers.

    The video is scored and compressed anew for every question, with the earlier questions in mind, so a
    follow-up can ask about what no earlier answer mentions.

    Attributes:
        turns: the (question, answer) pairs that the next question is read with, oldest first.
        keep_turns: how many they are at most, of which the oldest are forgotten first; None: all of them.
    """

    def __init__(self, session: Session, *, keep_turns: int | None = None) -> None:
        """Raises UsageError where `keep_turns` is no number of turns."""
        if keep_turns is not None and (
            isinstance(keep_turns, bool) or not isinstance(keep_turns, int) or keep_turns < 0
        ):
            raise UsageError(f"keep_turns must be a whole number of at least 0, or None, not {keep_turns}")
        self.session = session
        self.keep_turns = keep_turns
        self.turns: list[tuple[str, str]] = []

    def clear(self) -> None:
        """Forget all turns; the video stays watched."""
        self.turns.clear()

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Like `Session.ask`, and remembered.

        Raises:
            UsageError, TempoError: as `Session.ask`, and where the earlier turns fill the model's context.
        """
        return self.stream(question, **options).answer

    def stream(self, question: str, **options: Unpack[AskOptions]) -> AnswerStream:
        """Like `Session.stream`. It is remembered once the answer is whole."""
        stream = self.session.stream_after(tuple(self.turns), question, **options)

        def remembered() -> Iterator[str | Answer]:
            yield from stream
            self.turns.append((question, stream.answer.text))
            if self.keep_turns is not None:
                del self.turns[: max(0, len(self.turns) - self.keep_turns)]
            yield stream.answer

        return AnswerStream(remembered())


def _answer_segments(compressed: Sequence[CompressedSegment]) -> list[AnswerSegment]:
    return [
        AnswerSegment(
            index=segment.span.index,
            start=segment.span.start,
            end=segment.span.end,
            timestamp=segment.span.timestamp,
            relevance=segment.relevance,
            tokens=len(segment.memory_kD),
        )
        for segment in compressed
    ]


def _fingerprint_of(video: Video) -> str:
    """By which an answer knows the file again; "" where there is none, or it cannot be read any more."""
    if video.path is None:
        return ""
    try:
        return video.fingerprint
    except OSError:
        return ""

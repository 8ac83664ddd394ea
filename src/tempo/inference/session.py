"""A watched video: ask, ask again, or ask in a conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Unpack

import torch

from tempo.devices import peak_bytes
from tempo.errors import TempoError, UsageError
from tempo.video.video import Damage, Sampling, Video

from . import allocation
from .cache_entry import DamagedEntryError, Kept
from .generation import generate, pieces
from .limits import check_context, check_question
from .loaded_model import LoadedModel
from .options import AskOptions, ResolvedOptions
from .pipeline import (
    Distilled,
    Progress,
    distil_kept,
    distil_once,
)
from .results import (
    Answer,
    AnswerSegment,
    AnswerStream,
    Clock,
    LostSpan,
    Usage,
    VideoInfo,
)

Renew = Callable[[Sequence[Kept], Clock], tuple[Sequence[Kept] | None, Damage]]
"""Watches a video again of which what was kept is damaged: what is kept now (None: nothing could be), and
what of it could not be shown."""


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
        kept: Sequence[Kept] | None,
        damage: Damage | None = None,
        timings: dict[str, float] | None = None,
        renew: Renew | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.engine = engine
        self.video = video
        self.sampling = sampling
        self.timings = timings or {"decode": 0.0, "watch": 0.0}
        self.damage = damage or Damage()
        self._kept = kept
        self._renew = renew
        self._progress = progress

    @property
    def keeps(self) -> bool:
        """Whether something is kept, so that another question need not watch the video again."""
        return self._kept is not None

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
        """How relevant every segment is for a question, and how many tokens it is given. Nothing is answered.

        Raises:
            UsageError, TempoError: as `ask`.
        """
        chosen = ResolvedOptions(**options)
        if not question.strip():
            raise TempoError("the question is empty; ask something")
        question_ids = self.engine.prompts.question(question)
        before_ids, after_ids = self.engine.prompts.storyline(question)
        self._check(
            chosen, decoder_tokens=len(before_ids) + len(after_ids), question_tokens=len(question_ids)
        )
        return _segments(self._distil(question_ids, chosen, Clock(self.engine.device)))

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
        if not question.strip():
            raise TempoError("the question is empty; ask something")
        prompts = self.engine.prompts
        before_ids, after_ids = prompts.storyline(question, earlier=earlier)
        question_ids = prompts.question(question, earlier=[asked for asked, _ in earlier])
        if earlier:  # is the question by itself too long already?
            alone = sum(map(len, prompts.storyline(question)))
            self._check(chosen, decoder_tokens=alone, question_tokens=len(prompts.question(question)))
        self._check(
            chosen,
            decoder_tokens=len(before_ids) + len(after_ids),
            question_tokens=len(question_ids),
            turns=len(earlier),
        )
        return AnswerStream(self._write(question_ids, before_ids, after_ids, chosen, turns=len(earlier)))

    def _write(
        self,
        question_ids: list[int],
        before_ids: list[int],
        after_ids: list[int],
        options: ResolvedOptions,
        *,
        turns: int,
    ) -> Iterator[str | Answer]:
        engine = self.engine
        clock = Clock(engine.device)
        distilled = self._distil(question_ids, options, clock)
        stamps = [self._timestamp(one) for one in distilled]
        with clock.phase("answer"), torch.inference_mode():
            moments = [(stamp, one.memory_kD) for stamp, one in zip(stamps, distilled, strict=True)]
            storyline_NH = engine.model.storyline(before_ids, moments, after_ids)
        check_context(engine, options, prompt_tokens=len(storyline_NH), turns=turns)
        ids: list[int] = []
        stop_ids = engine.stop_ids
        writing = pieces(
            engine.prompts.decoder,
            generate(
                engine.model,
                storyline_NH,
                max_new_tokens=options.max_new_tokens,
                stop_ids=stop_ids,
                temperature=options.temperature,
                top_p=options.top_p,
            ),
        )
        text = ""
        while True:
            with clock.phase("answer"):
                ids, piece = next(writing, (ids, None))
            if piece is None:
                break
            if piece:
                text += piece
                yield piece
        yield Answer(
            text=text,
            token_ids=ids,
            segments=_segments(distilled),
            usage=Usage(
                visual_tokens=sum(len(one.memory_kD) for one in distilled),
                prompt_tokens=len(storyline_NH),
                answer_tokens=len(ids),
                timings=clock.timings(),
                peak_memory_bytes=peak_bytes(engine.device),
            ),
            finished=bool(ids) and ids[-1] in stop_ids,
            budget=options.budget_of(self.engine),
            model=engine.name,
            video=self.video_info,
            relevance_floor=engine.config.relevance_floor,
            warnings=self.warnings,
        )

    def _distil(self, question_ids: list[int], options: ResolvedOptions, clock: Clock) -> list[Distilled]:
        self.engine.check_process()
        budget = options.budget_of(self.engine)
        config = self.engine.config

        def allocate(relevance: list[float]) -> list[int]:
            k_max = config.num_compression_tokens
            if options.adaptive:
                return allocation.adaptive(relevance, budget=budget, k_min=config.min_tokens, k_max=k_max)
            return allocation.uniform(len(relevance), budget=budget, k_max=k_max)

        renewed = False
        while (kept := self._kept) is not None:
            try:
                return distil_kept(
                    self.engine,
                    self.video,
                    kept,
                    question_ids,
                    allocate=allocate,
                    keep=options.keep,
                    clock=clock,
                )
            except DamagedEntryError:
                if self._renew is None or renewed:  # a disk that damages it at once is not written to again
                    self._kept = None
                else:
                    self._kept, self.damage = self._renew(kept, clock)
                    renewed = True
        distilled = distil_once(
            self.engine,
            self.video,
            self.sampling,
            question_ids,
            allocate=allocate,
            keep=options.keep,
            clock=clock,
            progress=self._progress,
        )
        self.damage = self.video.damage
        return distilled

    def _timestamp(self, one: Distilled) -> list[int]:
        """A still image has no time."""
        if self.video.kind == "image":
            return []
        return self.engine.prompts.timestamp(one.moment.timestamp)

    def _check(
        self, options: ResolvedOptions, *, decoder_tokens: int, question_tokens: int, turns: int = 0
    ) -> None:
        check_question(
            self.engine,
            self.video,
            options,
            segments=self._segment_count(),
            decoder_tokens=decoder_tokens,
            question_tokens=question_tokens,
            turns=turns,
        )

    def _segment_count(self) -> int:
        if self._kept is not None:
            return sum(len(entry.moments) for entry in self._kept)
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
        )


class Conversation:
    """A session with a memory: each question is read together with the earlier ones and their answers.

    The video is routed and distilled anew for every question, with the earlier questions in mind, so a
    follow-up can ask for what no earlier answer was about.

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


def _segments(distilled: Sequence[Distilled]) -> list[AnswerSegment]:
    return [
        AnswerSegment(
            index=one.moment.index,
            start=one.moment.start,
            end=one.moment.end,
            timestamp=one.moment.timestamp,
            relevance=one.relevance,
            tokens=len(one.memory_kD),
        )
        for one in distilled
    ]

"""A watched video: ask, and ask again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack

import torch

from tempo import allocation
from tempo.allocation import KEEPS, Keep
from tempo.answer import Answer, AnswerSegment, AnswerStream, Clock, LostSpan, Usage, VideoInfo
from tempo.cache_entry import DamagedEntryError, Kept
from tempo.errors import ConversationFullError, TempoError, UsageError
from tempo.generation import generate, pieces
from tempo.memory import peak_bytes
from tempo.number_checks import is_number, is_whole, shown
from tempo.pipeline import Distilled, Progress, distil_kept, distil_once
from tempo.video import Damage, Sampling, Video

if TYPE_CHECKING:
    from tempo.conversation import Conversation
    from tempo.engine import Tempo


class AskOptions(TypedDict, total=False):
    """What can be said beside a question.

    Attributes:
        budget: memory tokens that the decoder reads of the whole video, at most; None: the model's own.
        adaptive: by relevance, or the same number for every segment.
        keep: which of a segment's memory tokens are kept: head, tail, random, or merge.
        max_new_tokens: how long the answer may be, in tokens.
        temperature: 0: the likeliest token each time. Higher: drawn, the more freely the higher.
        top_p: draw only among the likeliest tokens that have this probability together.
    """

    budget: int | None
    adaptive: bool
    keep: Keep
    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class _Options:
    budget: int | None = None
    adaptive: bool = True
    keep: Keep = "head"
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        for name in ("budget", "max_new_tokens"):
            value = getattr(self, name)
            if value is None and name == "budget":
                continue
            if not is_whole(value, least=1):
                raise UsageError(f"{name} must be a whole number of at least 1, not {shown(value)}")
        if self.keep not in KEEPS:
            raise UsageError(f"keep={self.keep!r}: it can be {', '.join(KEEPS)}")
        if not (is_number(self.temperature) and self.temperature >= 0):
            raise UsageError(f"temperature must be 0 or more, not {shown(self.temperature)}")
        if not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise UsageError(f"top_p must be above 0 and at most 1, not {shown(self.top_p)}")


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
        engine: Tempo,
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
        chosen = _Options(**options)
        if not question.strip():
            raise TempoError("the question is empty; ask something")
        question_ids = self.engine.prompts.question(question)
        before_ids, after_ids = self.engine.prompts.storyline(question)
        self._check_question(len(before_ids) + len(after_ids), len(question_ids), chosen)
        return _segments(self._distil(question_ids, chosen, Clock(self.engine.device)))

    def conversation(self, *, keep_turns: int | None = None) -> Conversation:
        """Like this session, but later questions see the earlier ones and their answers.

        Args:
            keep_turns: how many of the latest turns they see at most; None: all, until the context is full.
        """
        from tempo.conversation import Conversation

        return Conversation(self, keep_turns=keep_turns)

    def stream_after(
        self, earlier: Sequence[tuple[str, str]], question: str, **options: Unpack[AskOptions]
    ) -> AnswerStream:
        """Answer a question that follows (question, answer) pairs of the same conversation."""
        chosen = _Options(**options)
        if not question.strip():
            raise TempoError("the question is empty; ask something")
        prompts = self.engine.prompts
        before_ids, after_ids = prompts.storyline(question, earlier=earlier)
        question_ids = prompts.question(question, earlier=[asked for asked, _ in earlier])
        if earlier:  # is the question by itself too long already?
            alone = sum(map(len, prompts.storyline(question)))
            self._check_question(alone, len(prompts.question(question)), chosen)
        self._check_question(len(before_ids) + len(after_ids), len(question_ids), chosen, turns=len(earlier))
        return AnswerStream(self._write(question_ids, before_ids, after_ids, chosen, turns=len(earlier)))

    def _write(
        self,
        question_ids: list[int],
        before_ids: list[int],
        after_ids: list[int],
        options: _Options,
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
        self._check_context(len(storyline_NH), options, turns=turns)
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
            budget=self._budget(options),
            model=engine.name,
            video=self.video_info,
            relevance_floor=engine.config.relevance_floor,
            warnings=self.warnings,
        )

    def _distil(self, question_ids: list[int], options: _Options, clock: Clock) -> list[Distilled]:
        self.engine.check_process()
        budget = self._budget(options)
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

    def _budget(self, options: _Options) -> int:
        return options.budget if options.budget is not None else self.engine.config.visual_token_budget

    def _segment_count(self) -> int:
        if self._kept is not None:
            return sum(len(entry.moments) for entry in self._kept)
        return -(-len(self.sampling) // self.engine.config.segment_frames)

    def _check_question(
        self, prompt_tokens: int, question_tokens: int, options: _Options, *, turns: int = 0
    ) -> None:
        """Before anything is computed: does it fit at all, with the TURNS before it?"""
        engine = self.engine
        budget, segments = self._budget(options), self._segment_count()
        if budget < segments:
            raise TempoError(
                f"budget={budget} is less than one token for each of the {segments} segments; "
                f"give at least {segments}, or watch fewer frames with max_frames"
            )
        room = engine.config.context - options.max_new_tokens - segments
        if room < 1:
            raise TempoError(
                f"max_new_tokens={options.max_new_tokens} leaves no room for a question: the model's context "
                f"is {engine.config.context} tokens; lower it"
            )
        reader = engine.config.compressor().text_config.max_position_embeddings
        other = engine.segment_tokens(self.video) + engine.config.num_compression_tokens
        if prompt_tokens > room or question_tokens > reader - other:
            count, most = max(prompt_tokens, question_tokens), max(0, min(room, reader - other))
            beside = (
                f"{count} tokens, and beside video and answer (max_new_tokens={options.max_new_tokens}) "
                f"there is room for {most}"
            )
            if turns:
                raise ConversationFullError(
                    f"the conversation is full: the question and its {turns} earlier turns have {beside}"
                )
            raise TempoError(f"the question is too long: it has {beside}")

    def _check_context(self, prompt_tokens: int, options: _Options, *, turns: int) -> None:
        context = self.engine.config.context
        if prompt_tokens + options.max_new_tokens > context:
            more = (
                f"come to {prompt_tokens} tokens, the answer to {options.max_new_tokens}; that is more than "
                f"the model's context of {context}; lower budget or max_new_tokens"
            )
            if turns:
                raise ConversationFullError(f"video, question and {turns} earlier turns {more}")
            raise TempoError(f"video and question {more}")

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

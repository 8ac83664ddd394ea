"""A question on its way from a watched video to an answer, one stage after the other.

Alone, it goes through :meth:`PosedQuestion.compress` and :meth:`PosedQuestion.write`. `ask_many` and a server
run each stage for many at once: they score and compress cached questions together (:mod:`.question_batch`),
and write all answers side by side (:class:`.generation.DecodeBatch`).

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Protocol

import torch

from tempo.devices import peak_bytes
from tempo.video.video import Video

from .cache_entry import CacheEntry
from .generation import Constraint, DecodeOptions, generate, pieces
from .limits import check_context
from .loaded_model import LoadedModel
from .options import ResolvedOptions
from .phase_timer import PhaseTimer
from .pipeline import CompressedSegment, Step, Turn, go_on
from .question import Prompt
from .question_batch import CachedQuestion
from .results import Answer, AnswerSegment, Usage
from .video_info import VideoInfo


class WatchedVideo(Protocol):
    """What a question needs of its session; see :class:`tempo.inference.session.Session`."""

    engine: LoadedModel
    video: Video
    entries: Sequence[CacheEntry] | None

    @property
    def video_info(self) -> VideoInfo:
        """What is watched, and what of it could not be shown."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before an answer is relied on."""

    def compress(
        self,
        questions: Sequence[list[int]],
        options: ResolvedOptions,
        timers: Sequence[PhaseTimer],
        step: Step = go_on,
        turn: Turn = nullcontext,
    ) -> list[list[CompressedSegment]]:
        """Score every segment for each question, allocate the budget, and compute the kept memory tokens."""


class PosedQuestion:
    """A question about a session's video that was checked, and of which nothing is computed yet.

    Args:
        shared: others are answered meanwhile, so that only what is in the phases counts as this one's time.

    Attributes:
        timer: counts from now on.
        compressed: every segment as the decoder will read it, once the question is compressed.
        prompt_tokens: what the decoder reads, once `decoder_inputs` was called.
    """

    def __init__(
        self, session: WatchedVideo, prompt: Prompt, options: ResolvedOptions, *, shared: bool = False
    ) -> None:
        self.session, self.prompt, self.options = session, prompt, options
        self.engine = session.engine
        self.timer = PhaseTimer(self.engine.device, shared=shared)
        self.compressed: list[CompressedSegment] = []
        self.prompt_tokens = 0

    def cached(self) -> CachedQuestion | None:
        """What is needed to score and compress it with others; None: nothing of its video is kept."""
        if self.session.entries is None:
            return None
        return CachedQuestion(
            self.session.video,
            self.session.entries,
            self.prompt.question_ids,
            self.options.keep,
            self.timer,
            partial(self.engine.allocate, budget=self.options.budget, adaptive=self.options.adaptive),
        )

    def compress(self, *, step: Step = go_on, turn: Turn = nullcontext) -> None:
        """Score and compress it alone. What is kept and damaged is watched again.

        Args:
            step: called behind each batch of segments.
            turn: entered for each batch of segments, where the video has to be watched for this.
        """
        (self.compressed,) = self.session.compress(
            [self.prompt.question_ids], self.options, [self.timer], step, turn
        )

    def write(self, *, step: Step = go_on) -> Iterator[str | Answer]:
        """Write the answer alone, once the question is compressed: pieces of text, and at last the whole.

        Args:
            step: called behind each token.

        Raises:
            TempoError, ConversationFullError: as :meth:`decoder_inputs`.
        """
        tokens = generate(self.engine.model, self.decoder_inputs(), self.decode_options())
        writing = pieces(self.engine.prompts.decoder, tokens)
        ids: list[int] = []
        text = ""
        while True:
            with self.timer.phase("answer"):
                ids, piece = next(writing, (ids, None))
            if piece is None:
                break
            if piece:
                text += piece
                yield piece
            step()
        yield self.answer(ids, text)

    @property
    def segments(self) -> list[AnswerSegment]:
        """How relevant every segment is, and how many tokens it got."""
        return [
            AnswerSegment(
                index=segment.span.index,
                start=segment.span.start,
                end=segment.span.end,
                timestamp=segment.span.timestamp,
                relevance=segment.relevance,
                tokens=len(segment.memory_kD),
            )
            for segment in self.compressed
        ]

    def decoder_inputs(self) -> torch.Tensor:
        """The storyline [L, U], once the question is compressed.

        Raises:
            TempoError, ConversationFullError: it leaves no room for the answer.
        """
        still = self.session.video.kind == "image"  # which has no times for the decoder to read
        with self.timer.phase("answer"), torch.inference_mode():
            segments = [
                ([] if still else self.engine.prompts.timestamp(segment.span.timestamp), segment.memory_kD)
                for segment in self.compressed
            ]
            inputs_embeds_LU = self.engine.model.decoder_inputs(
                self.prompt.before_ids, segments, self.prompt.after_ids
            )
        self.prompt_tokens = len(inputs_embeds_LU)
        check_context(self.engine, self.options, prompt_tokens=self.prompt_tokens, turns=self.prompt.turns)
        return inputs_embeds_LU

    def decode_options(
        self, *, constraint: Constraint | None = None, top_logprobs: int | None = None
    ) -> DecodeOptions:
        """How the answer is written."""
        return DecodeOptions(
            max_new_tokens=self.options.max_new_tokens,
            stop_ids=self.engine.stop_ids,
            temperature=self.options.temperature,
            top_p=self.options.top_p,
            seed=self.options.seed,
            constraint=constraint,
            top_logprobs=top_logprobs,
        )

    def answer(self, ids: Sequence[int], text: str) -> Answer:
        """The whole answer: the tokens that were written, and their text."""
        return Answer(
            text=text,
            token_ids=list(ids),
            segments=self.segments,
            usage=Usage(
                visual_tokens=sum(len(segment.memory_kD) for segment in self.compressed),
                prompt_tokens=self.prompt_tokens,
                answer_tokens=len(ids),
                timings=self.timer.timings(),
                peak_memory_bytes=peak_bytes(self.engine.device),
            ),
            finished=bool(ids) and ids[-1] in self.engine.stop_ids,
            budget=self.options.budget_of(self.engine),
            model=self.engine.name,
            video=self.session.video_info,
            relevance_floor=self.engine.config.relevance_floor,
            warnings=self.session.warnings,
            question=self.prompt.question,
        )

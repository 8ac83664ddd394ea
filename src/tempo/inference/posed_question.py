"""A question on its way from a watched video to an answer, one stage after the other.

A server runs each stage for many at once: it scores and compresses cached questions together
(:mod:`.question_batch`), and writes all answers side by side (:class:`.generation.DecodeBatch`).

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Protocol

import torch

from tempo.video.video import Video

from .answer_writer import answer_segments, storyline, whole_answer
from .cache_entry import CacheEntry
from .generation import Constraint, DecodeOptions
from .loaded_model import LoadedModel
from .options import ResolvedOptions
from .phase_timer import PhaseTimer
from .pipeline import CompressedSegment, Step, Turn, go_on
from .question import Prompt
from .question_batch import CachedQuestion
from .results import Answer, AnswerSegment
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

    Attributes:
        timer: counts from now on.
        compressed: every segment as the decoder will read it, once the question is compressed.
        prompt_tokens: what the decoder reads, once `decoder_inputs` was called.
    """

    def __init__(self, session: WatchedVideo, prompt: Prompt, options: ResolvedOptions) -> None:
        self.session, self.prompt, self.options = session, prompt, options
        self.engine = session.engine
        self.timer = PhaseTimer(self.engine.device)
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
            partial(self.engine.allocate, budget=self.options.budget, adaptive=self.options.adaptive),
            self.options.keep,
            self.timer,
        )

    def compress(self, *, turn: Turn = nullcontext) -> None:
        """Score and compress it alone. What is kept and damaged is watched again.

        Args:
            turn: entered for each batch of segments, where the video has to be watched for this.
        """
        (self.compressed,) = self.session.compress(
            [self.prompt.question_ids], self.options, [self.timer], turn=turn
        )

    @property
    def segments(self) -> list[AnswerSegment]:
        """How relevant every segment is, and how many tokens it got."""
        return answer_segments(self.compressed)

    def decoder_inputs(self) -> torch.Tensor:
        """The storyline [L, U], once the question is compressed.

        Raises:
            TempoError, ConversationFullError: it leaves no room for the answer.
        """
        inputs_embeds_LU = storyline(
            self.engine,
            self.prompt,
            self.compressed,
            self.options,
            still=self.session.video.kind == "image",
            timer=self.timer,
        )
        self.prompt_tokens = len(inputs_embeds_LU)
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
        return whole_answer(
            self.engine,
            self.prompt,
            self.compressed,
            self.options,
            ids,
            text,
            prompt_tokens=self.prompt_tokens,
            video=self.session.video_info,
            warnings=self.session.warnings,
            timer=self.timer,
        )

"""Conversations → examples: a video and questions about it as the model reads them.

Everything up to the token ids is what answering does too: `tempo.video`, `tempo.processing`. What is added is
the answer, whose tokens are learnt.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tempo.errors import TempoError
from tempo.modeling import TempoQwenConfig
from tempo.processing.batching import SegmentBatch, batches
from tempo.processing.image_processor import Geometry, Grid
from tempo.processing.prompts import Prompts, Spans
from tempo.video.segments import span_of
from tempo.video.video import Video

from .llava import ConversationRecord


@dataclass(frozen=True)
class SegmentBlock:
    """Segments of equal layout. Pixels wait as bytes: a quarter of their normalised size."""

    pixels_SPC: np.ndarray  # uint8
    grid: Grid
    ids_SL: np.ndarray  # int64
    spans: Spans


@dataclass(frozen=True)
class QuestionTokens:
    """One question about a video, and its answer.

    Attributes:
        compressor_ids: the question as the compressor reads it behind every segment.
        before_ids, after_ids: what the decoder reads before and behind the video.
        answer_ids: what it should write, the end of the turn included.
        relevant: whether each segment is what the question is about; None: not known.
    """

    compressor_ids: list[int]
    before_ids: list[int]
    after_ids: list[int]
    answer_ids: list[int]
    relevant: tuple[bool, ...] | None = None


@dataclass(frozen=True)
class TrainingExample:
    """A video and questions about it.

    Attributes:
        name: for messages.
        blocks: its segments in order.
        timestamps: ids of each segment's timestamp.
        questions: at least one.
        seed: of what is random while this example is learnt from.
    """

    name: str
    blocks: list[SegmentBlock]
    timestamps: list[list[int]]
    questions: list[QuestionTokens]
    seed: str

    @property
    def segments(self) -> int:
        return len(self.timestamps)


@dataclass(frozen=True)
class SampleProcessor:
    """Conversations about videos → examples for one model."""

    prompts: Prompts
    config: TempoQwenConfig
    geometry: Geometry
    fps: float
    max_frames: int
    min_frames: int
    max_questions: int  # turns of a conversation that are learnt from
    batch_size: int = 32  # segments that are cut into patches at once

    def process(self, record: ConversationRecord, *, name: str, seed: str) -> TrainingExample:
        """Sample the frames of a record's video, and tokenize its questions and answers.

        Raises:
            TempoError: the video cannot be read, or it and the questions are beyond the model's context.
        """
        video = Video.open(record.media)
        sampling = video.sample(fps=self.fps, max_frames=self.max_frames, min_frames=self.min_frames)
        blocks, timestamps, spans = [], [], []
        for batch in batches(
            video,
            sampling,
            prompts=self.prompts,
            geometry=self.geometry,
            segment_frames=self.config.segment_frames,
            batch_size=self.batch_size,
        ):
            blocks.append(block_of(batch, self.geometry))
            for moment in batch.segments:
                spans.append((moment.start, moment.end))
                timestamps.append(self.timestamp(moment.timestamp, kind=video.kind))
        relevant = relevant_segments(record.evidence, spans, end=video.duration)
        return self.example(
            blocks, timestamps, self.conversation(record, relevant, seed=seed), name=name, seed=seed
        )

    def check(self, record: ConversationRecord) -> None:
        """Find out what `process` would refuse, of every turn, without decoding anything.

        Raises:
            TempoError: as `process`.
        """
        video = Video.open(record.media)
        sampling = video.sample(fps=self.fps, max_frames=self.max_frames, min_frames=self.min_frames)
        frames = self.config.segment_frames
        spans = [
            span_of(sampling.times[at : at + frames], segment_frames=frames, fps=sampling.fps)
            for at in range(0, len(sampling), frames)
        ]
        relevant = relevant_segments(record.evidence, spans, end=video.duration)
        pairs, h, w = self.geometry.grid(frames, video.width, video.height, kind=video.kind)
        tokens = h * w // self.geometry.merge_size**2
        prompt = self.prompts.segment([video.duration] * pairs, tokens=tokens, kind=video.kind)
        self._check_length(
            [
                self.question(*turn, earlier=record.turns[:number], relevant=relevant)
                for number, turn in enumerate(record.turns)
            ],
            [self.timestamp(start, kind=video.kind) for start, _ in spans],
            segment=len(prompt.ids),
        )

    def conversation(
        self, record: ConversationRecord, relevant: tuple[bool, ...] | None, *, seed: str
    ) -> list[QuestionTokens]:
        """The turns that are learnt from, each after those before it."""
        numbers = list(range(len(record.turns)))
        if len(numbers) > self.max_questions:
            numbers = sorted(random.Random(f"{seed}/turns").sample(numbers, self.max_questions))
        return [
            self.question(*record.turns[number], earlier=record.turns[:number], relevant=relevant)
            for number in numbers
        ]

    def question(
        self,
        question: str,
        answer: str,
        *,
        earlier: Sequence[tuple[str, str]] = (),
        relevant: tuple[bool, ...] | None = None,
    ) -> QuestionTokens:
        """One turn, exactly as `Session` puts it, and the answer behind it."""
        before, after = self.prompts.decoder_prompt(question, earlier=earlier)
        compressor_ids = self.prompts.question(question, earlier=[q for q, _ in earlier])
        end = self.prompts.end_of_answer
        return QuestionTokens(
            compressor_ids, before, after, [*self.prompts.decoder.text(answer), end], relevant
        )

    def timestamp(self, seconds: float, *, kind: str = "video") -> list[int]:
        """A still image has no time."""
        return [] if kind == "image" else self.prompts.timestamp(seconds)

    def example(
        self,
        blocks: list[SegmentBlock],
        timestamps: list[list[int]],
        questions: list[QuestionTokens],
        *,
        name: str,
        seed: str,
    ) -> TrainingExample:
        """Put together what fits into the model.

        Raises:
            TempoError: it does not fit.
        """
        self._check_length(questions, timestamps, segment=max(block.ids_SL.shape[1] for block in blocks))
        return TrainingExample(name, blocks, timestamps, questions, seed)

    def _check_length(
        self, questions: list[QuestionTokens], timestamps: list[list[int]], *, segment: int
    ) -> None:
        """Raises TempoError where a question and its answer do not fit behind a video whose segments have as
        many timestamps, and of which the longest takes `segment` tokens before it is asked about."""
        context = self.config.context
        compressor_context = self.config.compressor().text_config.max_position_embeddings
        segment += self.config.num_compression_tokens
        for one in questions:
            length = sum(map(len, timestamps)) + len(timestamps)
            length += len(one.before_ids) + len(one.after_ids) + len(one.answer_ids)
            if length > context or segment + len(one.compressor_ids) > compressor_context:
                raise TempoError(
                    f"a question with its answer is too long: with the video's times it comes to {length} "
                    f"tokens, and the model's context is {context}"
                )


def relevant_segments(
    evidence: Sequence[tuple[float, float]] | None, spans: Sequence[tuple[float, float]], *, end: float
) -> tuple[bool, ...] | None:
    """Whether each segment shows some of the evidence; None: it is not known.

    Args:
        spans: start and end of every segment, in seconds.
        end: of the video, for the message.

    Raises:
        TempoError: a part of the evidence is in no segment. Learnt from, it would teach that nothing of the
            video is what is asked about.
    """
    if evidence is None:
        return None
    shown = [False] * len(spans)
    for since, until in evidence:
        if not any(_overlap(span, since, until) for span in spans):
            raise TempoError(
                f"evidence: nothing is watched from {since:g} to {until:g} s; the video ends at {end:.1f} s"
            )
        shown = [one or _overlap(span, since, until) for one, span in zip(shown, spans, strict=True)]
    return tuple(shown)


def _overlap(span: tuple[float, float], since: float, until: float) -> bool:
    """Whether a segment shows something of a stretch, or the one moment that it is."""
    start, end = span
    return (start < until and end > since) or start <= since < end


def block_of(batch: SegmentBatch, geometry: Geometry) -> SegmentBlock:
    """Segments as they wait for the model. The pixels were bytes before they were normalised."""
    bytes_SPC = ((batch.pixels_SPC * geometry.std + geometry.mean) * 255).round().to(torch.uint8)
    return SegmentBlock(bytes_SPC.numpy(), batch.grid, batch.ids_SL.numpy(), batch.spans)


def normalized_pixels(bytes_SPC: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """The normalised patches, to the bit as `preprocess.patches` made them."""
    return (bytes_SPC.float() / 255 - geometry.mean) / geometry.std

"""Samples → examples: a watched video and questions about it as the model reads them.

Everything up to the token ids is what answering does too: `video`, `watching`, `prompts`. What is added is
the answer, whose tokens are learnt.

Legend: S segments, P patches, C values of a patch, L tokens.
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

from .llava import Record


@dataclass(frozen=True)
class Part:
    """Segments of equal layout. Pixels wait as bytes: a quarter of their normalised size."""

    pixels_SPC: np.ndarray  # uint8
    grid: Grid
    ids_SL: np.ndarray  # int64
    spans: Spans


@dataclass(frozen=True)
class Question:
    """One question about a video, and its answer.

    Attributes:
        asked: ids of the question as the compressor reads it behind every segment.
        before, after: what the decoder reads before and after the video.
        answer: what it should write, the end of the turn included.
        relevant: whether each segment is what the question is about; None: not known.
    """

    asked: list[int]
    before: list[int]
    after: list[int]
    answer: list[int]
    relevant: tuple[bool, ...] | None = None


@dataclass(frozen=True)
class Example:
    """A video and questions about it.

    Attributes:
        name: for messages.
        parts: its segments in order.
        stamps: ids of each segment's timestamp.
        questions: at least one.
        seed: of what is drawn for this example while it is learnt from.
    """

    name: str
    parts: list[Part]
    stamps: list[list[int]]
    questions: list[Question]
    seed: str

    @property
    def segments(self) -> int:
        return len(self.stamps)


@dataclass(frozen=True)
class Reader:
    """Makes examples for one model."""

    prompts: Prompts
    config: TempoQwenConfig
    geometry: Geometry
    fps: float
    max_frames: int
    min_frames: int
    questions: int  # turns of a conversation that are learnt from at most
    together: int = 32  # segments that are cut into patches at once

    def read(self, record: Record, *, name: str, seed: str) -> Example:
        """Watch what a record names, and put its questions.

        Raises:
            TempoError: the video cannot be read, or it and the questions are beyond the model's context.
        """
        video = Video.open(record.media)
        sampling = video.sample(fps=self.fps, max_frames=self.max_frames, min_frames=self.min_frames)
        parts, stamps, spans = [], [], []
        for batch in batches(
            video,
            sampling,
            prompts=self.prompts,
            geometry=self.geometry,
            segment_frames=self.config.segment_frames,
            batch_size=self.together,
        ):
            parts.append(part_of(batch, self.geometry))
            for moment in batch.segments:
                spans.append((moment.start, moment.end))
                stamps.append(self.stamp(moment.timestamp, kind=video.kind))
        relevant = relevant_segments(record.evidence, spans, end=video.duration)
        return self.example(
            parts, stamps, self.conversation(record, relevant, seed=seed), name=name, seed=seed
        )

    def check(self, record: Record) -> None:
        """Find out what `read` would refuse, of every turn, without decoding anything.

        Raises:
            TempoError: as `read`.
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
            [self.stamp(start, kind=video.kind) for start, _ in spans],
            segment=len(prompt.ids),
        )

    def conversation(self, record: Record, relevant: tuple[bool, ...] | None, *, seed: str) -> list[Question]:
        """The turns that are learnt from, each after those before it."""
        numbers = list(range(len(record.turns)))
        if len(numbers) > self.questions:
            numbers = sorted(random.Random(f"{seed}/turns").sample(numbers, self.questions))
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
    ) -> Question:
        """One turn, exactly as `Session` puts it, and the answer behind it."""
        before, after = self.prompts.decoder_prompt(question, earlier=earlier)
        asked = self.prompts.question(question, earlier=[q for q, _ in earlier])
        end = self.prompts.end_of_answer
        return Question(asked, before, after, [*self.prompts.decoder.text(answer), end], relevant)

    def stamp(self, seconds: float, *, kind: str = "video") -> list[int]:
        """A still image has no time."""
        return [] if kind == "image" else self.prompts.timestamp(seconds)

    def example(
        self,
        parts: list[Part],
        stamps: list[list[int]],
        questions: list[Question],
        *,
        name: str,
        seed: str,
    ) -> Example:
        """Put together what fits into the model.

        Raises:
            TempoError: it does not fit.
        """
        self._check_length(questions, stamps, segment=max(part.ids_SL.shape[1] for part in parts))
        return Example(name, parts, stamps, questions, seed)

    def _check_length(self, questions: list[Question], stamps: list[list[int]], *, segment: int) -> None:
        """Raises TempoError where a question and its answer do not fit behind a video whose segments have as
        many stamps, and of which the longest takes `segment` tokens before it is asked about."""
        context = self.config.context
        reader = self.config.compressor().text_config.max_position_embeddings
        segment += self.config.num_compression_tokens
        for one in questions:
            length = sum(map(len, stamps)) + len(stamps)
            length += len(one.before) + len(one.after) + len(one.answer)
            if length > context or segment + len(one.asked) > reader:
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


def part_of(batch: SegmentBatch, geometry: Geometry) -> Part:
    """Segments as they wait for the model. The pixels were bytes before they were normalised."""
    bytes_SPC = ((batch.pixels_SPC * geometry.std + geometry.mean) * 255).round().to(torch.uint8)
    return Part(bytes_SPC.numpy(), batch.grid, batch.ids_SL.numpy(), batch.spans)


def pixels_of(bytes_SPC: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """The normalised patches, to the bit as `preprocess.patches` made them."""
    return (bytes_SPC.float() / 255 - geometry.mean) / geometry.std

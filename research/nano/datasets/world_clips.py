"""Clips of the generated world with questions about them, as a source of samples for `tempo train`."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from research.nano.config import FRAME_SIZES
from tempo.errors import UsageError
from tempo.processing.batching import SegmentBatch, SegmentSpan, segment_prompt
from tempo.processing.image_processor import patches
from tempo.training.data.processor import SegmentBlock, TrainingExample, block_of
from tempo.training.data.sources import NoSampleError, SourceContext
from tempo.video.segments import Segment
from tempo.video.video import Video

from .clips import SEGMENT_FRAMES, draw, plan_clip

_ASPECTS = (0.6, 0.2, 0.2)  # how often each of FRAME_SIZES


class WorldClips:
    """Clips without end: clip n is the same for the same seed.

    Args:
        segments: how many segments a clip may have; one of them is chosen at random.
        questions: about a clip, at most.
        choice: share of the questions that are multiple choice.
        describe: whether clips of one or two segments are also to be described.
        wide: share of the clips that are of the wide world: pictures of hundreds of things, signs, changes.

    Raises:
        UsageError: an option makes no sense.
    """

    size = None
    generated = True

    def __init__(
        self,
        context: SourceContext,
        *,
        segments: Sequence[int] = (1, 2, 3),
        questions: int = 4,
        choice: float = 0.3,
        describe: bool = True,
        wide: float = 0.0,
    ) -> None:
        if not segments or not all(isinstance(count, int) and count >= 1 for count in segments):
            raise UsageError("segments must be whole numbers of at least 1")
        if not isinstance(questions, int) or questions < 1:
            raise UsageError("questions must be a whole number of at least 1")
        for name, share in (("choice", choice), ("wide", wide)):
            if not 0 <= share <= 1:
                raise UsageError(f"{name} is a share, from 0 to 1")
        self.processor, self.seed = context.processor, context.seed
        self.segments, self.questions, self.choice = tuple(segments), questions, choice
        self.describe, self.wide = describe, wide

    def name(self, index: int) -> str:
        return f"clip:{index}"

    def read(self, index: int, seed: str) -> TrainingExample:
        """A clip with questions that each stand alone.

        Raises:
            NoSampleError: nothing can be asked about it.
            TempoError: it does not fit into the model.
        """
        seed = f"world/{self.seed}/{index}"
        rng = random.Random(seed)
        segments = rng.choice(self.segments)
        plan = plan_clip(
            rng,
            segments=segments,
            questions=self.questions,
            aspect=rng.choices(tuple(FRAME_SIZES), _ASPECTS)[0],
            describing=self.describe and segments <= 2,
            choice=self.choice,
            wide=self.wide,
        )
        if not plan.asked:
            raise NoSampleError
        fps = SEGMENT_FRAMES / plan.window
        processor = self.processor
        blocks: list[SegmentBlock] = []
        timestamps: list[list[int]] = []
        for number, (frames, times) in enumerate(zip(draw(plan), plan.times, strict=True)):
            start = float(times[0])
            middle = start + plan.window / 2
            segment = Segment(number, frames, times, start, float(times[-1]) + 1 / fps, middle)
            video = Video.from_frames(frames, fps=fps)
            prompt = segment_prompt(
                video, segment, fps, prompts=processor.prompts, geometry=processor.geometry
            )
            pixels_SPC, grid = patches(frames[None], processor.geometry)
            span = SegmentSpan(number, segment.start, segment.end, segment.timestamp)
            batch = SegmentBatch(
                (span,), len(frames), pixels_SPC, grid, torch.tensor([prompt.ids]), prompt.spans
            )
            blocks.append(block_of(batch, processor.geometry))
            timestamps.append(processor.timestamp(middle))
        questions = [
            processor.question(asked.text, asked.answer, earlier=asked.earlier, relevant=asked.shown)
            for asked in plan.asked
        ]
        return processor.example(blocks, timestamps, questions, name=self.name(index), seed=seed)

"""Clips of the generated world as examples."""

from __future__ import annotations

import random

import torch

from research.nano.config import FRAME_SIZES
from tempo.errors import TempoError
from tempo.processing.batching import SegmentBatch, SegmentSpan, segment_prompt
from tempo.processing.image_processor import patches
from tempo.training.config import World
from tempo.training.data.processor import (
    Example,
    Part,
    Reader,
    part_of,
)
from tempo.video.segments import Segment
from tempo.video.video import Video

from .clips import SEGMENT_FRAMES, draw, plan_clip


class NothingAsked(TempoError):
    """A clip about which no question can be asked: no loss, another one is drawn."""


_ASPECTS = (0.6, 0.2, 0.2)  # how often each of FRAME_SIZES


def world_example(reader: Reader, world: World, *, name: str, seed: str) -> Example:
    """A clip with questions that each stand alone, drawn from `seed`.

    Raises:
        NothingAsked: as it says.
        TempoError: the clip does not fit into the model.
    """
    rng = random.Random(seed)
    segments = rng.choice(world.segments)
    plan = plan_clip(
        rng,
        segments=segments,
        questions=world.questions,
        aspect=rng.choices(tuple(FRAME_SIZES), _ASPECTS)[0],
        describing=world.describe and segments <= 2,
        choice=world.choice,
        wide=world.wide,
    )
    if not plan.asked:
        raise NothingAsked("nothing can be asked about this clip")
    fps = SEGMENT_FRAMES / plan.window
    parts: list[Part] = []
    stamps: list[list[int]] = []
    for index, (frames, times) in enumerate(zip(draw(plan), plan.times, strict=True)):
        start = float(times[0])
        middle = start + plan.window / 2
        segment = Segment(index, frames, times, start, float(times[-1]) + 1 / fps, middle)
        video = Video.from_frames(frames, fps=fps)
        prompt = segment_prompt(video, segment, fps, prompts=reader.prompts, geometry=reader.geometry)
        pixels_SPC, grid = patches(frames[None], reader.geometry)
        span = SegmentSpan(index, segment.start, segment.end, segment.timestamp)
        batch = SegmentBatch((span,), len(frames), pixels_SPC, grid, torch.tensor([prompt.ids]), prompt.spans)
        parts.append(part_of(batch, reader.geometry))
        stamps.append(reader.stamp(middle))
    questions = [
        reader.question(asked.text, asked.answer, earlier=asked.earlier, relevant=asked.shown)
        for asked in plan.asked
    ]
    return reader.example(parts, stamps, questions, name=name, seed=seed)

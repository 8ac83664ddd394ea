"""Counts the FLOPs of one question by phase, with torch's counter while the model's own code runs.

A multiplication with its addition counts as two. Segments of equal layout cost the same, so one is counted
and multiplied; the decoder is counted on as many tokens as it read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tempo.inference.generation import DecodeOptions, generate
from tempo.processing.batching import SegmentBatch, batches
from tempo.video.sampling import Sampling
from tempo.video.video import Video

from .segment_flops import count_segment_flops, flops_of

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo


@dataclass(frozen=True, kw_only=True)
class Flops:
    """The floating-point operations (FLOPs) of one question, by phase.

    Attributes:
        vision, language: prefilling the compressor with the whole video: its vision tower, its language
            model.
        score: the compressor over the tokens of the question.
        compress: the compressor over the memory tokens that are kept.
        prefill: the decoder over the storyline.
        one_pass: the compressor over everything, with every memory token, as it is without a cache.
    """

    vision: int
    language: int
    score: int
    compress: int
    prefill: int
    one_pass: int

    @property
    def watch(self) -> int:
        """Prefilling the compressor with the whole video."""
        return self.vision + self.language

    @property
    def follow_up(self) -> int:
        """Of the compressor, if the video is cached."""
        return self.score + self.compress

    def to_json(self) -> dict[str, int]:
        """As `tempo bench --json` has them: by the names of an answer's timings."""
        return {
            "vision": self.vision,
            "language": self.language,
            "route": self.score,
            "distil": self.compress,
            "prefill": self.prefill,
            "one_pass": self.one_pass,
        }


def count_flops(
    engine: Tempo, video: Video, sampling: Sampling, question: str, kept: Sequence[int], prompt_tokens: int
) -> Flops:
    """Count the FLOPs of a question about a video.

    Args:
        kept: how many memory tokens each segment keeps.
        prompt_tokens: how many tokens the decoder reads.
    """
    device, config = engine.device, engine.config
    batch = _one_segment(engine, video, sampling)
    segment = count_segment_flops(
        engine.model.compressor,
        batch.pixels_SPC.to(device, engine.dtype),
        batch.grid,
        batch.ids_SL.to(device),
        batch.spans,
        engine.prompts.question(question),
        kept,
    )
    with torch.inference_mode():
        inputs_embeds_LU = torch.zeros(prompt_tokens, config.hidden_size, device=device, dtype=engine.dtype)
        first = generate(engine.model, inputs_embeds_LU, DecodeOptions(max_new_tokens=1, stop_ids=()))
        prefill = flops_of(lambda: next(first))
    return Flops(
        vision=segment.vision * len(kept),
        language=segment.language * len(kept),
        score=segment.score * len(kept),
        compress=sum(segment.compress[number] for number in kept),
        prefill=prefill,
        one_pass=segment.one_pass * len(kept),
    )


def _one_segment(engine: Tempo, video: Video, sampling: Sampling) -> SegmentBatch:
    """The first segment of a video."""
    first = Sampling(sampling.times[: engine.config.segment_frames], sampling.fps)
    found = batches(
        video,
        first,
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=engine.config.segment_frames,
        batch_size=1,
    )
    try:
        return next(found)
    finally:
        found.close()

"""Floating-point operations, counted by torch while the model's own code runs.

A multiplication with its addition is two. Segments of equal layout cost alike, so one is counted and
multiplied; the decoder is counted on as many tokens as it read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tempo.modeling.qwen3_vl import KeyValues, vision_features
from tempo.sampling import Sampling
from tempo.video import Video
from tempo.watching import Batch, batches

if TYPE_CHECKING:
    from tempo.engine import Tempo


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Floating-point operations of one question, by phase.

    Attributes:
        vision, language: the two parts of watching, for the whole video.
        route, distil: the question's words, and the memory tokens that are kept.
        prefill: the decoder over the storyline.
        one_pass: the compressor over everything, with every memory token, as it is without a kept cache.
    """

    vision: int
    language: int
    route: int
    distil: int
    prefill: int
    one_pass: int

    @property
    def watch(self) -> int:
        return self.vision + self.language

    @property
    def follow_up(self) -> int:
        """Of the compressor, where the video is kept."""
        return self.route + self.distil


def count(
    engine: Tempo, video: Video, sampling: Sampling, question: str, kept: Sequence[int], prompt_tokens: int
) -> Operations:
    """Count a question on a video.

    Args:
        kept: how many memory tokens each segment keeps.
        prompt_tokens: how many tokens the decoder reads.
    """
    compressor, device = engine.model.compressor, engine.device
    question_ids = engine.prompts.question(question)
    total, segments = compressor.memory_tokens, len(kept)
    batch = _one_segment(engine, video, sampling)
    pixels_SPC = batch.pixels_SPC.to(device, engine.dtype)
    ids_SL = batch.ids_SL.to(device)
    room = len(question_ids) + total
    with torch.inference_mode():
        vision = _counted(lambda: vision_features(compressor.vlm.visual, pixels_SPC, batch.grid))
        watched = _counted(lambda: compressor.watch(pixels_SPC, batch.grid, ids_SL, batch.spans, room=room))
        reading = compressor.watch(pixels_SPC, batch.grid, ids_SL, batch.spans, room=room)
        route = _counted(lambda: compressor.route(reading, question_ids))
        length, position = reading.past.length, reading.position
        distil = {}
        for number in sorted(set(kept)):
            reading.past, reading.position = KeyValues(reading.past.data, length), position
            distil[number] = _counted(partial(compressor.distil, reading, number))
        ids_SNQ = torch.tensor(question_ids, device=device).expand(1, 1, -1)
        whole = _counted(lambda: compressor(pixels_SPC, batch.grid, ids_SL, batch.spans, ids_SNQ))
        storyline_1NH = torch.zeros(
            1, prompt_tokens, engine.config.hidden_size, device=device, dtype=engine.dtype
        )
        prefill = _counted(lambda: engine.model(inputs_embeds=storyline_1NH, logits_to_keep=1))
    return Operations(
        vision=vision * segments,
        language=(watched - vision) * segments,
        route=route * segments,
        distil=sum(distil[number] for number in kept),
        prefill=prefill,
        one_pass=whole * segments,
    )


def _one_segment(engine: Tempo, video: Video, sampling: Sampling) -> Batch:
    """The first segment of a video."""
    first = Sampling(sampling.times[: engine.config.segment_frames], sampling.fps)
    found = batches(
        video,
        first,
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=engine.config.segment_frames,
        together=1,
    )
    try:
        return next(found)
    finally:
        found.close()  # type: ignore[attr-defined]


def _counted(action: Callable[[], object]) -> int:
    # The plain kernel of attention is made of products that the counter knows on every device.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        action()
    return counter.get_total_flops()

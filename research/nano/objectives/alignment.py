"""End-to-end alignment: the decoder learns to read what the compressor writes, as much as answering keeps.

The compressor stays as it is, so a clip costs its forward pass alone, and several questions about one thing
share its memory tokens. Relevance, allocation and the storyline are those of an answer.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from research.nano.config import MEMORY_TOKENS
from research.nano.datasets.clip_batches import ClipBatch
from research.nano.datasets.clips import LONG, StoryRows, story_row, story_rows
from research.nano.packing import IGNORE, PackedPrompts, Row, read_packed
from tempo.inference import allocation
from tempo.modeling import TempoQwenForCausalLM
from tempo.networks.qwen3_vl import vision_features
from tempo.processing.image_processor import patches
from tempo.training.token_dropout import random_tokens

from .decoder import read
from .packed_objective import PackedObjective, moved

# Of the storylines: numbers of tokens that no relevance gave, so that the decoder reads any.
RANDOM_SHARE = 0.15


def written(model: TempoQwenForCausalLM, batch: ClipBatch) -> tuple[Tensor, Tensor]:
    """Relevance [N] and memory tokens [N, M, D] of the N groups of all segments of a batch, row by row."""
    compressor: Any = model.compressor
    visual, deep = vision_features(compressor.vlm.visual, *patches(batch.pairs, model.config.make_geometry()))
    states = read_packed(compressor.vlm, batch.packed, visual, deep, compressor.compression_tokens[0])
    yes, no = compressor.relevance_rows
    relevance_N = (states[batch.packed.labels_T != IGNORE].float() @ (yes - no)).sigmoid()
    memory = states[batch.packed.memory_T >= 0]
    return relevance_N, memory.unflatten(0, (len(relevance_N), MEMORY_TOKENS))


def storylines(
    model: TempoQwenForCausalLM,
    batch: ClipBatch,
    relevance_N: Tensor,
    prompts: PackedPrompts,
    *,
    random_share: float = RANDOM_SHARE,
) -> tuple[StoryRows, Tensor]:
    """What the decoder reads of each clip for each group, by the allocation that its relevance gives, and
    which of all memory tokens (N·M, numbered through) stand there."""
    config, rng = model.config, random.Random(f"allocation/{batch.step}")
    limits = {
        "budget": config.visual_token_budget,
        "k_min": config.min_tokens,
        "k_max": config.num_compression_tokens,
    }
    rows: list[Row] = []
    taken: list[int] = []
    start = 0
    for plan in batch.plans:
        segments, groups = len(plan.times), len(plan.groups)
        for number, group in enumerate(plan.groups):
            places = [start + index * groups + number for index in range(segments)]
            if rng.random() < random_share:
                counts = random_tokens(segments, rng=rng, **limits)
            else:
                counts = allocation.adaptive(relevance_N[places].tolist(), **limits)
            for place, count in zip(places, counts, strict=True):
                taken += range(place * MEMORY_TOKENS, place * MEMORY_TOKENS + count)
            rows.append(story_row(prompts, plan.stamps, counts, group))
        start += segments * groups
    return story_rows(rows, [g for plan in batch.plans for g in plan.groups], prompts), torch.tensor(taken)


class AlignmentObjective(PackedObjective):
    """Cross entropy of answers behind what the compressor wrote, which gets no gradient from it."""

    def loss_of(self, batch: ClipBatch) -> tuple[Tensor, dict[str, float]]:
        with torch.no_grad():
            relevance_N, memory_NMD = written(self.model, batch)
        share = RANDOM_SHARE if self.training else 0.0
        told = storylines(self.model, batch, relevance_N, self.prompts, random_share=share)
        story, taken = moved(told, self.model.device)
        loss, figures = read(self.model, story, self.model.projector(memory_NMD.flatten(0, 1)[taken]))
        length = "long" if len(batch.plans[0].times) >= LONG else "short"
        return loss, figures | {length: figures["answers"]}

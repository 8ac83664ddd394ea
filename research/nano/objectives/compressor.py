"""Compressor pre-training: memory tokens that tell the facts of their segment, in the codebook that the
decoder reads.

Segments stand alone here, and every memory token has its own truth, so nothing has to be found out through a
decoder. The router's Yes or No, what the base began with, goes on being learnt.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from research.nano.datasets.segment_targets import SegmentTargets
from research.nano.packing import IGNORE, PackedPrompts, read_packed
from research.nano.targets import TARGETS, Codebook
from tempo.modeling import TempoQwenForCausalLM
from tempo.networks.qwen3_vl import vision_features
from tempo.processing.image_processor import patches
from tempo.processing.prompts import Prompts

from .packed_objective import PackedObjective

# Of the memory tokens behind the first, beside it: of those that tell of a thing, and of those that are left.
LISTED_WEIGHT, EMPTY_WEIGHT = 0.5, 0.1


def written(model: TempoQwenForCausalLM, batch: SegmentTargets) -> tuple[Tensor, Tensor]:
    """The states [T, D] of all tokens of a batch, and what is written into its memory tokens [N, D]."""
    compressor: Any = model.compressor
    visual, deep = vision_features(
        compressor.vlm.visual, *patches(batch.frames, model.config.make_geometry())
    )
    states = read_packed(compressor.vlm, batch.packed, visual, deep, compressor.compression_tokens[0])
    return states, model.projector(states[batch.packed.memory_T >= 0])


def write(
    model: TempoQwenForCausalLM,
    batch: SegmentTargets,
    codebook: Codebook,
    prompts: PackedPrompts,
    like: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one batch, and how much of it is told right.

    Args:
        like: memory tokens [N, D] to which those of the batch are held, instead of to the facts.
    """
    compressor: Any = model.compressor
    packed = batch.packed
    states, tokens = written(model, batch)
    here = packed.memory_T >= 0
    first_N = packed.memory_T[here] == 0
    listed_N = batch.targets_NF.any(1)
    others_N = torch.where(listed_N, LISTED_WEIGHT, EMPTY_WEIGHT)
    asked = packed.labels_T != IGNORE
    yes, no = compressor.relevance_rows
    truth = (packed.labels_T[asked] == prompts.yes_id).float()
    with torch.autocast(states.device.type, enabled=False):  # what is told is read in float32
        telling, right_NF = codebook.loss(tokens, batch.targets_NF, torch.where(first_N, 1.0, others_N))
        if like is not None:
            telling = (tokens - like).float().square().sum(1).mean() / codebook.norm**2
        logits = states[asked].float() @ (yes - no).float()
        routed = F.binary_cross_entropy_with_logits(logits, truth)
    first, right, table = (x.cpu() for x in (first_N, right_NF, batch.targets_NF))
    lead, table = right[first], table[first]
    matched = table[:, 0] > 0
    called = [place for place, fact in enumerate(TARGETS) if fact in ("shape", "colour", "sort", "name")]
    figures = {
        "told": telling.item(),
        "relevance_accuracy": ((logits > 0) == (truth > 0.5)).float().mean().item(),
        "called": lead[matched][:, called].all(1).float().mean().item(),
        "listed": right[~first & listed_N.cpu()][:, called].all(1).float().mean().item(),
    }
    for place, fact in enumerate(TARGETS):
        applies = matched & (table[:, place] > 0)
        figures[fact] = lead[applies][:, place].float().mean().item()
    figures["match"] = lead[:, 0].float().mean().item()
    return telling + routed, figures


class CompressorObjective(PackedObjective):
    """What memory tokens tell, and the router's Yes or No.

    Args:
        relevance_only: train the router alone, of a model whose decoder reads already: what is written is
            held to what the model wrote at first.
    """

    def __init__(
        self, model: TempoQwenForCausalLM, prompts: Prompts, *, relevance_only: bool = False
    ) -> None:
        super().__init__(model, prompts)
        self.codebook = Codebook(model.model.embed_tokens.weight.detach().float().clone(), self.prompts.plain)
        # In a list, so that it is no part of this module.
        self._before = [deepcopy(model).eval().requires_grad_(False)] if relevance_only else []

    def loss_of(self, batch: SegmentTargets) -> tuple[Tensor, dict[str, float]]:
        with torch.no_grad():
            like = written(self._before[0], batch)[1] if self._before else None
        return write(self.model, batch, self.codebook, self.prompts, like)

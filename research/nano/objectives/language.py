"""The base's language: descriptions, answers about a segment, and Yes or No to the router's prompt.

It is trained inside a Tempo model, as the compressor's Qwen3-VL; `research.nano.base` takes it out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from research.nano.datasets.segments import SegmentBatch
from research.nano.packing import IGNORE, Packed, PackedPrompts, read_packed

from .packed_objective import PackedObjective
from .vision import see

# How much a routing answer, one token, counts beside a token of a description.
ROUTING_WEIGHT = 3.0


def answer_losses(
    states: Tensor, output_rows: Tensor, packed: Packed, prompts: PackedPrompts
) -> tuple[Tensor, dict[str, float]]:
    """Cross entropy over learnt tokens, routing answers weighted up; and the accuracies of both."""
    learnt = packed.labels_T != IGNORE
    labels = packed.labels_T[learnt]
    logits = F.linear(states[learnt], output_rows).float()
    routing = (labels == prompts.yes_id) | (labels == prompts.no_id)
    weight = torch.where(routing, ROUTING_WEIGHT, 1.0)
    loss = (F.cross_entropy(logits, labels, reduction="none") * weight).sum() / weight.sum()
    right = logits.argmax(-1) == labels
    return loss, {
        "words": right[~routing].float().mean().item(),
        "relevance_accuracy": right[routing].float().mean().item(),
    }


class LanguageObjective(PackedObjective):
    """Cross entropy of what is said about segments."""

    def loss_of(self, batch: SegmentBatch) -> tuple[Tensor, dict[str, float]]:
        visual_SVD, deepstack = see(self.model, batch.frames)
        vlm = self.model.compressor.vlm
        states = read_packed(vlm, batch.packed, visual_SVD, deepstack)
        return answer_losses(states, vlm.language_model.embed_tokens.weight, batch.packed, self.prompts)

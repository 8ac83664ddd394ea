"""Decoder pre-training: answers from storylines whose memory tokens are written from the script, with no
compressor at all.

A storyline costs far less than the video that it stands for, so the skills that need many examples (finding
the one segment that matters, copying its time, choosing a letter) are learnt here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from research.nano.datasets.clips import StoryRows
from research.nano.datasets.storylines import StoryBatch
from research.nano.packing import IGNORE
from research.nano.targets import Codebook
from tempo.modeling import TempoQwenForCausalLM
from tempo.processing.prompts import Prompts

from .packed_objective import PackedObjective

NOISE = 0.03  # of the length of a fact's vector, on every memory token


def read(model: TempoQwenForCausalLM, story: StoryRows, memory_ND: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The loss of the questions behind storylines with these memory tokens, and the share of answers whose
    every token is right, by kind."""
    packed = story.packed
    embeds_TD = model.model.embed_tokens(packed.ids_T)
    embeds_TD = embeds_TD.masked_scatter(packed.video_T[:, None], memory_ND.to(embeds_TD.dtype))
    hidden = packed.read(model.model, embeds_TD, position_ids=packed.positions_3T[:1])
    learnt = packed.labels_T != IGNORE
    labels = packed.labels_T[learnt]
    logits = model.lm_head(hidden[learnt]).float()
    wrong = logits.new_zeros(len(story.kinds))
    wrong.index_add_(0, story.owner_T[learnt], (logits.argmax(-1) != labels).float())
    whole = (wrong == 0).cpu()
    asked = torch.tensor(
        [kind.split()[0] not in ("describe", "naming", "drill", "letters") for kind in story.kinds]
    )
    letters = asked & torch.tensor([kind.endswith("letter") for kind in story.kinds])
    figures = {"answers": whole[asked].float().mean().item(), "letters": whole[letters].float().mean().item()}
    for kind in sorted(set(story.kinds)):
        figures[kind] = whole[torch.tensor([k == kind for k in story.kinds])].float().mean().item()
    # Every question counts alike, however long its answer.
    length = torch.bincount(story.owner_T[learnt], minlength=len(story.kinds))
    weight = 1 / length[story.owner_T[learnt]].float() ** 0.75
    return (F.cross_entropy(logits, labels, reduction="none") * weight).sum() / weight.sum(), figures


class DecoderObjective(PackedObjective):
    """Cross entropy of answers behind storylines. The codebook points to the words that the decoder begins
    with."""

    def __init__(self, model: TempoQwenForCausalLM, prompts: Prompts) -> None:
        super().__init__(model, prompts)
        self.codebook = Codebook(model.model.embed_tokens.weight.detach().float().clone(), self.prompts.plain)

    def loss_of(self, batch: StoryBatch) -> tuple[Tensor, dict[str, float]]:
        memory_ND = self.codebook.embed(batch.weights_NV)
        if self.training:
            memory_ND = memory_ND + torch.randn_like(memory_ND) * self.codebook.norm * NOISE
        return read(self.model, batch.story, memory_ND)

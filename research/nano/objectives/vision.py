"""Vision pre-training: what covers each patch of a segment.

The tower learns first, alone, because what it does not see cannot be written into memory tokens, and a
segment without words costs a quarter.
"""

from __future__ import annotations

from torch import Tensor, nn

from research.nano.datasets.segments import SegmentBatch
from research.nano.patch_labels import PatchLabelHead
from tempo.modeling import TempoQwenForCausalLM
from tempo.networks.qwen3_vl import vision_features
from tempo.processing.image_processor import patches
from tempo.processing.prompts import Prompts

from .packed_objective import PackedObjective

EARLY_WEIGHT = 0.5  # of the labels read from the deepstack layer, beside the tower's end


def see(model: TempoQwenForCausalLM, batch: SegmentBatch) -> tuple[Tensor, list[Tensor]]:
    """Visual tokens of all segments of a batch, and those of the deepstack layers."""
    pixels_SPC, grid = patches(batch.frames, model.config.make_geometry())
    return vision_features(model.compressor.vlm.visual, pixels_SPC, grid)


class VisionObjective(PackedObjective):
    """Cross entropy of the patch labels, read by heads that are thrown away later."""

    def __init__(self, model: TempoQwenForCausalLM, prompts: Prompts) -> None:
        super().__init__(model, prompts)
        width = model.config.compressor().text_config.hidden_size
        self.heads = nn.ModuleList([PatchLabelHead(width), PatchLabelHead(width)])

    def loss_of(self, batch: SegmentBatch) -> tuple[Tensor, dict[str, float]]:
        visual_SVD, deepstack = see(self.model, batch)
        final, right = self.heads[0](visual_SVD.flatten(0, 1), batch.patch_labels)
        early, _ = self.heads[1](deepstack[0].flatten(0, 1), batch.patch_labels)
        return final + EARLY_WEIGHT * early, right

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


class VisionObjective(PackedObjective):
    """Cross entropy of the patch labels, read by heads that are thrown away later.

    Args:
        heads: `objective.safetensors` of a run in which heads learnt with the tower; new ones would first
            send what they do not know yet through a tower that does.
    """

    def __init__(self, model: TempoQwenForCausalLM, prompts: Prompts, *, heads: str | None = None) -> None:
        super().__init__(model, prompts)
        width = model.config.compressor().text_config.hidden_size
        self.heads = nn.ModuleList([PatchLabelHead(width), PatchLabelHead(width)])
        if heads is not None:
            self.load_own_state(heads)

    def see(self, batch: SegmentBatch) -> tuple[Tensor, list[Tensor]]:
        """Visual tokens of all segments of a batch, and those of the deepstack layers."""
        pixels_SPC, grid = patches(batch.frames, self.model.config.make_geometry())
        return vision_features(self.model.compressor.vlm.visual, pixels_SPC, grid)

    def label_loss(
        self, visual_SVD: Tensor, deepstack: list[Tensor], labels: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of the patch labels, and the share of them that is right, by aspect."""
        final, right = self.heads[0](visual_SVD.flatten(0, 1), labels)
        early, _ = self.heads[1](deepstack[0].flatten(0, 1), labels)
        return final + EARLY_WEIGHT * early, right

    def loss_of(self, batch: SegmentBatch) -> tuple[Tensor, dict[str, float]]:
        return self.label_loss(*self.see(batch), batch.patch_labels)

"""Vision pre-training: what covers each patch of a segment.

The tower learns first, alone, because what it does not see cannot be written into memory tokens, and a
segment without words costs a quarter.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from research.nano.datasets.glimpses import GlimpseBatch
from research.nano.patch_labels import PatchLabelHead
from tempo.modeling import TempoQwenForCausalLM
from tempo.networks.qwen3_vl import vision_features
from tempo.processing.image_processor import patches
from tempo.processing.prompts import Prompts

from .packed_objective import PackedObjective

EARLY_WEIGHT = 0.5  # of the labels read from the deepstack layer, beside the tower's end


def see(model: TempoQwenForCausalLM, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Visual tokens of segments of frames uint8 [B, 8, H, W, 3], and those of the deepstack layers."""
    pixels_SPC, grid = patches(frames, model.config.make_geometry())
    return vision_features(model.compressor.vlm.visual, pixels_SPC, grid)


def _attention_of_few(on_cpu: bool) -> AbstractContextManager[object]:
    """Plain attention where torch's fused one, for CPUs, takes two to four times as long: backwards, for the
    36 to 88 patches of a frame pair."""
    return sdpa_kernel(SDPBackend.MATH) if on_cpu else nullcontext()


class VisionObjective(PackedObjective):
    """Cross entropy of the patch labels, read by heads that are thrown away later."""

    def __init__(self, model: TempoQwenForCausalLM, prompts: Prompts) -> None:
        super().__init__(model, prompts)
        width = model.config.compressor().text_config.hidden_size
        self.heads = nn.ModuleList([PatchLabelHead(width), PatchLabelHead(width)])

    def loss_of(self, batch: GlimpseBatch) -> tuple[Tensor, dict[str, float]]:
        with _attention_of_few(batch.frames.is_cpu):
            visual_SVD, deepstack = see(self.model, batch.frames)
        final, right = self.heads[0](visual_SVD.flatten(0, 1), batch.patch_labels)
        early, _ = self.heads[1](deepstack[0].flatten(0, 1), batch.patch_labels)
        return final + EARLY_WEIGHT * early, right

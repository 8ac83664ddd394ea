"""State-dict names of published checkpoints ↔ ours; :mod:`.loading` has every other difference."""

from __future__ import annotations

_PAIRS = (
    # published, ours
    ("model.mm_projector.", "projector."),
    ("model.vision_tower_aux_list.0.vlm.model.", "compressor.vlm."),
    ("model.vision_tower_aux_list.0.compression_tokens", "compressor.compression_tokens"),
)
# Written by some versions of the published code and read by none: rotary tables, a head that is read from the
# base.
_IGNORED = ("rotary_emb.inv_freq", ".vlm.lm_head.weight", ".linear_layer.weight")


def from_published(name: str) -> str | None:
    """Our name of a published tensor; None where the tensor plays no part."""
    if name.endswith(_IGNORED):
        return None
    for published, ours in _PAIRS:
        if name.startswith(published):
            return ours + name[len(published) :]
    return name


def to_published(name: str) -> str | None:
    """The published name of one of our tensors; None for the relevance rows, which are part of the base."""
    if name == "compressor.relevance_rows":
        return None
    for published, ours in _PAIRS:
        if name.startswith(ours):
            return published + name[len(ours) :]
    return name

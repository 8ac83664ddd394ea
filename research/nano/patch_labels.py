"""Patch labels: what covers the pixels of each visual token, the dense task that the vision tower starts
on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempo.synthetic.script import Scene, Script, Thing
from tempo.synthetic.vocabulary import ACTIONS, CHANGES, SIGN

from .targets import TARGETS, looks_of

PATCH_SIZE = 16  # pixels of one visual token: patch 8, merged 2×2

_MOTIONS = {action: number for number, action in enumerate((*ACTIONS[:5], *CHANGES), start=1)}

# What is told of a patch, with the number of values; 0 is "nothing", or "does not apply". Values are those
# of a memory token's facts, but for what is seen of an action in two frames.
ASPECTS = {fact: TARGETS[fact] for fact in ("sort", "shape", "colour", "size")} | {
    "motion": len(_MOTIONS) + 1,
    "name": TARGETS["name"],
}


def _told(thing: Thing) -> tuple[int, ...]:
    told = looks_of(thing, "") | {"motion": _MOTIONS.get(thing.action, _MOTIONS["still"])}
    return tuple(told[aspect] for aspect in ASPECTS)


def _far(scene: Scene, thing: Thing, time: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far patches are from the middle of `thing`, in units of its radius."""
    cx, cy = scene.at(thing, time)
    radius = scene.radius(thing, time)
    if thing.shape == SIGN:
        return np.maximum(np.abs(x - cx), 2 * np.abs(y - cy)) / radius
    return np.hypot(x - cx, y - cy) / radius


def label_patches(script: Script, times: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What covers each visual token of each frame pair: int64 [T, V, 6], see ASPECTS; 0 where nothing
    does."""
    columns, rows = size[0] // PATCH_SIZE, size[1] // PATCH_SIZE
    width, height = script.extent
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns * width, (np.arange(rows) + 0.5) / rows * height)
    half_x, half_y = width / columns / 2, height / rows / 2
    labels = np.zeros((len(times) // 2, rows, columns, len(ASPECTS)), np.int64)
    nearest = np.full((len(times) // 2, rows, columns), np.inf)
    for scene in script.scenes:
        for thing in scene.things:
            for index, time in enumerate(times):
                if not (scene.start <= time < scene.end and thing.seen(float(time))):
                    continue
                cx, cy = scene.at(thing, float(time))
                inside = (np.abs(x - cx) <= half_x) & (np.abs(y - cy) <= half_y)
                distance = _far(scene, thing, float(time), x, y)
                here = (inside | (distance < 0.85)) & (distance < nearest[index // 2])
                nearest[index // 2][here] = distance[here]
                labels[index // 2][here] = _told(thing)
    return labels.reshape(len(times) // 2, -1, len(ASPECTS))


class PatchLabelHead(nn.Module):
    """Reads from each visual token what covers its patch. Used to start the tower, then thrown away."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, sum(ASPECTS.values()))

    def forward(self, tokens_VD: Tensor, labels_VA: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Loss, and for each of ASPECTS the share of right answers on the patches to which it applies."""
        parts = self.linear(tokens_VD).float().split(tuple(ASPECTS.values()), dim=-1)
        covered = labels_VA[:, 0] > 0
        weight = torch.where(covered, 1.0, 0.15)
        loss = tokens_VD.new_zeros(())
        right = {}
        for name, part, label in zip(ASPECTS, parts, labels_VA.unbind(1), strict=True):
            loss = loss + (F.cross_entropy(part, label, reduction="none") * weight).sum() / weight.sum()
            right[name] = (part.argmax(-1) == label)[label > 0].float().mean().item()
        return loss, right

"""What covers each visual token's cell: the dense task that the vision tower starts on, before any
language."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempo.world.script import Scene, Script, Thing
from tempo.world.vocabulary import ACTIONS, CHANGES, COLOURS, NAMES, SHAPES, SIGN, SIZES

CELL = 16  # pixels of one visual token: patch 8, merged 2×2

# What is told of a cell, with the number of values; 0 is "nothing", or "does not apply".
ASPECTS = {
    "sort": 4,  # a plain shape, a picture, a sign
    "shape": len(SHAPES) + 1,
    "colour": len(COLOURS) + 1,
    "size": len(SIZES) + 1,
    "motion": 6 + len(CHANGES),
    "name": len(NAMES) + 1,
}
_NUMBERS = {name: number for number, name in enumerate(NAMES, start=1)}
_MOTIONS = {action: number for number, action in enumerate((*ACTIONS[:5], *CHANGES), start=1)}


def _told(thing: Thing) -> tuple[int, ...]:
    plain = thing.shape in SHAPES
    return (
        1 if plain else 3 if thing.shape == SIGN else 2,
        1 + SHAPES.index(thing.shape) if plain else 0,
        1 + tuple(COLOURS).index(thing.colour) if thing.colour else 0,
        1 + tuple(SIZES).index(thing.size),
        _MOTIONS.get(thing.action, 5),
        0 if plain else _NUMBERS[thing.text or thing.shape],
    )


def _far(scene: Scene, thing: Thing, time: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far cells are from the middle of `thing`, in units of its radius."""
    cx, cy = scene.at(thing, time)
    radius = scene.radius(thing, time)
    if thing.shape == SIGN:
        return np.maximum(np.abs(x - cx), 2 * np.abs(y - cy)) / radius
    return np.hypot(x - cx, y - cy) / radius


def cell_labels(script: Script, times: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What covers each visual token of each frame pair: int64 [T, V, 6], see ASPECTS; 0 where nothing
    does."""
    columns, rows = size[0] // CELL, size[1] // CELL
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


class CellHead(nn.Module):
    """What covers each visual token's cell. Used to start the tower, then thrown away."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, sum(ASPECTS.values()))

    def forward(self, tokens_VD: Tensor, labels_VA: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Loss, and for each of ASPECTS the share of right answers on the cells to which it applies."""
        parts = self.linear(tokens_VD).float().split(tuple(ASPECTS.values()), dim=-1)
        covered = labels_VA[:, 0] > 0
        weight = torch.where(covered, 1.0, 0.15)
        loss = torch.zeros(())
        right = {}
        for name, part, label in zip(ASPECTS, parts, labels_VA.unbind(1), strict=True):
            loss = loss + (F.cross_entropy(part, label, reduction="none") * weight).sum() / weight.sum()
            right[name] = (part.argmax(-1) == label)[label > 0].float().mean().item()
        return loss, right

"""What covers each visual token's cell: the dense task that the vision tower starts on, before any
language."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempo.world.script import Script
from tempo.world.vocabulary import ACTIONS, COLOURS, SHAPES, SIZES

CELL = 16  # pixels of one visual token: patch 8, merged 2×2


def cell_labels(script: Script, times: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What covers each visual token of each frame pair: int64 [T, V, 4], 0 where nothing does."""
    columns, rows = size[0] // CELL, size[1] // CELL
    width, height = script.extent
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns * width, (np.arange(rows) + 0.5) / rows * height)
    half_x, half_y = width / columns / 2, height / rows / 2
    labels = np.zeros((len(times) // 2, rows, columns, 4), np.int64)
    nearest = np.full((len(times) // 2, rows, columns), np.inf)
    for scene in script.scenes:
        for thing in scene.things:
            for index, time in enumerate(times):
                if not (scene.start <= time < scene.end and thing.start <= time < thing.end):
                    continue
                cx, cy = scene.at(thing, float(time))
                inside = (np.abs(x - cx) <= half_x) & (np.abs(y - cy) <= half_y)
                distance = np.hypot(x - cx, y - cy) / thing.radius
                here = (inside | (distance < 0.85)) & (distance < nearest[index // 2])
                nearest[index // 2][here] = distance[here]
                motion = 1 + ACTIONS.index(thing.action) if thing.moves else 5
                labels[index // 2][here] = (
                    1 + SHAPES.index(thing.shape),
                    1 + tuple(COLOURS).index(thing.colour),
                    1 + tuple(SIZES).index(thing.size),
                    motion,
                )
    return labels.reshape(len(times) // 2, -1, 4)


class CellHead(nn.Module):
    """What covers each visual token's cell: shape, colour, size and motion. Used to start the tower, then
    thrown away."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = (len(SHAPES) + 1, len(COLOURS) + 1, len(SIZES) + 1, 6)
        self.linear = nn.Linear(width, sum(self.sizes))

    def forward(self, tokens_VD: Tensor, labels_V4: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and the share of right answers on covered cells for each of the four; label 0 means nothing
        there."""
        parts = self.linear(tokens_VD).float().split(self.sizes, dim=-1)
        covered = labels_V4[:, 0] > 0
        weight = torch.where(covered, 1.0, 0.15)
        loss = torch.zeros(())
        right = []
        for part, label in zip(parts, labels_V4.unbind(1), strict=True):
            loss = loss + (F.cross_entropy(part, label, reduction="none") * weight).sum() / weight.sum()
            right.append((part.argmax(-1) == label)[covered].float().mean())
        return loss, torch.stack(right)

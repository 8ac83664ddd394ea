"""Pairs of frames of the generated world with what covers each patch of them, made on the fly."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from research.nano.config import FRAME_SIZES
from research.nano.patch_labels import ASPECTS, label_patches
from tempo.synthetic.render import render
from tempo.training.data.sources import SourceContext

from .packed_batches import PackedBatches
from .segments import scene_somewhere

PAIRS = 4  # of frames, in a segment


@dataclass(frozen=True)
class GlimpseBatch:
    frames: Tensor  # uint8 [B, 8, H, W, 3]: four pairs, each of another film
    # int64 [B·T·V, A]: what covers each visual token (patch_labels.ASPECTS); 0 for nothing
    patch_labels: Tensor


class GlimpseBatches(PackedBatches):
    """What the vision tower is taught. It looks at one pair of frames at a time: four of four films teach it
    more than four of one.

    Args:
        segments: of four pairs each.
        wide: the share of the films that is of the wide world.
    """

    def __init__(self, context: SourceContext, *, segments: int, wide: float = 0.0) -> None:
        super().__init__(context)
        self.segments, self.wide = segments, wide

    def __getitem__(self, step: int) -> GlimpseBatch:
        rng = random.Random(f"{self.seed}/{step}")
        aspect = rng.choices(tuple(FRAME_SIZES), (0.6, 0.2, 0.2))[0]
        size = FRAME_SIZES[aspect]
        frames, labels = [], []
        for _ in range(self.segments * PAIRS):
            script, times = scene_somewhere(rng, aspect, self.wide)
            first = rng.randrange(7)
            pair = times[first : first + 2]
            frames.append(render(script, pair, size))
            labels.append(label_patches(script, pair, size))
        together = torch.from_numpy(np.concatenate(frames))
        told = torch.from_numpy(np.concatenate(labels))
        return GlimpseBatch(together.unflatten(0, (-1, 2 * PAIRS)), told.view(-1, len(ASPECTS)))

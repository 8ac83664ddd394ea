"""Clips of one segment to ten minutes with groups of questions: what the decoder is aligned on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from research.nano.config import FRAME_SIZES, MEMORY_TOKENS
from research.nano.packing import Packed, Row, pack
from research.nano.patch_labels import PATCH_SIZE
from tempo.training.data.sources import SourceContext

from .clips import LONG, WHOLE_SHARES, Plan, draw, plan_clip
from .packed_batches import PackedBatches

SEGMENTS = (1, 2, 4, 8, 12, 15, 32, 64, 128, 160, 160)  # of a clip, drawn anew for every batch
ROWS = 96  # segments a batch, in clips of eight or more: a dozen of them at most
GROUPS = 6  # of questions about one thing, for each clip
TOGETHER = 5  # questions of a group; of long clips twice as many
WEIGHTS = (1.5, 3, 1, 1, 0.5, 2, 4, 4)  # of KINDS


@dataclass(frozen=True)
class ClipBatch:
    """Clips of one length and frame size. Legend: R segments of all clips, P frame pairs of all of them."""

    step: int
    plans: list[Plan]
    pairs: Tensor  # uint8 [P, 2, H, W, 3]
    packed: Packed  # R rows; a branch for every group of questions, with all memory tokens


class ClipBatches(PackedBatches):
    """Clips of one length in each batch: up to `rows` segments, in clips as many as if none had less than
    eight."""

    def __init__(
        self,
        context: SourceContext,
        *,
        segments: Sequence[int] = SEGMENTS,
        rows: int = ROWS,
        wide: float = 0.0,
        choice: float = 0.5,
        whole_shares: Sequence[float] = WHOLE_SHARES,
    ) -> None:
        super().__init__(context)
        self.segments, self.rows, self.wide, self.choice = tuple(segments), rows, wide, choice
        self.whole_shares = tuple(whole_shares)

    def __getitem__(self, step: int) -> ClipBatch:
        rng = random.Random(f"joining/{self.seed}/{step}")
        aspect = rng.choices(tuple(FRAME_SIZES), (0.6, 0.2, 0.2))[0]
        segments = rng.choice(self.segments)
        plans: list[Plan] = []
        while not plans:
            drafts = [
                plan_clip(
                    rng,
                    segments=segments,
                    questions=GROUPS,
                    aspect=aspect,
                    describing=False,
                    choice=self.choice,
                    together=2 * TOGETHER if segments >= LONG else TOGETHER,
                    weights=WEIGHTS,
                    whole_shares=self.whole_shares,
                    wide=self.wide,
                )
                for _ in range(max(1, self.rows // max(8, segments)))
            ]
            plans = [plan for plan in drafts if plan.groups]
        width, height = FRAME_SIZES[aspect]
        grid = (height // PATCH_SIZE, width // PATCH_SIZE)
        rows: list[Row] = []
        for plan in plans:
            # Memory tokens that several questions share are written with one of them in mind.
            readers = [rng.choice(group) for group in plan.groups]
            for index, times in enumerate(plan.times):
                row = self.prompts.segment(times, grid[0] * grid[1])
                row.branches = [
                    replace(
                        self.prompts.routing(asked.text, asked.shown[index], asked.earlier),
                        memory=MEMORY_TOKENS,
                    )
                    for asked in readers
                ]
                rows.append(row)
        frames = np.concatenate([segment for plan in plans for segment in draw(plan)])
        pairs = torch.from_numpy(frames).view(-1, 2, height, width, 3)
        return ClipBatch(step, plans, pairs, pack(rows, self.prompts, grid))

"""Segments with what each memory token should tell of them: what the compressor is pre-trained on."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from research.nano.config import DESCRIBE_PROMPT, FRAME_SIZES, MEMORY_TOKENS
from research.nano.packing import Packed, pack
from research.nano.patch_labels import PATCH_SIZE
from research.nano.targets import auxiliary_targets
from tempo.synthetic.questions import make_question
from tempo.synthetic.render import render
from tempo.synthetic.script import Script
from tempo.training.data.sources import SourceContext

from .clips import kept
from .packed_batches import PackedBatches
from .segments import relevant, routing_questions, scene_somewhere

DESCRIBED = 0.15  # of the segments; of the others a summary is asked


@dataclass(frozen=True)
class SegmentTargets:
    frames: Tensor  # uint8 [B, 8, H, W, 3]
    packed: Packed
    targets_NF: Tensor  # of every memory token, in the order of `packed`


class SegmentTargetBatches(PackedBatches):
    """Segments with questions about them, each with the facts that its memory tokens should tell.

    Args:
        rows: segments of a batch.
        questions: about each of them; one that asks for all that is seen comes with them.
        wide: the share of them that is of the wide world.
    """

    def __init__(self, context: SourceContext, *, rows: int, questions: int = 6, wide: float = 0.0) -> None:
        super().__init__(context)
        self.rows, self.questions, self.wide = rows, questions, wide

    def __getitem__(self, step: int) -> SegmentTargets:
        rng = random.Random(f"writing/{self.seed}/{step}")
        aspect = rng.choices(tuple(FRAME_SIZES), (0.6, 0.2, 0.2))[0]
        size = FRAME_SIZES[aspect]
        tokens = (size[0] // PATCH_SIZE) * (size[1] // PATCH_SIZE)
        frames, rows, tables = [], [], []
        for _ in range(self.rows):
            script, times = scene_somewhere(rng, aspect, self.wide)
            frames.append(render(script, times, size))
            row = self.prompts.segment(times, tokens)
            for question, shown in routing_questions(rng, script, times, self.questions):
                count = kept(rng, shown)
                branch = self.prompts.routing(question.text, shown, question.earlier)
                row.branches.append(replace(branch, memory=count))
                tables.append(auxiliary_targets(script, question.expressions, times, count))
            text, shown = self._listing(rng, script, times)
            row.branches.append(replace(self.prompts.routing(text, shown), memory=MEMORY_TOKENS))
            tables.append(auxiliary_targets(script, (), times, MEMORY_TOKENS))
            rows.append(row)
        return SegmentTargets(
            torch.from_numpy(np.stack(frames)),
            pack(rows, self.prompts, (size[1] // PATCH_SIZE, size[0] // PATCH_SIZE)),
            torch.from_numpy(np.concatenate(tables)),
        )

    @staticmethod
    def _listing(rng: random.Random, script: Script, times: np.ndarray) -> tuple[str, bool]:
        """A question about all that is seen, and whether it is relevant here: a summary, now and then a
        description."""
        question = make_question(rng, script, kind="summary") if rng.random() > DESCRIBED else None
        if question is None:
            return DESCRIBE_PROMPT, True
        return question.text, relevant(script, question, times)

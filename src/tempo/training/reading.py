"""Films told in words: what teaches the decoder to read a storyline before there are any memory tokens in it.

The published decoder is a language model that can read; a decoder of our own has to learn it: which moment a
question is
about, what a timestamp is, how a choice becomes a letter. None of that needs pictures.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import Dataset

from tempo.training.clips import Sequences, plan_clip
from tempo.training.packing import Wording
from tempo.world.describe import describe


@dataclass(frozen=True)
class ReadingBatch:
    """N questions, each behind a film that is told in at most L tokens."""

    ids_NL: Tensor
    labels_NL: Tensor
    kinds: list[str]


class Readings(Dataset[ReadingBatch]):
    """Batch number i, always the same for the same seed."""

    def __init__(
        self,
        wording: Wording,
        *,
        steps: int,
        seed: int,
        films: int,
        segments: tuple[int, ...],
        questions: int,
    ) -> None:
        self.wording, self.steps, self.seed = wording, steps, seed
        self.films, self.segments, self.questions = films, segments, questions

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> ReadingBatch:
        rng = random.Random(f"reading/{self.seed}/{step}")
        segments = rng.choice(self.segments)
        sequences = Sequences(self.wording)
        for _ in range(max(1, self.films // segments)):
            plan = plan_clip(
                rng, segments=segments, questions=self.questions, aspect=16 / 9, describing=False
            )
            told = [self.wording.plain(describe(plan.script, times)) for times in plan.times]
            stamps = [float(times[0]) + plan.window / 2 for times in plan.times]
            for asked in plan.asked:
                # What the router finds beside the point is mostly left out of a storyline.
                said = [
                    text if shown or rng.random() < 0.6 else []
                    for text, shown in zip(told, asked.shown, strict=True)
                ]
                sequences.add(asked, stamps, list(said))
        ids_NL, labels_NL, _ = sequences.tensors()
        return ReadingBatch(ids_NL, labels_NL, sequences.kinds)

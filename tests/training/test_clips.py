"""What clips are asked in training."""

from __future__ import annotations

import random
from collections import Counter

from tempo.training.clips import group_of, timeline
from tempo.world.templates import KINDS, WHOLE_KINDS, WIDE_KINDS


def test_no_kind_is_so_rare_that_it_cannot_be_learnt() -> None:
    """Few scripts have a sign that can be told from others: its words were once asked for 12 times in a
    thousand questions, and never learnt."""
    rng = random.Random(4)
    asked: Counter[str] = Counter()
    for _ in range(300):
        script, times, window = timeline(rng, segments=8, aspect=16 / 9, wide=1.0)
        group = group_of(rng, script, times, window, questions=6, choice=0.5)
        asked.update(question.kind for question in group)
    assert asked.keys() == {*KINDS, *WHOLE_KINDS, *WIDE_KINDS, "follow-up"}
    assert min(asked.values()) >= 0.01 * asked.total()
    assert min(asked[kind] for kind in WIDE_KINDS) >= 0.05 * asked.total()

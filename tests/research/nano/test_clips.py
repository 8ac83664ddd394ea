"""What clips are asked in training."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from nano_context import context

from research.nano.config import MEMORY_TOKENS
from research.nano.datasets.clips import (
    MOST_COLOURS,
    group_of,
    phrase,
    timeline,
)
from research.nano.datasets.segment_targets import SegmentTargetBatches
from research.nano.datasets.segments import relevant, routing_questions, scene_somewhere
from tempo.synthetic.expressions import SyntheticQuestion
from tempo.synthetic.script import (
    Background,
    Scene,
    Script,
    Thing,
)
from tempo.synthetic.templates import GLOBAL_KINDS, KINDS, WIDE_KINDS


def test_no_kind_is_so_rare_that_it_cannot_be_learnt() -> None:
    """Few scripts have a sign that can be told from others: its words were once asked for 12 times in a
    thousand questions, and never learnt."""
    rng = random.Random(4)
    asked: Counter[str] = Counter()
    for _ in range(600):
        script, times, window = timeline(rng, segments=8, aspect=16 / 9, wide=1.0)
        group = group_of(rng, script, times, window, questions=6, choice=0.5)
        asked.update(question.kind for question in group)
    assert asked.keys() == {*KINDS, *GLOBAL_KINDS, *WIDE_KINDS, "follow-up"}
    assert min(asked.values()) >= 0.01 * asked.total()
    assert min(asked[kind] for kind in WIDE_KINDS) >= 0.05 * asked.total()


def test_writing_is_asked_often_enough_which_never_appears() -> None:
    """It is the one kind for which a memory token tells of four looks at once; asked once in twenty, the
    third and the fourth were told right less than half of the time."""
    rng = random.Random(5)
    asked: Counter[str] = Counter()
    for _ in range(100):
        script, times = scene_somewhere(rng, 16 / 9, 0.5)
        asked.update(question.kind for question, _ in routing_questions(rng, script, times, 6))
    assert asked["never"] >= 0.08 * asked.total()


def test_writing_asks_of_every_segment_for_all_that_is_seen() -> None:
    """Asked for it seldom, it told a quarter of the things behind the first wrong."""
    batch = SegmentTargetBatches(context(seed=2), rows=8, questions=0, wide=0.5)[0]
    assert int((batch.packed.memory_T == MEMORY_TOKENS - 1).sum()) >= 8


def test_alike_things_share_colours_and_can_still_be_told_apart() -> None:
    """The second word of an answer cannot be looked up by the first where several things begin with it."""
    rng = random.Random(6)
    few = 0
    for _ in range(40):
        script, _, _ = timeline(rng, segments=8, aspect=16 / 9, wide=0.5, alike=1.0)
        for scene in script.scenes:
            plain = [(thing.shape, thing.colour) for thing in scene.things if not thing.text]
            assert len(set(plain)) == len(plain)
        few += len({thing.colour for _, thing in script.appearances if thing.colour}) <= MOST_COLOURS
    # Where two of one shape would have become one look, a scene keeps its colours.
    assert few >= 30


def test_that_a_question_follows_another_says_nothing_of_its_relevance() -> None:
    """Asked only where what they are about is seen, follow-ups came to be answered with yes always."""
    rng = random.Random(7)
    truths: Counter[bool] = Counter()
    for _ in range(150):
        script, times = scene_somewhere(rng, 16 / 9, 0.5)
        truths.update(t for question, t in routing_questions(rng, script, times, 6) if question.earlier)
    assert truths.total() >= 40
    assert 0.2 <= truths[True] / truths.total() <= 0.8


def test_a_summary_is_about_where_more_is_seen_than_one_token_tells_of() -> None:
    """Of moments that are all alike to a question the router keeps as many tokens as chance says."""

    def thing(shape: str, colour: str, start: float, end: float) -> Thing:
        return Thing(shape, colour, "large", "still", 0.2, (0.5, 0.5, 0.5, 0.5), start, end)

    scenes = (
        Scene(0, 9.2, Background("flat", 1), (thing("star", "red", 0, 9.2), thing("heart", "pink", 0, 3))),
        Scene(9.2, 20, Background("flat", 2), (thing("ring", "blue", 9.2, 20),)),
    )
    question = SyntheticQuestion("summary", "What happens?", "", (), ())
    segments = [start + np.arange(8) / 2 for start in (0, 4, 8, 12, 16)]
    script = Script(20, 16 / 9, scenes)
    assert [relevant(script, question, times) for times in segments] == [True, False, True, False, False]
    # One thing at a time is a story that can be told, too.
    bare = Script(10.8, 16 / 9, (Scene(0, 10.8, Background("flat", 2), (thing("ring", "blue", 0, 10.8),)),))
    segments = [start + np.arange(8) / 2 for start in (0, 4)]
    told = phrase(random.Random(1), bare, question, segments, 4.0, 0.0)
    assert told is not None
    assert (told.answer, told.shown) == ("2.0 seconds: blue ring.", (False, False))


def test_times_of_long_stories_have_four_digits_often_enough() -> None:
    """Begun at a time drawn by its logarithm, hardly any story was told in the last half of an hour, and its
    times were written with a digit too few."""
    rng = random.Random(8)
    starts = [timeline(rng, segments=4, aspect=16 / 9)[1][0][0] for _ in range(600)]
    assert np.mean([start >= 1000 for start in starts]) >= 0.15

"""Examples in their order: from files, from the generated world, here or in processes of their own."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from making import reader, write_data

import tempo
from tempo.synthetic.pictures import PICTURES
from tempo.training.config import Source, World
from tempo.training.data.dataset import Draws, drawn_ahead


@pytest.fixture(scope="module")
def nano():
    return tempo.load(device="cpu", dtype="float32")


def same(ours, theirs):
    assert ours.name == theirs.name
    assert ours.questions == theirs.questions
    assert ours.stamps == theirs.stamps
    for one, other in zip(ours.parts, theirs.parts, strict=True):
        assert np.array_equal(one.pixels_SPC, other.pixels_SPC)
        assert np.array_equal(one.ids_SL, other.ids_SL)


def test_a_mixture_is_the_same_in_other_processes_and_from_the_middle(nano, tmp_path):
    sources = (Source(path=str(write_data(tmp_path))), Source(world=World(segments=(1, 2)), name="drawn"))
    draws = Draws(sources, reader(nano), seed=4)
    assert draws.size == 4
    straight = list(drawn_ahead(draws, range(6), workers=0))
    assert {one.source for one in straight} == {"data", "drawn"}
    for ours, theirs in zip(drawn_ahead(draws, range(3, 6), workers=2), straight[3:], strict=True):
        same(ours.example, theirs.example)


def test_a_drawn_clip_is_read_as_a_video_is(nano):
    draws = Draws((Source(world=World(segments=(3,), questions=3)),), reader(nano), seed=1)
    example = draws[0].example
    assert example.segments == 3
    assert 1 <= len(example.questions) <= 3
    for question in example.questions:
        assert len(question.relevant) == 3
        assert question.answer[-1] == nano.prompts.end_of_answer
    segment, compressor = example.parts[0], nano.prompts.compressor
    pad = compressor.id("<|video_pad|>")
    places = [i for span in segment.spans for i in range(*span)]
    assert np.flatnonzero(segment.ids_SL[0] == pad).tolist() == places
    assert len(segment.spans) == 4, "eight frames are four pairs"
    t, h, w = segment.grid
    assert len(places) == t * h * w // 4


def test_clips_differ_and_repeat_by_seed(nano):
    def first(seed):
        return Draws((Source(world=World(segments=(1,))),), reader(nano), seed=seed)[0].example

    same(first(1), first(1))
    assert not np.array_equal(first(1).parts[0].pixels_SPC, first(2).parts[0].pixels_SPC)


def test_a_source_of_the_wide_world_asks_about_its_things(nano):
    def texts(wide):
        draws = Draws((Source(world=World(segments=(1,), wide=wide)),), reader(nano), seed=1)
        decode = nano.prompts.decoder.decode
        asked = (q for n in range(12) for q in draws[n].example.questions)
        return " ".join(decode(q.before + q.after + q.answer) for q in asked)

    plain, wide = texts(0.0), texts(1.0)
    assert not any(f" {name}" in plain for name in PICTURES)
    assert sum(f" {name}" in wide for name in PICTURES) > 5


def test_a_drawn_clip_that_does_not_fit_is_named(nano):
    """Of one about which nothing can be asked nobody needs to hear."""
    small = copy.deepcopy(nano.config)
    small.max_position_embeddings = 8
    draws = Draws(
        (Source(world=World(segments=(3,)), name="drawn"),), replace(reader(nano), config=small), seed=1
    )
    drawn = draws[0]
    assert drawn.example is None
    assert all(one.name.startswith("drawn:") and "too long" in one.reason for one in drawn.skipped)
    assert drawn.skipped

"""Examples in their order: from files, from the generated world, here or in processes of their own."""

import copy
import re
from dataclasses import replace

import numpy as np
from making import processor, write_data

from tempo.synthetic.pictures import PICTURES
from tempo.training.config import DataConfig
from tempo.training.data.dataset import MixtureDataset, prefetch
from tempo.training.data.sources import SourceContext


def clips(name=None, **options):
    return DataConfig(factory="research.nano.datasets.world_clips:WorldClips", options=options, name=name)


def dataset_of(sources, processor, *, seed):
    return MixtureDataset(sources, SourceContext(processor, str(seed), 100), seed=seed)


def same(ours, theirs):
    assert ours.name == theirs.name
    assert ours.questions == theirs.questions
    assert ours.timestamps == theirs.timestamps
    for one, other in zip(ours.blocks, theirs.blocks, strict=True):
        assert np.array_equal(one.pixels_SPC, other.pixels_SPC)
        assert np.array_equal(one.ids_SL, other.ids_SL)


def test_a_mixture_is_the_same_in_other_processes_and_from_the_middle(nano, tmp_path):
    sources = (DataConfig(path=str(write_data(tmp_path))), clips(segments=(1, 2), name="drawn"))
    dataset = dataset_of(sources, processor(nano), seed=4)
    assert dataset.records is None
    straight = list(prefetch(dataset, range(6), num_workers=0))
    assert {one.source for one in straight} == {"data", "drawn"}
    for ours, theirs in zip(prefetch(dataset, range(3, 6), num_workers=2), straight[3:], strict=True):
        same(ours.example, theirs.example)


def test_a_drawn_clip_is_read_as_a_video_is(nano):
    dataset = dataset_of((clips(segments=(3,), questions=3),), processor(nano), seed=1)
    example = dataset[0].example
    assert example.segments == 3
    assert 1 <= len(example.questions) <= 3
    for question in example.questions:
        assert len(question.relevant) == 3
        assert question.answer_ids[-1] == nano.prompts.end_of_answer
    segment, compressor = example.blocks[0], nano.prompts.compressor
    pad = compressor.id("<|video_pad|>")
    places = [i for span in segment.spans for i in range(*span)]
    assert np.flatnonzero(segment.ids_SL[0] == pad).tolist() == places
    assert len(segment.spans) == 4, "eight frames are four pairs"
    t, h, w = segment.grid
    assert len(places) == t * h * w // 4


def test_clips_differ_and_repeat_by_seed(nano):
    def first(seed):
        return dataset_of((clips(segments=(1,)),), processor(nano), seed=seed)[0].example

    same(first(1), first(1))
    assert not np.array_equal(first(1).blocks[0].pixels_SPC, first(2).blocks[0].pixels_SPC)


def test_a_source_of_the_wide_world_asks_about_its_things(nano):
    def texts(wide):
        dataset = dataset_of((clips(segments=(1,), wide=wide),), processor(nano), seed=1)
        decode = nano.prompts.decoder.decode
        asked = (q for n in range(12) for q in dataset[n].example.questions)
        said = " ".join(decode(q.before_ids + q.after_ids + q.answer_ids) for q in asked)
        return set(re.findall(r"[a-z]+", said.lower()))

    plain, wide = texts(0.0), texts(1.0)
    names = set(PICTURES) - {"saw", "watch"}  # which are verbs in questions
    assert not plain & names
    assert len(wide & names) > 5


def test_a_drawn_clip_that_does_not_fit_is_named(nano):
    """Of one about which nothing can be asked nobody needs to hear."""
    small = copy.deepcopy(nano.config)
    small.max_position_embeddings = 8
    dataset = dataset_of(
        (clips(segments=(3,), name="drawn"),), replace(processor(nano), config=small), seed=1
    )
    drawn = dataset[0]
    assert drawn.example is None
    assert all(one.name.startswith("drawn:") and "too long" in one.reason for one in drawn.skipped)
    assert drawn.skipped

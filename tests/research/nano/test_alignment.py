"""The storylines that the decoder is joined on, against those of an answer."""

import re

import numpy as np
import pytest
import torch
from nano_context import context, packed_prompts
from transformers import AutoTokenizer

import tempo
from research.nano.config import MEMORY_TOKENS
from research.nano.datasets.clip_batches import ClipBatch, ClipBatches
from research.nano.objectives.alignment import storylines, written
from research.nano.packing import PackedPrompts
from research.nano.weights import load_trained
from tempo.inference.engine import EMBEDDED
from tempo.video.video import Video


@pytest.fixture(scope="module")
def prompts() -> PackedPrompts:
    return packed_prompts()


@pytest.fixture(scope="module")
def batch() -> ClipBatch:
    """One clip of four whole segments, from its first second, seen twice a second: what a video can be."""
    found = ClipBatches(context(seed=5, steps=1000), rows=4)[86]
    (plan,) = found.plans
    assert [len(times) for times in plan.times] == [8] * 4
    assert (plan.times[0][0], plan.window) == (0, 4)
    assert len(plan.groups) > 2
    return found


def test_the_decoder_is_joined_on_what_answering_reads(prompts: PackedPrompts, batch: ClipBatch) -> None:
    engine, trained = tempo.load(device="cpu", dtype="float32"), load_trained(EMBEDDED)
    plan, segments = batch.plans[0], len(batch.plans[0].times)
    with torch.inference_mode():
        relevance_N, memory_NMD = written(trained, batch)
        story, taken = storylines(trained, batch, relevance_N, prompts, random_share=0)
    assert memory_NMD.shape[:2] == (segments * len(plan.groups), MEMORY_TOKENS)

    frames = batch.pairs.reshape(-1, *batch.pairs.shape[2:])
    session = engine.watch(Video.from_frames(np.ascontiguousarray(frames), fps=2.0), fps=2.0, cache="host")
    spelt = AutoTokenizer.from_pretrained(EMBEDDED).decode(batch.packed.ids_T)
    asked = re.findall(r"\nQuery:\n(.*?)<\|im_end\|>", spelt, re.S)
    questions = asked[: len(plan.groups)]
    assert asked == questions * segments
    relevance_SG = relevance_N.unflatten(0, (segments, len(plan.groups)))
    marks = (taken // MEMORY_TOKENS).bincount(minlength=len(relevance_N)).unflatten(0, relevance_SG.shape)
    for group, question in enumerate(questions):
        answered = session.route(question)
        assert [f"{one.timestamp:.1f}" for one in answered] == plan.stamps
        assert relevance_SG[:, group].tolist() == pytest.approx([one.relevance for one in answered], abs=1e-4)
        assert marks[:, group].tolist() == [one.tokens for one in answered]
    assert int(story.packed.video_T.sum()) == len(taken)

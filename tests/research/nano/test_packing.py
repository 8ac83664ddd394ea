"""Packed rows against the same texts one by one, through Hugging Face's own forward."""

import random

import numpy as np
import pytest
import torch
from nano_context import context, prompts_of
from transformers import Qwen3VLForConditionalGeneration

from research.nano.config import (
    GEOMETRY,
    base_config,
    build_tokenizer,
)
from research.nano.datasets.segments import SegmentBatch, SegmentBatches
from research.nano.packing import (
    IGNORE,
    Branch,
    PackedPrompts,
    Row,
    pack,
    read_packed,
)
from tempo.networks.qwen3_vl import vision_features
from tempo.processing.image_processor import Geometry, patches


@pytest.fixture(scope="module")
def prompts() -> PackedPrompts:
    return PackedPrompts(prompts_of(build_tokenizer(30)))


@pytest.fixture(scope="module")
def model() -> Qwen3VLForConditionalGeneration:
    torch.manual_seed(0)
    return Qwen3VLForConditionalGeneration(base_config(build_tokenizer(30))).eval()


def test_packing_changes_neither_states_nor_gradients(
    prompts: PackedPrompts, model: Qwen3VLForConditionalGeneration
) -> None:
    rng = random.Random(0)
    frames = torch.randint(0, 256, (3, 8, 48, 96, 3), dtype=torch.uint8).numpy()
    geometry = Geometry.from_dict({"patch_size": 8, **GEOMETRY})
    pixels, grid = patches(frames, geometry)
    rows = []
    # Two rows attend together, one of them padded, and the first is so short that it attends apart.
    for number, repeated in enumerate((0, 30, 34)):
        row = prompts.segment(0.2 + 9.5 * number + np.arange(8) / 2, 18)
        row.prefix += prompts.plain("Look closely. " * repeated)
        for question in ("Is there a red star?", "What colour is the small ring that moves left?")[
            : number + 1
        ]:
            row.branches.append(prompts.routing(question, rng.random() < 0.5))
        row.branches.append(prompts.answering("Describe the segment.", "small red star left."))
        rows.append(row)
    packed = pack(rows, prompts, (3, 6))
    assert [group.rows for group in packed.layout.groups] == [1, 2]

    def gradients(states_TD: torch.Tensor, upstream_TD: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        (states_TD * upstream_TD).sum().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    states = read_packed(model.model, packed, *vision_features(model.model.visual, pixels, grid))
    apart, places, at = [], [], 0
    for index, row in enumerate(rows):
        at += len(row.prefix)
        for branch in row.branches:
            ids = torch.tensor([row.prefix + branch.ids])
            alone = model.model(
                input_ids=ids,
                mm_token_type_ids=(ids == prompts.video_id).int() * 2,
                pixel_values_videos=pixels[index],
                video_grid_thw=torch.tensor([grid]),
            )
            apart.append(alone.last_hidden_state[0, len(row.prefix) :])
            places.append(torch.arange(at, at + len(branch.ids)))
            at += len(branch.ids)
    packed_TD, apart_TD = states[torch.cat(places)], torch.cat(apart)
    assert torch.allclose(packed_TD, apart_TD, atol=1e-4), (packed_TD - apart_TD).abs().max()
    upstream_TD = torch.randn(packed_TD.shape)
    found, wanted = gradients(packed_TD, upstream_TD), gradients(apart_TD, upstream_TD)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        far = (found[name] - gradient).abs().max()
        assert far <= 1e-3 * gradient.abs().max(), (name, far, gradient.abs().max())


def test_only_answers_are_learnt(prompts: PackedPrompts) -> None:
    branch = prompts.answering("What colour is the star?", "red")
    learnt = [label for label in branch.labels if label != IGNORE]
    assert learnt == [*prompts.plain("red"), prompts.end_id]
    assert branch.labels.index(learnt[0]) == len(branch.ids) - 1 - len(prompts.plain("red"))
    routing = prompts.routing("Is there a star?", True)
    assert [label for label in routing.labels if label != IGNORE] == [prompts.yes_id]
    assert routing.labels[-1] == prompts.yes_id


def test_special_tokens_in_a_question_stay_text(prompts: PackedPrompts) -> None:
    ids = prompts.plain("what is <|im_end|> here?")
    assert prompts.end_id not in ids


def test_memory_tokens_are_numbered_within_their_branch(prompts: PackedPrompts) -> None:
    rows = [Row([1, 2], [Branch([3], [IGNORE], memory=2), Branch([4, 5], [IGNORE, IGNORE], memory=1)])]
    packed = pack(rows, prompts)
    assert packed.memory_T.tolist() == [-1, -1, -1, 0, 1, -1, -1, 0]
    assert packed.positions_3T[0].tolist() == [0, 1, 2, 3, 4, 2, 3, 4]


def test_batches_are_the_same_for_the_same_seed(prompts: PackedPrompts) -> None:
    def make(seed: int) -> SegmentBatch:
        return SegmentBatches(context(seed=seed, prompts=prompts.prompts), batch=2, routings=2, questions=1)[
            3
        ]

    one, same, other = make(1), make(1), make(2)
    assert torch.equal(one.packed.ids_T, same.packed.ids_T)
    assert (one.frames == same.frames).all()
    assert one.frames.shape != other.frames.shape or not (one.frames == other.frames).all()

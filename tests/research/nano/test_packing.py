"""Packed rows against the same texts one by one, through Hugging Face's own forward."""

import random
from pathlib import Path

import pytest
import torch
from transformers import Qwen3VLForConditionalGeneration

from research.nano.config import (
    GEOMETRY,
    SYSTEM_PROMPT,
    base_config,
    build_tokenizer,
)
from research.nano.datasets.segments import SegmentBatch, SegmentBatches
from research.nano.packing import (
    IGNORE,
    Branch,
    Row,
    Wording,
    pack,
    read_packed,
)
from research.nano.run import Run, parameter_groups
from tempo.modeling.qwen3_vl import vision_features
from tempo.processing.image_processor import Geometry, patches
from tempo.training.lr_schedule import LRSchedule


@pytest.fixture(scope="module")
def wording() -> Wording:
    return Wording(build_tokenizer(30), SYSTEM_PROMPT)


@pytest.fixture(scope="module")
def model() -> Qwen3VLForConditionalGeneration:
    torch.manual_seed(0)
    return Qwen3VLForConditionalGeneration(base_config(build_tokenizer(30))).eval()


def test_packing_changes_nothing(wording: Wording, model: Qwen3VLForConditionalGeneration) -> None:
    rng = random.Random(0)
    frames = torch.randint(0, 256, (2, 8, 48, 96, 3), dtype=torch.uint8).numpy()
    geometry = Geometry.from_dict({"patch_size": 8, **GEOMETRY})
    pixels, grid = patches(frames, geometry)
    rows = []
    for number in range(2):  # of lengths so unlike that they attend apart
        row = Row(wording.prefix([0.2 + 9.5 * number + i for i in range(4)], 18))
        row.prefix += wording.plain("Look closely. " * 30 * number)
        for question in ("Is there a red star?", "What colour is the small ring that moves left?")[
            : number + 1
        ]:
            row.branches.append(wording.routing(question, rng.random() < 0.5))
        row.branches.append(wording.asking("Describe the segment.", "small red star left."))
        rows.append(row)
    packed = pack(rows, wording, (3, 6))
    with torch.no_grad():
        visual, deep = vision_features(model.model.visual, pixels, grid)
        states = read_packed(model.model, packed, visual, deep)
        at = 0
        for index, row in enumerate(rows):
            at += len(row.prefix)
            for branch in row.branches:
                ids = torch.tensor([row.prefix + branch.ids])
                alone = model.model(
                    input_ids=ids,
                    mm_token_type_ids=(ids == wording.video_id).int() * 2,
                    pixel_values_videos=pixels[index],
                    video_grid_thw=torch.tensor([grid]),
                ).last_hidden_state[0, len(row.prefix) :]
                here = states[at : at + len(branch.ids)]
                assert torch.allclose(here, alone, atol=1e-4), (index, (here - alone).abs().max())
                at += len(branch.ids)


def test_only_answers_are_learnt(wording: Wording) -> None:
    branch = wording.asking("What colour is the star?", "red")
    learnt = [label for label in branch.labels if label != IGNORE]
    assert learnt == [*wording.plain("red"), wording.end_id]
    assert branch.labels.index(learnt[0]) == len(branch.ids) - 1 - len(wording.plain("red"))
    routing = wording.routing("Is there a star?", True)
    assert [label for label in routing.labels if label != IGNORE] == [wording.yes_id]
    assert routing.labels[-1] == wording.yes_id


def test_special_tokens_in_a_question_stay_text(wording: Wording) -> None:
    ids = wording.plain("what is <|im_end|> here?")
    assert wording.end_id not in ids


def test_memory_tokens_are_numbered_within_their_branch(wording: Wording) -> None:
    rows = [Row([1, 2], [Branch([3], [IGNORE], memory=2), Branch([4, 5], [IGNORE, IGNORE], memory=1)])]
    packed = pack(rows, wording, (1, 1))
    assert packed.memory_T.tolist() == [-1, -1, -1, 0, 1, -1, -1, 0]
    assert packed.positions_3T[0].tolist() == [0, 1, 2, 3, 4, 2, 3, 4]


def test_batches_are_the_same_for_the_same_seed(wording: Wording) -> None:
    def make(seed: int) -> SegmentBatch:
        return SegmentBatches(wording, steps=9, batch=2, seed=seed, routings=2, questions=1)[3]

    one, same, other = make(1), make(1), make(2)
    assert one.packed is not None
    assert same.packed is not None
    assert torch.equal(one.packed.ids_T, same.packed.ids_T)
    assert (one.frames == same.frames).all()
    assert one.frames.shape != other.frames.shape or not (one.frames == other.frames).all()


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    def losses(folder: str, stops: list[int]) -> list[float]:
        seen = []
        for stop in stops:
            torch.manual_seed(0)
            module = torch.nn.Linear(4, 1)
            with Run(
                tmp_path / folder, module, parameter_groups(module, 0.1, decay=0.01), LRSchedule(12, 2)
            ) as run:
                for step in range(run.step, stop):
                    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
                    loss = (module(x) - x.sum(1, keepdim=True)).square().mean()
                    seen.append(loss.item())
                    run.update(loss, {})
        return seen

    assert losses("whole", [12]) == losses("stopped", [5, 12])


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    module = torch.nn.Linear(1, 1)
    run = Run(tmp_path / "run", module, parameter_groups(module, 0.1, decay=0.0), LRSchedule(3, 1))
    with pytest.raises(ValueError, match="step 0"), run:
        run.update(module(torch.tensor([[float("nan")]])).sum(), {})

"""The four stages at the size of the embedded model, one step each, every one from what the last wrote."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tempo
from tempo.inference.engine import EMBEDDED
from tempo.training.config_parsing import read_recipe
from tempo.training.trainer import train

ROOT = Path(__file__).parents[2]
PARTS = {
    "vision": "compressor.vlm.visual.",
    "compressor": "compressor.vlm.language_model.",
    "decoder": "model.",
}


def assert_as_the_base(folder):
    """After alignment both language models and the tower are still those of the base."""
    ours = tempo.load(folder, device="cpu", dtype="float32").model.state_dict()
    base = load_file(EMBEDDED.with_name("nano-base") / "model.safetensors")
    assert {name.split(".")[1] for name in base} == {"visual", "language_model"}
    for name, tensor in base.items():
        tower, _, inner = name.removeprefix("model.").partition(".")
        assert torch.equal(ours[f"compressor.vlm.{tower}.{inner}"], tensor.float()), name
        if tower == "language_model":
            assert torch.equal(ours[f"model.{inner}"], tensor.float()), name


@pytest.mark.slow
@pytest.mark.parametrize(("recipes", "before"), [("recipes/nano", None), ("research/nano/recipes", EMBEDDED)])
def test_the_stages_follow_one_another(recipes, before, tmp_path):
    for number in range(4):
        path = ROOT / recipes / f"stage-{number}.yaml"
        sources = len(read_recipe(path).data)
        overrides = [f"data.{n}.options.segments=[1, 2]" for n in range(sources)]
        overrides += [f"out={tmp_path}/{number}", "schedule.steps=1", "schedule.warmup_steps=0", "device=cpu"]
        overrides += [
            "batch.global_batch_size=2",
            "batch.micro_batch_size=2",
            "batch.max_questions=2",
            "num_workers=0",
        ]
        overrides += [f"model.start={before}"] if before else []
        result = train(read_recipe(path, [*overrides, "precision=float32", "save_dtype=float32"]))
        record = json.loads((tmp_path / str(number) / "log.jsonl").read_text())
        assert record["answer_tokens"] > 0
        if before is None:
            assert_as_the_base(result.model)
        else:
            recipe = read_recipe(path)
            ours, theirs = (
                tempo.load(folder, device="cpu", dtype="float32").model.state_dict()
                for folder in (result.model, before)
            )
            moved = {name for name in ours if not torch.equal(ours[name], theirs[name])}
            assert any(name.startswith("projector.") for name in moved)
            for part, prefix in PARTS.items():
                learns = getattr(recipe.learning_rates, part) is not None
                assert any(name.startswith(prefix) for name in moved) == learns, (number, part)
        before = result.model

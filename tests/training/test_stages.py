"""The four stages at the size of the embedded model, one step each, every one from what the last wrote."""

import json
from pathlib import Path

import pytest
import torch

import tempo
from tempo.training.recipe_reading import read_recipe
from tempo.training.trainer import train

RECIPES = Path(__file__).parents[2] / "recipes" / "nano"


@pytest.mark.slow
def test_the_stages_follow_one_another(tmp_path):
    before = None
    for number in range(4):
        path = RECIPES / f"stage-{number}.yaml"
        sources = len(read_recipe(path).data)
        overrides = [f"data.{n}.world.segments=[1, 2]" for n in range(sources)]
        overrides += [f"out={tmp_path}/{number}", "schedule.steps=1", "schedule.warmup=0", "device=cpu"]
        overrides += ["batch.samples=2", "batch.together=2", "batch.questions=2", "workers=0"]
        overrides += [f"model.start={before}"] if before else []
        result = train(read_recipe(path, [*overrides, "precision=float32", "save=float32"]))
        record = json.loads((tmp_path / str(number) / "log.jsonl").read_text())
        assert record["answer_tokens"] > 0
        if before:
            recipe = read_recipe(path)
            ours, theirs = (
                tempo.load(folder, device="cpu", dtype="float32").model.state_dict()
                for folder in (result.model, before)
            )
            moved = {name for name in ours if not torch.equal(ours[name], theirs[name])}
            assert any(name.startswith("projector.") for name in moved)
            for part, prefix in (("vision", "compressor.vlm.visual."), ("decoder", "model.")):
                learns = getattr(recipe.train, part) is not None
                assert any(name.startswith(prefix) for name in moved) == learns, (number, part)
        before = result.model

"""A model that learnt from somebody's own videos no longer says that it knows generated ones only."""

import json
import shutil
from dataclasses import replace

import pytest
from making import recipe, write_data

import tempo
from tempo.training.config import DataConfig, ScheduleConfig
from tempo.training.trainer import train


@pytest.mark.parametrize(("own", "claim"), [(True, None), (False, "synthetic")])
def test_what_it_learns_from_decides(reference, tmp_path, own, claim):
    for name in ("tempo-tiny", "qwen3-vl-tiny"):
        shutil.copytree(reference / name, tmp_path / name)
    file = tmp_path / "tempo-tiny" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(config | {"trained_on": "synthetic"}), encoding="utf-8")
    own_file = write_data(tmp_path)
    clips = DataConfig(
        factory="research.nano.datasets.world_clips:WorldClips", options={"segments": [1], "questions": 1}
    )
    source = DataConfig(path=str(own_file)) if own else clips
    planned = recipe(
        tmp_path / "tempo-tiny", own_file, tmp_path / "run", schedule=ScheduleConfig(steps=1, warmup_steps=0)
    )
    result = train(replace(planned, data=(source,)))
    assert tempo.load(result.model, device="cpu").config.trained_on == claim

"""Validation: what is measured, which checkpoint is kept, when a run ends, and that it disturbs nothing."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from making import recipe, write_data
from safetensors.torch import load_file

import tempo
from tempo.errors import TempoError, UsageError
from tempo.training.config import (
    CheckpointConfig,
    DataConfig,
    OptimizerConfig,
    ScheduleConfig,
    ValidationConfig,
)
from tempo.training.config_parsing import write_recipe
from tempo.training.distributed import DistributedContext
from tempo.training.run_setup import load_data
from tempo.training.trainer import Trainer, resume, train
from tempo.training.validation import BestCheckpoint, validate


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def held_out(path, **more):
    options = {"every_steps": 1, "samples": 2}
    return ValidationConfig(data=(DataConfig(path=str(path)),), **options | more)


def records(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def losses(out):
    return [one["loss"] for one in records(out) if "loss" in one]


def validations(out):
    return {one["step"]: one["validation"] for one in records(out) if "validation" in one}


@pytest.fixture(scope="module")
def validated(small, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("validated") / "run"
    kept = CheckpointConfig(every_steps=1, keep=9)
    mine = recipe(small, data, out, tensorboard=True, validation=held_out(data), checkpoints=kept)
    return mine, out, train(mine)


def test_it_is_in_the_log_and_in_tensorboard(validated):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, out, _ = validated
    found = validations(out)
    assert list(found) == [0, 1, 2, 3, 4], "before the first step too"
    assert all(0 <= one["exact"] <= 1 and one["loss"] > 0 for one in found.values())
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    kept = {event.step: event.value for event in events.Scalars("validation/loss")}
    assert kept == {step: pytest.approx(one["loss"], rel=1e-5) for step, one in found.items()}


def test_training_is_what_it_would_be_without_it(small, validated, data, tmp_path):
    train(recipe(small, data, tmp_path / "run"))
    assert losses(validated[1]) == losses(tmp_path / "run")


def test_the_loss_is_that_of_the_written_model(validated, data, tmp_path):
    """Measured once more, on the model as it stands in the run's folder."""
    _, out, result = validated
    assert validations(out)[result.best.step]["loss"] == result.best.value
    again = recipe(result.model, data, tmp_path / "again", validation=held_out(data))
    (tmp_path / "again").mkdir()
    context = DistributedContext(0, 1, torch.device("cpu"))
    trainer = Trainer(again, tmp_path / "again", context)
    figures = validate(
        trainer.objective,
        trainer.parallel,
        load_data(again, trainer.spec)[1],
        again.validation,
        context,
        micro_batch_size=2,
        num_workers=0,
        bfloat16=False,
    )
    # The model is written in bfloat16.
    assert figures["loss"] == pytest.approx(result.best.value, rel=0.02)


def test_the_best_checkpoint_is_the_model_and_a_run_ends_early(small, data, tmp_path):
    """At such a rate the loss rises after a step or two."""
    out = tmp_path / "run"
    rates = dict.fromkeys(("memory", "projector", "compressor", "decoder"), 0.3)
    mine = recipe(small, data, out, save_dtype="float32", validation=held_out(data, patience=2))
    mine = replace(
        mine,
        learning_rates=replace(mine.learning_rates, vision=None, **rates),
        schedule=ScheduleConfig(steps=12, warmup_steps=0),
        optimizer=OptimizerConfig(max_grad_norm=1e9),
    )
    result = train(mine)
    found = {step: one["loss"] for step, one in validations(out).items()}
    best = min(found, key=found.get)
    assert result.best.step == best
    assert result.steps == max(found) == best + 2 < 12
    kept = torch.load(out / "checkpoints" / "best.pt", weights_only=True)
    written = load_file(result.model / "model.safetensors")
    assert kept["step"] == best
    assert torch.equal(kept["trained"]["model.model.norm.weight"], written["model.norm.weight"])
    assert resume(out).steps == result.steps, "a run that ended early stays ended"


def test_where_nothing_learnt_is_better_the_model_is_the_one_at_the_start(small, data, tmp_path):
    """Which takes no checkpoint: it would be the largest, before anything is learnt."""
    out = tmp_path / "run"
    rates = dict.fromkeys(("memory", "projector", "compressor", "decoder"), 30.0)
    mine = recipe(small, data, out, save_dtype="float32", validation=held_out(data))
    mine = replace(
        mine,
        learning_rates=replace(mine.learning_rates, vision=None, **rates),
        schedule=ScheduleConfig(steps=2, warmup_steps=0),
    )
    result = train(mine)
    assert min(validations(out), key=lambda step: validations(out)[step]["loss"]) == result.best.step == 0
    assert not (out / "checkpoints" / "best.pt").exists()
    written, began = (
        tempo.load(folder, device="cpu", dtype="float32").model.state_dict()
        for folder in (result.model, small)
    )
    assert all(torch.equal(written[name], tensor) for name, tensor in began.items())


def test_a_resumed_run_has_the_same_validations_and_the_same_best(validated, tmp_path):
    _, whole, result = validated
    out = Path(shutil.copytree(whole, tmp_path / "run"))
    for step in (3, 4):
        (out / "checkpoints" / f"step-0000000{step}.pt").unlink()
    again = resume(out)
    assert validations(out) == validations(whole)
    assert losses(out) == losses(whole)
    assert again.best == result.best


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_measure_what_one_does(validated, two_processes, tmp_path, parallel):
    mine, whole, _ = validated
    out = tmp_path / "run"
    write_recipe(replace(mine, out=str(out), tensorboard=False, parallel=parallel), tmp_path / "recipe.yaml")
    done = two_processes("-m", "tempo", "train", tmp_path / "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best validation") == 1
    ours, theirs = validations(out), validations(whole)
    assert ours.keys() == theirs.keys()
    for step, figures in theirs.items():
        assert ours[step] == {name: pytest.approx(value, rel=1e-3) for name, value in figures.items()}


def test_held_out_data_are_the_same_every_time(validated):
    mine, _, _ = validated
    trainer_data = [load_data(mine, spec)[1] for spec in [_spec(mine)] * 2]
    names = [[dataset[n].name for n in range(2)] for dataset in trainer_data]
    assert names[0] == names[1]


def _spec(mine):
    from tempo.training import model_init

    return model_init.read_spec(mine.model)


def test_of_some_figures_more_is_better():
    accuracy = BestCheckpoint("exact")
    assert [accuracy.improves(n, {"exact": v}) for n, v in enumerate((0.2, 0.1, 0.3, 0.3))] == [
        True,
        False,
        True,
        False,
    ]
    assert (accuracy.step, accuracy.since) == (2, 1)
    assert math.isnan(BestCheckpoint("loss").value)
    with pytest.raises(UsageError, match=r"validation\.metric=exactness: .*exact, loss"):
        BestCheckpoint("exactness").improves(1, {"loss": 1.0, "exact": 0.5})


def test_held_out_data_that_is_missing_is_named(small, data, tmp_path):
    mine = recipe(small, data, tmp_path / "run", validation=held_out(tmp_path / "none.jsonl"))
    with pytest.raises(TempoError, match=r"none\.jsonl: no such file"):
        train(mine)


def test_muon_resumes_to_the_same_bits(small, data, tmp_path):
    muon = OptimizerConfig(matrices="muon")
    kept = CheckpointConfig(every_steps=1, keep=9)
    out = tmp_path / "run"
    steps = ScheduleConfig(steps=3, warmup_steps=1)
    train(recipe(small, data, out, optimizer=muon, checkpoints=kept, schedule=steps))
    before = losses(out)
    assert before[-1] < before[0]
    (out / "checkpoints" / "step-00000003.pt").unlink()
    resume(out)
    assert losses(out) == before

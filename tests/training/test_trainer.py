"""Runs of the tiny reference model: killed, resumed, shared out, merged, refused."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch
from making import conversation, recipe, write_data, write_jsonl
from safetensors.torch import load_file

import tempo
from tempo.cli.main import main
from tempo.errors import TempoError, UsageError
from tempo.training.config import (
    BatchConfig,
    CheckpointConfig,
    LearningRates,
    LoraConfig,
    ScheduleConfig,
)
from tempo.training.config_parsing import write_recipe
from tempo.training.distributed import DistributedContext
from tempo.training.lora import apply_adapter
from tempo.training.metrics import MetricLogger
from tempo.training.trainer import Trainer, resume, train


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Runs are compared to the bit, here and in processes of their own. OpenMP may give a busy machine's
    process fewer threads than it asked for, and sums then come in another order; one is always to be had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(small, data, tmp_path_factory):
    """A run of four steps that nothing disturbs."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, train(recipe(small, data, out))


def log(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def losses(out):
    return [record["loss"] for record in log(out) if "loss" in record]


@pytest.fixture
def child(warm_training):
    """Run a script in a process of its own, of one thread as this one."""
    return lambda script: warm_training.run("-c", textwrap.dedent(script))


def test_a_run_learns_and_leaves_a_model_that_answers(whole, data):
    out, result = whole
    assert [record["step"] for record in log(out)] == [1, 2, 3, 4]
    assert losses(out)[0] == result.first_loss
    assert losses(out)[-1] == result.last_loss < result.first_loss
    first = log(out)[0]
    # Two samples of two turns each: the words of their answers, and an end each.
    assert first["answer_tokens"] > 8
    assert first["tokens"] > first["visual_tokens"] > 0
    model = tempo.load(result.model, device="cpu")
    assert model.watch(data.parent / "0.mp4").ask("What colour?", max_new_tokens=2).usage.answer_tokens


@pytest.mark.parametrize("moment", ["while a checkpoint is written", "between two steps"])
def test_a_killed_run_resumes_to_the_same_bits(small, whole, data, child, tmp_path, moment):
    out = tmp_path / "run"
    mine = replace(recipe(small, data, out), checkpoints=CheckpointConfig(every_steps=1))
    write_recipe(mine, tmp_path / "recipe.yaml")
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    where = {
        "while a checkpoint is written": f"""
            sync = os.fsync
            def fsync(handle):
                written = Path({str(out / "checkpoints")!r})
                if list(written.glob("*.part")) and (written / "step-00000002.pt").exists():
                    {kill}
                sync(handle)
            os.fsync = fsync
        """,
        "between two steps": f"""
            from tempo.training.metrics import MetricLogger
            write = MetricLogger.write
            def killing(self, record):
                write(self, record)
                if record["step"] == 3:
                    {kill}
            MetricLogger.write = killing
        """,
    }[moment]
    done = child(
        f"""
        import os, signal
        from pathlib import Path
        {textwrap.indent(textwrap.dedent(where), " " * 8).strip()}
        from tempo.training.config_parsing import read_recipe
        from tempo.training.trainer import train
        train(read_recipe({str(tmp_path / "recipe.yaml")!r}))
        """
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(losses(out)) == 3  # the third step was taken and is not in a checkpoint
    resume(out)
    assert losses(out) == losses(whole[0])
    assert [record["step"] for record in log(out)] == [1, 2, 3, 4]
    ours, theirs = (load_file(run / "model" / "model.safetensors") for run in (out, whole[0]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not list(out.rglob("*.part"))


def test_a_run_that_is_asked_to_end_saves_its_step_and_goes_on(
    small, whole, data, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "run"
    write = MetricLogger.write

    def asking(self, record):
        write(self, record)
        if record["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(MetricLogger, "write", asking)
        patched.chdir(data.parent)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(small, data.name, out))
    assert f"step 2 is saved; resume with tempo train --resume {out}" in capsys.readouterr().err
    assert [file.name for file in (out / "checkpoints").iterdir()] == ["step-00000002.pt"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    resume(out)  # from another folder than the one in which it began
    assert losses(out) == losses(whole[0])


def torchrun(*command):
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *map(str, command),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_have_the_losses_of_one(small, whole, data, two_processes, tmp_path, parallel):
    start = torchrun if parallel == "ddp" else two_processes
    out = tmp_path / "run"
    write_recipe(replace(recipe(small, data, out), parallel=parallel), tmp_path / "recipe.yaml")
    done = start("-m", "tempo", "train", tmp_path / "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loss") == 1, "only the first process speaks"
    assert re.search(r"step 4 of 4 · loss [\d.]+ · [\d,]+ tokens/s · 00:00 left", done.stderr)
    assert losses(out) == pytest.approx(losses(whole[0]), rel=1e-4)
    for ours, theirs in zip(log(out), log(whole[0]), strict=True):
        assert ours["tokens"] == theirs["tokens"]
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("parallel", "fails"), [("ddp", False), ("fsdp", False), ("fsdp", True)])
def test_no_thread_of_two_processes_outlives_the_run(small, data, two_processes, tmp_path, parallel, fails):
    """One that does may abort the interpreter on its way out, and a run that ended well has failed."""
    step = recipe(
        small, data, tmp_path / "run", schedule=ScheduleConfig(steps=1, warmup_steps=0), parallel=parallel
    )
    write_recipe(step, tmp_path / "recipe.yaml")
    script = f"""
        import atexit, os, sys
        from pathlib import Path
        from tempo.cli.main import main
        from tempo.errors import TempoError
        from tempo.training.trainer import Trainer

        def note(when):
            names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
            file = Path({str(tmp_path)!r}) / f"{{when}}-{{os.environ['RANK']}}"
            file.write_text(str("pt_gloo_runloop" in names))

        def run(self, run=Trainer.run):
            result = run(self)
            note("running")
            if {fails}:
                raise TempoError("this run fails")
            return result

        Trainer.run = run
        atexit.register(note, "left")  # what is registered first comes last
        sys.exit(main(["train", {str(tmp_path / "recipe.yaml")!r}]))
    """
    done = two_processes("-c", textwrap.dedent(script))
    assert (done.returncode != 0) == fails, done.stderr
    assert ("tempo: this run fails" in done.stderr) == fails
    running, left = (
        [file.read_text() for file in tmp_path.glob(f"{when}-?")] for when in ("running", "left")
    )
    assert running == ["True"] * 2
    assert left == ["False"] * 2


@pytest.mark.slow
def test_accelerate_starts_a_run(small, whole, data, tmp_path):
    """On a CPU it starts one process; on several GPUs it sets what torchrun sets."""
    out = tmp_path / "run"
    write_recipe(recipe(small, data, out), tmp_path / "recipe.yaml")
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "-m", "tempo", "train"]
    done = subprocess.run(
        [sys.executable, *launch, str(tmp_path / "recipe.yaml")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert losses(out) == losses(whole[0])


@pytest.mark.slow
def test_sharded_layers_and_their_optimizer_state_are_resumed(small, whole, data, two_processes, tmp_path):
    out = tmp_path / "run"
    halves = recipe(small, data, out, parallel="fsdp", checkpoints=CheckpointConfig(every_steps=2, keep=2))
    write_recipe(halves, tmp_path / "recipe.yaml")
    done = two_processes("-m", "tempo", "train", tmp_path / "recipe.yaml")
    assert done.returncode == 0, done.stderr
    (out / "checkpoints" / "step-00000004.pt").unlink()
    before = losses(out)
    done = two_processes("-m", "tempo", "train", "--resume", out)
    assert done.returncode == 0, done.stderr
    assert [record["step"] for record in log(out)] == [1, 2, 3, 4]
    assert losses(out) == before == pytest.approx(losses(whole[0]), rel=1e-4)


def test_figures_are_there_for_tensorboard(small, data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    train(recipe(small, data, out, tensorboard=True))
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    for figure in ("loss", "grad_norm", "tokens_per_second"):
        kept = [(event.step, event.value) for event in events.Scalars(figure)]
        assert kept == [(record["step"], pytest.approx(record[figure], rel=1e-5)) for record in log(out)]


def test_only_what_the_recipe_trains_changes(small, data, tmp_path):
    train(
        replace(
            recipe(small, data, tmp_path / "run"),
            learning_rates=LearningRates(memory=1e-3, projector=1e-3),
            schedule=ScheduleConfig(steps=1, warmup_steps=0),
            save_dtype="float32",
        )
    )
    before = tempo.load(small, device="cpu", dtype="float32").model.state_dict()
    after = tempo.load(tmp_path / "run" / "model", device="cpu", dtype="float32").model.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    changed |= {name for name in before if "vlm" in name and not torch.equal(before[name], after[name])}
    assert changed == {"compressor", "projector"}


def test_adapters_are_merged_into_what_is_saved(small, data, tmp_path):
    """The written model, with no adapters, computes what the trained one with adapters did."""
    mine = replace(
        recipe(small, data, tmp_path / "run"),
        learning_rates=LearningRates(projector=1e-2, compressor=1e-2, decoder=1e-2),
        lora=LoraConfig(rank=4, alpha=8),
        schedule=ScheduleConfig(steps=2, warmup_steps=0),
        save_dtype="float32",
    )
    result = train(mine)
    saved = load_file(tmp_path / "run" / "adapter" / "adapter.safetensors")
    assert {name.split(".")[0] for name in saved} == {"compressor", "projector", "model"}
    assert not any("visual" in name for name in saved)
    merged = tempo.load(result.model, device="cpu", dtype="float32").model
    start = tempo.load(small, device="cpu", dtype="float32").model
    before = start.state_dict()["model.layers.0.self_attn.q_proj.weight"]
    down, up = (saved[f"model.layers.0.self_attn.q_proj.lora_{which}.default.weight"] for which in ("A", "B"))
    assert up.abs().max() > 0
    expected = before + 8 / 4 * up @ down
    torch.testing.assert_close(merged.state_dict()["model.layers.0.self_attn.q_proj.weight"], expected)
    apply_adapter(start, tmp_path / "run" / "adapter")
    for name, tensor in start.state_dict().items():
        torch.testing.assert_close(tensor, merged.state_dict()[name])
    # Given as a model, the folder says where that is; and how to make one, where it is alone.
    with pytest.raises(TempoError, match=r"holds an adapter; the model with it merged in is .*/run/model$"):
        tempo.load(tmp_path / "run" / "adapter")
    alone = (tmp_path / "run" / "adapter").rename(tmp_path / "alone")
    with pytest.raises(TempoError, match=rf"tempo convert MODEL NEW --adapter {alone}$"):
        tempo.load(alone)
    assert main(["convert", str(small), str(tmp_path / "new"), "--adapter", str(alone)]) == 0
    made = tempo.load(tmp_path / "new", device="cpu", dtype="float32").model.state_dict()
    for name, tensor in merged.state_dict().items():
        torch.testing.assert_close(made[name], tensor)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(small, data, tmp_path):
    trainer = Trainer(recipe(small, data, tmp_path / "run"), tmp_path / "run", one_process())
    with torch.no_grad():
        trainer.model.model.norm.weight[0] = float("nan")
    (tmp_path / "run").mkdir()
    with pytest.raises(
        TempoError, match=r"step 1: the loss is nan; its batch: data\.jsonl:\d, data\.jsonl:\d"
    ):
        trainer.run()
    assert not (tmp_path / "run" / "model").exists()


def test_every_sample_of_a_batch_that_is_not_finite_is_in_the_log(small, data, tmp_path):
    ten = recipe(small, data, tmp_path / "run", batch=BatchConfig(global_batch_size=10, segment_chunk=2))
    trainer = Trainer(ten, tmp_path / "run", one_process())
    with torch.no_grad():
        trainer.model.model.norm.weight[0] = float("nan")
    (tmp_path / "run").mkdir()
    with pytest.raises(TempoError, match=r" and 2 more, in .*log\.jsonl"):
        trainer.run()
    (record,) = log(tmp_path / "run")
    assert record["step"] == 1
    assert record["not_finite"] == "loss"
    assert len(record["batch"]) == 10
    assert all(re.fullmatch(r"data\.jsonl:\d", name) for name in record["batch"])


def one_process():
    return DistributedContext(0, 1, torch.device("cpu"))


def test_a_full_disk_leaves_the_previous_checkpoint(small, data, child, tmp_path):
    """Files may not grow beyond what one checkpoint takes, from the second one on."""
    out = tmp_path / "run"
    write_recipe(
        replace(recipe(small, data, out), checkpoints=CheckpointConfig(every_steps=1)),
        tmp_path / "recipe.yaml",
    )
    done = child(
        f"""
        import resource, signal, sys
        from tempo.training.metrics import MetricLogger
        write = MetricLogger.write
        def filling(self, record):
            write(self, record)
            if record["step"] == 2:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        MetricLogger.write = filling
        from tempo.cli.main import main
        sys.exit(main(["train", {str(tmp_path / "recipe.yaml")!r}]))
        """
    )
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert "step-00000002.pt: could not be written" in last
    assert "step-00000001.pt is complete" in last
    assert [file.name for file in (out / "checkpoints").iterdir()] == ["step-00000001.pt"]
    assert len(losses(out)) == 2
    resume(out)
    assert len(losses(out)) == 4


def test_a_full_disk_leaves_no_half_of_a_model(small, whole, data, child, tmp_path):
    """Files may not grow beyond what the model takes, once the last checkpoint is there."""
    out = tmp_path / "run"
    write_recipe(recipe(small, data, out), tmp_path / "recipe.yaml")
    done = child(
        f"""
        import resource, sys
        from tempo.training.checkpointing import CheckpointManager
        save = CheckpointManager.save
        def filling(self, step, state):
            save(self, step, state)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        CheckpointManager.save = filling
        from tempo.cli.main import main
        sys.exit(main(["train", {str(tmp_path / "recipe.yaml")!r}]))
        """
    )
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert f"{out / 'model'}: could not be written" in last
    assert "step-00000004.pt is complete; free some space and resume" in last
    assert not list(out.glob("model*"))
    resume(out)
    ours, theirs = (load_file(run / "model" / "model.safetensors") for run in (out, whole[0]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def bad(folder, good, count):
    """A file of conversations of which the first `count` name videos that are not there."""
    records = [conversation("What?", "this", video=f"missing-{n}.mp4") for n in range(count)]
    records += [json.loads(line) for line in good.read_text().splitlines()]
    for record in records[count:]:
        record["video"] = str(good.parent / record["video"])
    return write_jsonl(folder / "mixed.jsonl", records)


def test_samples_that_cannot_be_read_are_named_counted_and_replaced(small, data, tmp_path, capsys):
    mixed = bad(tmp_path, data, 2)
    epoch = ScheduleConfig(steps=3, warmup_steps=0)
    result = train(replace(recipe(small, mixed, tmp_path / "run"), schedule=epoch, skip_limit=2))
    assert result.skipped == 2
    named = {
        record["skipped_sample"]: record["reason"] for record in log(tmp_path / "run") if "reason" in record
    }
    assert set(named) == {"mixed.jsonl:1", "mixed.jsonl:2"}
    assert all("missing-" in reason and "no such file" in reason for reason in named.values())
    assert "skipped mixed.jsonl:1" in capsys.readouterr().err
    assert log(tmp_path / "run")[-1]["skipped"] == 2


@pytest.mark.slow
def test_two_processes_skip_and_adapt_as_one_does(small, data, two_processes, tmp_path):
    adapters = recipe(
        small,
        bad(tmp_path, data, 2),
        tmp_path / "one",
        learning_rates=LearningRates(projector=1e-3, compressor=1e-3, decoder=1e-3),
        lora=LoraConfig(rank=4, alpha=8),
        schedule=ScheduleConfig(steps=3, warmup_steps=0),
        skip_limit=2,
    )
    train(adapters)
    write_recipe(replace(adapters, out=str(tmp_path / "two")), tmp_path / "recipe.yaml")
    done = two_processes("-m", "tempo", "train", tmp_path / "recipe.yaml")
    assert done.returncode == 0, done.stderr
    one, two = tmp_path / "one", tmp_path / "two"
    skipped = [
        {record["skipped_sample"] for record in log(run) if "skipped_sample" in record} for run in (one, two)
    ]
    assert skipped[0] == skipped[1] == {"mixed.jsonl:1", "mixed.jsonl:2"}
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    ours, theirs = (load_file(run / "adapter" / "adapter.safetensors") for run in (two, one))
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-2, atol=1e-4)


def test_too_many_unreadable_samples_stop_the_run(small, data, tmp_path):
    mixed = bad(tmp_path, data, 5)
    with pytest.raises(TempoError, match=r"2 samples could not be read and skip_limit is 1; the last: mixed"):
        train(replace(recipe(small, mixed, tmp_path / "run"), skip_limit=1))


def test_data_of_which_nothing_can_be_read(small, data, tmp_path):
    records = [conversation("What?", "this", video=f"missing-{n}.mp4") for n in range(3)]
    path = write_jsonl(tmp_path / "none.jsonl", records)
    with pytest.raises(TempoError, match="20 samples in a row could not be read"):
        train(recipe(small, path, tmp_path / "run"))


def test_runs_are_not_mixed_up(small, whole, data, tmp_path):
    with pytest.raises(UsageError, match="already holds a run; resume it with --resume"):
        train(recipe(small, data, whole[0]))
    with pytest.raises(UsageError, match="no run to resume"):
        resume(tmp_path)
    two = DistributedContext(0, 2, torch.device("cpu"))
    with pytest.raises(UsageError, match=r"batch\.global_batch_size=3 cannot be divided among 2"):
        Trainer(replace(recipe(small, data, tmp_path), batch=BatchConfig(global_batch_size=3)), tmp_path, two)


def test_a_finished_run_resumed_does_nothing_more(whole):
    out, result = whole
    again = resume(out)
    assert (again.first_loss, again.last_loss) == (result.first_loss, result.last_loss)
    assert len(losses(out)) == 4


def test_data_that_changed_is_not_resumed(small, data, tmp_path):
    mixed = bad(tmp_path, data, 0)
    train(replace(recipe(small, mixed, tmp_path / "run"), schedule=ScheduleConfig(steps=1)))
    bad(tmp_path, data, 1)
    with pytest.raises(TempoError, match="the data has changed since"):
        resume(tmp_path / "run")

"""The pipeline that makes the embedded model: every step, two optimizer steps each, as one chain."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nano_context import context, nano_prompts
from safetensors.torch import load_file

import tempo
from research.nano.datasets.segment_targets import SegmentTargetBatches
from research.nano.manifest import HERE, Manifest
from research.nano.objectives.compressor import CompressorObjective, write, written
from research.nano.pipeline import run_pipeline
from research.nano.weights import load_trained
from tempo.errors import TempoError
from tempo.inference.engine import EMBEDDED
from tempo.training.objective import group_of
from tempo.video.video import Video

QUICK = [
    *("schedule.steps=2", "schedule.warmup_steps=1", "precision=float32", "device=cpu", "num_workers=0"),
    *("tensorboard=false", "checkpoints.keep=1"),
]
FEW = {
    "vision": ["segments=2"],
    "language": ["batch=2"],
    "compressor": ["rows=2"],
    "decoder": ["tokens=400", "segments=[1, 2]"],
    "alignment": ["rows=8", "segments=[1, 2]"],
}
TRAINED = {
    "vision": {"vision"},
    "language": {"compressor"},
    "compressor": {"memory", "projector", "compressor"},
    "decoder": {"decoder"},
    "alignment": {"projector", "decoder"},
    "stage-0": {"memory", "projector"},
    "stage-1": {"memory", "projector", "compressor"},
    "stage-2": {"memory", "projector", "compressor", "decoder"},
    "stage-3": {"projector", "decoder"},
}


def quick(name: str) -> list[str]:
    if name in FEW:
        places = ("data.0", "validation.data.0")
        options = [f"{place}.options.{option}" for place in places for option in FEW[name]]
        return [*options, "validation.samples=1", "validation.every_steps=2"]
    sources = 2 if name in ("stage-2", "stage-3") else 1
    options = [f"data.{n}.options.segments=[1, 2]" for n in range(sources)]
    return [*options, "batch.global_batch_size=2", "batch.micro_batch_size=2", "batch.max_questions=2"]


def a_video() -> Video:
    return Video.from_frames(np.zeros((16, 48, 96, 3), np.uint8), fps=2.0)


@pytest.mark.slow
def test_from_nothing_to_a_model_folder(tmp_path: Path) -> None:
    whole = Manifest.read(HERE / "pipeline.yaml")
    first, *others = (replace(step, reach={}) for step in whole.steps)
    steps = (replace(first, options={"seed": 1, "samples": 60}), *others)
    manifest = replace(whole, steps=steps)
    by_step = {step.name: quick(step.name) for step in steps}
    run_pipeline(manifest, tmp_path, QUICK, by_step=by_step)

    for name, groups in TRAINED.items():
        log = [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        assert [one["step"] for one in log if "loss" in one] == [1, 2]
        measured = [one["step"] for one in log if "validation" in one]
        assert measured == ([0, 2] if name in FEW else [])
        assert f"| `{name}` |" in (tmp_path / "stages.md").read_text()
        for figure in next(step for step in whole.steps if step.name == name).reach:
            assert figure in next(one["validation"] for one in log if "validation" in one), name
        kept = torch.load(next((tmp_path / name / "checkpoints").glob("step-00000002.pt")), weights_only=True)
        inner = {key.removeprefix("model.") for key in kept["trained"] if key.startswith("model.")}
        assert {group_of(key) for key in inner} == groups, name

    # The base is what became the compressor, its words are the decoder's, and each went on alone.
    base = load_file(tmp_path / "base" / "base" / "model.safetensors")
    begun = load_file(tmp_path / "base" / "model" / "model.safetensors")
    for key, tensor in base.items():
        if key != "lm_head.weight":
            assert torch.equal(tensor, begun[f"compressor.vlm.{key.removeprefix('model.')}"])
        if key.startswith("model.language_model."):
            assert torch.equal(tensor, begun[f"model.{key.removeprefix('model.language_model.')}"])
    joined, one, other = (
        load_file(tmp_path / name / "model" / "model.safetensors")
        for name in ("joined", "compressor", "decoder")
    )
    for key, tensor in joined.items():
        assert torch.equal(tensor, (other if key.startswith("model.") else one)[key]), key

    shipped = tempo.load(tmp_path / "export" / "nano", device="cpu")
    configs = [
        json.loads((at / "config.json").read_text()) for at in (tmp_path / "export" / "nano", EMBEDDED)
    ]
    assert configs[0].keys() == configs[1].keys()
    assert shipped.config.trained_on == "synthetic"
    exported = (tmp_path / "export").rglob("*.json")
    assert not any(str(tmp_path) in file.read_text() for file in exported)
    answer = shipped.watch(a_video(), cache="none").ask("Is there a red star?", max_new_tokens=4)
    assert answer.usage.visual_tokens >= len(answer.segments)
    ours, theirs = (
        {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
        for folder in (tmp_path / "export", EMBEDDED.parent)
    )
    assert ours <= theirs

    # What is done stays as it is; what was stopped is resumed, and nothing else runs again.
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "decoder" / "model").rename(tmp_path / "aside")
    run_pipeline(manifest, tmp_path, QUICK, by_step=by_step)
    for name in ("decoder", "aside"):
        again = tmp_path / "decoder" / "model" / "model.safetensors"
        assert torch.equal(
            *(load_file(path)["model.norm.weight"] for path in (again, tmp_path / "aside" / again.name))
        ), name
    changed = {path.relative_to(tmp_path).parts[0] for path, at in times.items() if _changed(path, at)}
    assert changed == {"decoder", "stages.md"}

    # Of another recipe it is not what is wanted, and what is not reached is not built upon.
    with pytest.raises(TempoError, match=r"decoder: was made of something else"):
        run_pipeline(manifest, tmp_path, QUICK, by_step=by_step | {"decoder": quick("decoder")[1:]})
    hopeful = replace(manifest, steps=(*steps[:1], replace(steps[1], reach={"shape": 1.1}), *steps[2:]))
    with pytest.raises(TempoError, match=r"vision: shape on held-out data is 0\.\d+, and the next"):
        run_pipeline(hopeful, tmp_path, QUICK, by_step=by_step)
    changed_input = replace(manifest, inputs={str(tmp_path / "base"): "0"})
    with pytest.raises(TempoError, match=r"its hash is .*begins from 0"):
        run_pipeline(changed_input, tmp_path, QUICK, by_step=by_step)


def _changed(path: Path, at: int) -> bool:
    return not path.exists() or path.stat().st_mtime_ns != at


def test_a_router_that_learns_alone_holds_what_is_written() -> None:
    """The decoder of an aligned model reads what its compressor writes: that may not move."""
    model = load_trained(EMBEDDED)
    segments = SegmentTargetBatches(context(seed=2), rows=2, questions=2)[0]
    alone = CompressorObjective(model, nano_prompts(), relevance_only=True)
    with torch.no_grad():
        before = written(model, segments)[1]
        # Held to the facts, of which some are never certain, it would be hundreds of times as far off.
        output = alone([segments])
        _, moved = write(
            model, segments, alone.codebook, alone.prompts, like=before + 0.1 * alone.codebook.norm
        )
        model.projector[0].weight.mul_(1.5)
        _, after = alone.loss_of(segments)
    assert output.metrics["told"] == (pytest.approx(0, abs=1e-3), 1)
    assert moved["told"] == pytest.approx(0.01 * before.shape[1], rel=0.05)
    assert after["told"] > 0.1
    assert not any("_before" in name for name in alone.state_dict())

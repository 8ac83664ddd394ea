"""The chain that makes the embedded model, one step a link: who learns, and what comes out."""

from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

import tempo
from research.nano import export
from research.nano.checkpoints import load_trained
from research.nano.config import SYSTEM_PROMPT
from research.nano.packing import Wording
from research.nano.stages import alignment, compressor, decoder
from research.nano.stages import base as base_training
from research.nano.stages import tempo as tempo_training
from research.nano.targets import Code
from tempo.inference.engine import EMBEDDED
from tempo.video.video import Video

TOWER = "compressor.vlm.visual."


@pytest.mark.slow
def test_every_link_teaches_its_own_part(tmp_path: Path) -> None:
    wording = Wording(AutoTokenizer.from_pretrained(EMBEDDED), SYSTEM_PROMPT)
    model = load_trained(EMBEDDED)
    code = Code(model.model.embed_tokens.weight.detach().clone(), wording.plain)
    links = {
        "seeing": (lambda out: compressor.see(model, wording, out, steps=1, seed=1), {"tower"}),
        "writing": (
            lambda out: compressor.learn(model, code, wording, out, steps=1, seed=1),
            {"words", "projector"},
        ),
        "reading": (lambda out: decoder.learn(model, code, wording, out, steps=1, seed=1), {"decoder"}),
        "joining": (
            lambda out: alignment.learn(model, wording, out, steps=1, rows=8, seed=1),
            {"projector", "decoder"},
        ),
    }
    for name, (learn, expected) in links.items():
        before = {key: value.clone() for key, value in model.state_dict().items()}
        learn(tmp_path / name)
        moved = {
            _part(key) for key, value in model.state_dict().items() if not torch.equal(value, before[key])
        }
        assert moved == expected, name
        assert (tmp_path / name / "checkpoint.pt").is_file()

    alignment.save(model, tmp_path / "weights", EMBEDDED)
    engine = tempo.load(tmp_path / "weights", device="cpu")
    assert engine.watch(a_film(), cache="none").ask("Is there a red star?", max_new_tokens=4).text


@pytest.mark.slow
def test_from_nothing_to_what_the_package_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make train` runs and then `ship`, a step a leg."""
    small = [
        replace(leg, steps=1, batch=min(leg.batch, 2), extra=min(leg.extra, 2)) for leg in base_training.LEGS
    ]
    monkeypatch.setattr(base_training, "LEGS", small)
    links = ((compressor, "see"), (compressor, "learn"), (decoder, "learn"), (alignment, "learn"))
    for module, name in links:
        options = {"steps": 1} | ({} if module is decoder else {"rows": 4})
        monkeypatch.setattr(module, name, partial(getattr(module, name), **options))
    base_training.train(Namespace(out=tmp_path / "base", seed=1, device="cpu"))
    tempo_training.train(
        Namespace(base=tmp_path / "base" / "final", out=tmp_path / "tempo", seed=1, device="cpu")
    )
    monkeypatch.setattr(export, "EMBEDDED", tmp_path / "package" / "nano")
    (tmp_path / "package").mkdir()
    export.ship(tmp_path / "base" / "final", tmp_path / "tempo" / "weights")

    shipped = tempo.load(tmp_path / "package" / "nano", device="cpu")
    assert shipped.config.to_dict().keys() == tempo.load(EMBEDDED, device="cpu").config.to_dict().keys()
    assert not any(str(tmp_path) in file.read_text() for file in (tmp_path / "package").rglob("*.json"))
    answer = shipped.watch(a_film(), cache="none").ask("Is there a red star?", max_new_tokens=4)
    assert answer.usage.visual_tokens >= len(answer.segments)
    ours, theirs = (
        {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
        for folder in (tmp_path / "package", EMBEDDED.parent)
    )
    assert ours <= theirs


def a_film() -> Video:
    return Video.from_frames(np.zeros((16, 48, 96, 3), np.uint8), fps=2.0)


def test_a_router_that_learns_alone_holds_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder of a model that was joined reads what its compressor writes: that may not move."""
    wording = Wording(AutoTokenizer.from_pretrained(EMBEDDED), SYSTEM_PROMPT)
    model = load_trained(EMBEDDED)
    code = Code(model.model.embed_tokens.weight.detach().clone(), wording.plain)
    segments = compressor.SegmentFactsBatches(wording, steps=1, seed=2, rows=2, questions=2)[0]
    with torch.no_grad():
        before = compressor.written(model, segments)[1]
        _, figures = compressor.write(model, segments, code, wording, like=before)
        _, moved = compressor.write(model, segments, code, wording, like=before + 0.1 * code.norm)
    assert figures["told"] == pytest.approx(0, abs=1e-4)
    assert moved["told"] == pytest.approx(0.01 * before.shape[1], rel=0.05)

    # The leg itself, before its first step: held to the facts, of which some are never certain, it would be
    # hundreds of times as far off.
    seen = []
    write = compressor.write
    monkeypatch.setattr(compressor, "write", lambda *args: seen.append(write(*args)) or seen[-1])
    compressor.learn(model, code, wording, tmp_path, steps=1, seed=1, routing=True)
    assert seen[0][1]["told"] == pytest.approx(0, abs=1e-3)


def test_joining_goes_on_from_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wording = Wording(AutoTokenizer.from_pretrained(EMBEDDED), SYSTEM_PROMPT)
    first, second = tmp_path / "first", tmp_path / "second"
    model = load_trained(EMBEDDED)
    with torch.no_grad():
        model.model.norm.weight.add_(1)  # so that it is not the package's own
    alignment.learn(model, wording, first, steps=0, seed=1)
    command = f"joining --model {EMBEDDED} --start {first} --out {second} --steps 0 --device cpu"
    monkeypatch.setattr("sys.argv", command.split())
    alignment.main()
    after = load_trained(second / "weights")
    assert torch.equal(after.model.norm.weight, model.model.norm.weight.bfloat16().float())


def test_a_tower_goes_on_seeing_with_its_heads(tmp_path: Path) -> None:
    """New heads would first send what they do not know yet through a tower that does."""
    wording = Wording(AutoTokenizer.from_pretrained(EMBEDDED), SYSTEM_PROMPT)
    first, second = tmp_path / "first", tmp_path / "second"
    compressor.see(load_trained(EMBEDDED), wording, first, steps=1, seed=1)
    model = load_trained(EMBEDDED)
    compressor.see(model, wording, second, steps=0, seed=1, sight=first)
    before, after = (
        torch.load(run / "checkpoint.pt", weights_only=True)["module"] for run in (first, second)
    )
    assert all(torch.equal(after[key], value) for key, value in before.items())
    tower = model.compressor.vlm.visual.state_dict()
    assert all(torch.equal(value, before[f"0.{key}"]) for key, value in tower.items())


def _part(key: str) -> str:
    if key.startswith(TOWER):
        return "tower"
    if key.startswith("compressor."):
        return "words"
    return "projector" if key.startswith("projector.") else "decoder"

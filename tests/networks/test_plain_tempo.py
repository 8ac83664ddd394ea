"""The networks in plain torch against transformers' classes, and when those are used instead."""

import json
import shutil
import subprocess
import sys

import pytest
import torch

import tempo
from tempo.checkpoints.checkpoint import find_files
from tempo.checkpoints.plain_loading import load_plain
from tempo.inference.engine import EMBEDDED
from tempo.inference.generation import DecodeOptions, generate
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.loading import read_config_of
from tempo.networks.kv_cache import KVCache
from tempo.networks.qwen3_vl import run_language
from tempo.networks.tempo_network import PlainTempo

CPU = torch.device("cpu")


def edited(reference, tmp_path, part, **values):
    """A copy of the tiny checkpoint with other values in a part of its or of its base's configuration."""
    for name in ("tempo-tiny", "qwen3-vl-tiny"):
        shutil.copytree(reference / name, tmp_path / name)
    file = tmp_path / ("tempo-tiny" if part is None else "qwen3-vl-tiny") / "config.json"
    config = json.loads(file.read_text())
    (config if part in (None, "base") else config[part]).update(values)
    file.write_text(json.dumps(config))
    return tmp_path / "tempo-tiny"


def test_both_have_the_same_tensors(tiny, tiny_of_transformers):
    ours, theirs = tiny.model.state_dict(), tiny_of_transformers.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not tiny.model.training
    assert not any(p.requires_grad for p in tiny.model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_decoders_read_the_same(reference, dtype):
    """At once to the last bit, of a tied and an untied head; behind a cache up to rounding."""
    for path in (reference / "tempo-tiny", EMBEDDED):
        files = find_files(path)
        ours, _ = load_plain(files, device=CPU, dtype=dtype)
        theirs = TempoQwenForCausalLM.load(read_config_of(files), dtype=dtype)
        x = torch.randn(1, 60, ours.config.hidden_size, generator=torch.Generator().manual_seed(2)).to(dtype)
        positions = torch.arange(60)[None]
        whole = [run_language(model.model, x, positions) for model in (ours, theirs)]
        assert torch.equal(*whole)
        assert torch.equal(ours.lm_head(whole[0]), theirs.lm_head(whole[1]))
        found = []
        for model in (ours, theirs):
            cache = KVCache.allocate(model.model, 1, 60, like=x)
            run_language(model.model, x[:, :50], positions[:, :50], cache=cache)
            found.append(run_language(model.model, x[:, 50:], positions[:, 50:], cache=cache))
        largest = whole[0].abs().max().item()
        assert (found[0] - found[1]).abs().max().item() <= largest * (
            1e-5 if dtype == torch.float32 else 0.02
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_both_compute_the_same(reference, tiny, dtype):
    files = find_files(reference / "tempo-tiny")
    ours, _ = load_plain(files, device=CPU, dtype=dtype)
    theirs = TempoQwenForCausalLM.load(read_config_of(files), dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    grid = (2, 4, 6)
    tokens = grid[1] * grid[2] // 4
    prompt = tiny.prompts.segment([0.25, 1.25], tokens=tokens)
    pixels = torch.randn(2, 2 * 24, 1536, generator=generator)
    question = torch.tensor([[tiny.prompts.question("What colour is it?")]] * 2)
    ids = torch.tensor([prompt.ids] * 2)
    for mine, other in zip(
        ours.compressor(pixels, grid, ids, prompt.spans, question),
        theirs.compressor(pixels, grid, ids, prompt.spans, question),
        strict=True,
    ):
        assert torch.equal(mine, other)
    embeds = torch.randn(40, 128, generator=generator).to(dtype)
    answers = [
        list(generate(model, embeds, DecodeOptions(max_new_tokens=12, stop_ids=tiny.stop_ids)))
        for model in (ours, theirs)
    ]
    assert answers[0] == answers[1]


@torch.inference_mode()
def test_reading_on_equals_reading_at_once(tiny):
    """With a cache and a mask, several tokens behind others."""
    language = tiny.model.compressor.vlm.language_model
    x = torch.randn(2, 9, 96, generator=torch.Generator().manual_seed(1))
    positions = torch.arange(9).expand(3, -1)
    whole = run_language(language, x, positions)
    cache = KVCache.allocate(language, 2, 9, like=x)
    parts = [
        run_language(language, x[:, a:b], positions[:, a:b], cache=cache) for a, b in ((0, 4), (4, 8), (8, 9))
    ]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)


def test_an_ordinary_checkpoint_needs_no_transformers(reference):
    script = (
        "import sys, tempo\n"
        "for path in (None, sys.argv[1]): print(type(tempo.load(path).model).__name__)\n"
        "print([name for name in ('transformers', 'torch._dynamo', 'sympy') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(reference / "tempo-tiny")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.stdout.split("\n")[:3] == ["PlainTempo", "PlainTempo", "[]"], run.stderr


@pytest.mark.parametrize(
    ("part", "values"),
    [
        (None, {"hidden_act": "gelu"}),
        (None, {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
        (None, {"unheard_of": 1}),
        ("text_config", {"attention_dropout": 0.1}),
        ("vision_config", {"hidden_act": "gelu"}),
        ("base", {"unheard_of": 1}),
        ("text_config", {"use_sliding_window": True}),
    ],
)
def test_whatever_is_unusual_is_left_to_transformers(reference, tmp_path, part, values):
    path = edited(reference, tmp_path, part, **values)
    assert load_plain(find_files(path), device=CPU, dtype=torch.float32) is None
    loaded = tempo.load(path, device="cpu", dtype="float32")
    assert isinstance(loaded.model, TempoQwenForCausalLM)


def test_biases_are_left_to_transformers(reference, tmp_path):
    path = edited(reference, tmp_path, None, attention_bias=True)  # which finds that there are none
    assert load_plain(find_files(path), device=CPU, dtype=torch.float32) is None


def test_generation_that_is_unusual_is_left_to_transformers(reference, tmp_path):
    path = edited(reference, tmp_path, None)
    settings = {"eos_token_id": 1200, "repetition_penalty": 1.05}
    (path / "generation_config.json").write_text(json.dumps(settings))
    assert load_plain(find_files(path), device=CPU, dtype=torch.float32) is None


def test_other_attention_is_left_to_transformers(reference, tiny):
    eager = tempo.load(reference / "tempo-tiny", device="cpu", dtype="float32", attention="eager")
    assert isinstance(eager.model, TempoQwenForCausalLM)
    assert isinstance(tiny.model, PlainTempo)

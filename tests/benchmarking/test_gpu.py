"""The script for GPUs runs without one, and what may be faster there computes what the plain way does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reference_cases import REFERENCE
from tempo.benchmarking import gpu
from tempo.benchmarking.gpu_measures import StaticDecoder, captured, follow_up_in_place, overlapped
from tempo.benchmarking.published_size import TINY, blank_segments, build, build_decoder
from tempo.benchmarking.reference_check import check_references
from tempo.networks.kv_cache import KVCache
from tempo.networks.packed_rows import read_rows
from tempo.networks.qwen3_vl import run_language

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def decoder():
    torch.manual_seed(3)
    return build_decoder(torch.float32, size=TINY)


@torch.inference_mode()
def written(decoder, *, steps, replayed=None):
    """The same answer twice: step by step as in the engine, and over the static cache."""
    model, head = decoder
    story_1LU = torch.randn(1, 9, 64, generator=torch.Generator().manual_seed(1)).to(head.weight.device)
    caches = []
    for _ in range(2):
        cache = KVCache.allocate(model, 1, 9 + steps, like=story_1LU)
        hidden_11U = run_language(model, story_1LU, torch.arange(9)[None], cache=cache, last_only=True)
        cache.data[..., 9:, :] = float("nan")  # as memory that was something else may be
        caches.append(cache)
    first = token = int(head(hidden_11U).argmax())
    plain, static = [], []
    decode = StaticDecoder(model, head, caches[1], first)
    step = replayed(decode) if replayed else decode.step
    for _ in range(steps):
        x_11U = model.embed_tokens(torch.tensor([[token]], device=story_1LU.device))
        token = int(head(read_rows(model, x_11U, [1], [caches[0]])).argmax())
        plain.append(token)
        step()
        static.append(int(decode.token_11))
    return plain, static


def test_steps_over_a_static_cache_write_the_same_answer(decoder):
    plain, static = written(decoder, steps=20)
    assert static == plain
    assert len(set(plain)) > 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_replayed_graph_writes_the_same_answer():
    torch.manual_seed(3)
    on_gpu = build_decoder(torch.float32, torch.device("cuda"), TINY)

    def replayed(decode):
        position, token = decode.position_1.clone(), decode.token_11.clone()
        replay = captured(decode.step)
        decode.position_1.copy_(position)
        decode.token_11.copy_(token)
        return replay

    plain, static = written(on_gpu, steps=20, replayed=replayed)
    assert static == plain


def test_overlapped_copies_bring_every_batch_in_order():
    batches = [torch.full((2, 3), float(number)) for number in range(5)]
    assert [float(batch.mean()) for batch in overlapped(batches, CPU)] == [0, 1, 2, 3, 4]


@torch.inference_mode()
def test_a_follow_up_in_place_is_the_one_on_a_copy():
    """And a second one finds the segments as they were."""
    torch.manual_seed(5)
    compressor, one = build(torch.float32, size=TINY), blank_segments()
    arguments = (one.pixels_SPC, (4, 18, 32), one.ids_SL, one.spans)
    state = compressor.prefill(*arguments, reserve=60)
    for question in ([1, 2, 3], [4, 5, 6, 7], [1, 2, 3]):
        anew = compressor.prefill(*arguments, reserve=60)
        compressor.score(anew, question)
        expected = compressor.compress(anew, 9)
        torch.testing.assert_close(follow_up_in_place(compressor, state, question, 9), expected)


def test_tiny_weights_meet_the_reference_vectors():
    checks = list(check_references(REFERENCE, CPU, torch.float32))
    assert len(checks) > 4
    assert all(check.holds(torch.float32) for check in checks), checks


@pytest.mark.slow
def test_every_phase_is_measured_in_each_way(capsys):
    status = gpu.main(["--device", "cpu", "--tiny", "--only", "phases", "follow-ups", "--segments", "1"])
    printed = capsys.readouterr().out
    assert status == 0
    for phase in ("pixels", "vision", "prefill", "score", "follow-up", "compress", "storyline", "decoding"):
        assert re.search(rf"^{phase} +.* \d", printed, re.MULTILINE), phase
    assert "needs CUDA" in printed
    assert "follow-up that keeps 22" in printed


def test_it_runs_where_there_is_neither_pyav_nor_rich(tmp_path: Path):
    """On a bare machine with PyTorch and transformers."""
    for name in ("av", "rich"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not installed')\n")
    code = (
        "import sys, importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'av' else find(name, *rest)\n"
        "from tempo.benchmarking.gpu import main\n"
        "sys.exit(main(['--device', 'cpu', '--only', 'decoding', 'check', '--reference', 'none']))\n"
    )
    source = Path(gpu.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{tmp_path}:{source}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "video decoding: skipped, PyAV is not installed" in done.stdout
    assert "reference vectors: skipped" in done.stdout


def test_a_gpu_that_is_not_there_is_one_line(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert gpu.main([]) == 1
    assert "torch finds no GPU here" in capsys.readouterr().out

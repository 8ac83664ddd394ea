"""A model that computes NaN or infinity: one line in place of an answer, for that case alone."""

import dataclasses
import json
import os

import pytest
from safetensors.torch import load_file, save_file

import clips
import tempo
from reference_cases import REFERENCE
from tempo.errors import NonFiniteError
from tempo.evaluation.runner import Answerer, Item
from tempo.evaluation.settings import Settings
from tempo.modeling.saving import convert
from tempo.ui.server import Server, ServerConfig
from ui_client import Client

GOOD, BAD = "What is it?", "What is it, Zzyzx?"
OPTIONS = {"device": "cpu", "dtype": "float32"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clips.write(tmp_path_factory.mktemp("clip") / "clip.mp4", count=60, rate=10, size=(128, 96))


def spoilt(folder, names, change):
    """The tiny checkpoint with some tensors changed."""
    convert(REFERENCE / "tempo-tiny", folder)
    tensors = load_file(folder / "model.safetensors")
    for name in names:
        tensors[name] = change(tensors[name])
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def partly(tmp_path_factory):
    """A model that computes NaN for the one question whose words it has no rows for."""
    prompts = tempo.load(REFERENCE / "tempo-tiny", **OPTIONS).prompts
    others = prompts.segment([1.5, 2.5], tokens=1).ids + prompts.question(GOOD) + prompts.question("And now?")
    only = set(prompts.question(BAD)) - set(others)
    assert only

    def change(rows):
        rows[sorted(only)] = float("nan")
        return rows

    name = "compressor.vlm.language_model.embed_tokens.weight"
    return spoilt(tmp_path_factory.mktemp("partly") / "model", [name], change)


@pytest.fixture(scope="module")
def model(partly):
    return tempo.load(partly, **OPTIONS)


@pytest.mark.parametrize("cache", ["device", "none"])
def test_scores_that_are_no_numbers(model, clip, cache):
    session = model.watch(clip, cache=cache)
    assert session.ask(GOOD, max_new_tokens=2).segments
    for ask in (session.ask, session.route):
        with pytest.raises(NonFiniteError, match=r"NaN or infinity in float32; .*download them again$"):
            ask(BAD)
    assert session.ask(GOOD, max_new_tokens=2).segments


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_an_answer_of_no_numbers(tmp_path, clip, value, temperature):
    """Relevance is whole here: the decoder alone is damaged."""

    def change(tensor):
        tensor[7] = value
        return tensor

    damaged = tempo.load(spoilt(tmp_path / "model", ["lm_head.weight"], change), **OPTIONS)
    session = damaged.watch(clip, cache="none")
    assert session.route(GOOD)
    with pytest.raises(NonFiniteError):
        session.ask(GOOD, temperature=temperature)


def test_float16_that_overflows_says_what_to_use(tmp_path, clip):
    """Weights of 10⁵, with which the same model answers in float32 and bfloat16."""
    folder = spoilt(
        tmp_path / "model",
        [f"compressor.vlm.language_model.layers.{i}.mlp.down_proj.weight" for i in range(4)],
        lambda tensor: tensor / tensor.abs().max() * 1e5,
    )
    for dtype in ("float32", "bfloat16"):
        session = tempo.load(folder, device="cpu", dtype=dtype).watch(clip, cache="none")
        assert session.ask(GOOD, max_new_tokens=1).segments
    session = tempo.load(folder, device="cpu", dtype="float16").watch(clip, cache="none")
    with pytest.raises(NonFiniteError, match=r"in float16; use --dtype bfloat16 or float32$"):
        session.ask(GOOD, max_new_tokens=1)


@pytest.fixture
def run(warm, tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPO_", "HF_"))}
    own = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "TEMPO_CACHE": str(tmp_path / "cache")}
    return lambda *arguments: warm.run("-m", "tempo", *arguments, env=kept | own)


@pytest.mark.parametrize("verb", [["ask", "--json"], ["moments"], ["moments", "--json"]])
def test_commands_end_with_one_line(partly, clip, run, verb):
    name, *options = verb
    done = run(name, clip, BAD, "--model", partly, "--dtype", "float32", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tempo: the model computed NaN or infinity")
    assert done.stderr.count("\n") == 1


def test_a_batch_goes_on_and_writes_all_others(partly, clip, run, tmp_path):
    cases, output = tmp_path / "cases.jsonl", tmp_path / "results.jsonl"
    asked = [GOOD, BAD, "And now?"]
    cases.write_text("".join(json.dumps({"video_path": str(clip), "query": query}) + "\n" for query in asked))
    options = ("--model", partly, "--dtype", "float32", "--max-new-tokens", "2", "--output", output)
    done = run("batch", cases, *options)
    assert done.returncode == 1, done.stderr
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [record["query"] for record in records] == asked
    assert ["error" in record for record in records] == [False, True, False]
    assert records[1]["error"].startswith("the model computed NaN or infinity")


def test_an_evaluation_goes_on(model, clip):
    items = [
        Item(task="t", number=number, question=question, video=str(clip))
        for number, question in enumerate((GOOD, BAD, "And now?"))
    ]
    settings = dataclasses.replace(Settings(), fps=2.0, min_frames=8, max_frames=24, budget=64)
    records = Answerer(settings, lambda: model).answer(items, known={})
    assert [records["t", number].error is None for number in range(3)] == [True, False, True]
    assert records["t", 1].error.startswith("the model computed NaN or infinity")


def test_the_page_says_it_and_the_session_goes_on(model, clip):
    server = Server(model, ServerConfig(library=(clip,)))
    try:
        with Client(server.url) as client:
            video = client.open(library=clip.name)["video"]
            turns = f"videos/{video['id']}/turns"
            said = client.error(turns, {"question": BAD, "budget": 60, "max_new_tokens": 2})
            assert said.startswith("the model computed NaN or infinity")
            assert client.ask(video, GOOD, budget=60, max_new_tokens=2)["number"] == 0
    finally:
        server.close()

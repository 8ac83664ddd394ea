"""The recipes for the published size, without its weights.

The whole model of tensors that have no values, and one step of it with a single layer in each tower.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from making import conversation, processor, write_jsonl

import clips
from tempo.cli.main import main
from tempo.errors import TempoError
from tempo.training import dry_run, model_init
from tempo.training.config_parsing import read_recipe
from tempo.training.data.llava import ConversationFile

ROOT = Path(__file__).parents[2]
REFERENCE = Path(__file__).parents[1] / "reference"
WORDS = 1280  # of the reference tokenizer: tables of 151,936 rows would be most of a model with one layer

QWEN3_VL_2B = {
    "model_type": "qwen3_vl",
    "tie_word_embeddings": True,
    "text_config": {
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 262144,
        "rope_theta": 5000000,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
    },
    "vision_config": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "out_hidden_size": 2048,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
}
QWEN3_4B = {
    "model_type": "qwen3",
    "tie_word_embeddings": True,
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "rope_theta": 1000000,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders that hold what is read before any weight: the two bases, and a model made of them."""
    root = tmp_path_factory.mktemp("models")
    for name, config in (("compressor", QWEN3_VL_2B), ("decoder", QWEN3_4B)):
        (root / name).mkdir()
        (root / name / "config.json").write_text(json.dumps(config))
        shutil.copy(REFERENCE / "qwen3-vl-tiny" / "tokenizer.json", root / name)
    spec = model_init.read_spec(at("stage-0", root).model)
    (root / "start").mkdir()
    (root / "start" / "config.json").write_text(spec.config.to_json_string(use_diff=False))
    shutil.copy(REFERENCE / "qwen3-vl-tiny" / "tokenizer.json", root / "start")
    return root


def at(name, root):
    """A shipped recipe that takes its models from `root`."""
    path = ROOT / "recipes" / "tempo-6b" / f"{name}.yaml"
    if name == "stage-0":
        return read_recipe(path, [f"model.compressor={root}/compressor", f"model.decoder={root}/decoder"])
    return read_recipe(path, [f"model.start={root}/start"])


STAGES = ["stage-0", "stage-1", "stage-2", "stage-3", "finetune"]


@pytest.mark.parametrize("name", STAGES)
def test_the_model_of_a_recipe_has_the_published_dimensions(folders, name):
    config = model_init.read_spec(at(name, folders).model).config
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (2560, 36, 151936)
    assert config.compressor().text_config.num_hidden_layers == 28
    assert (config.num_compression_tokens, config.min_tokens, config.visual_token_budget) == (128, 4, 8192)
    assert config.rope_parameters["rope_theta"] == 1000000
    assert config.mm_projector_type == "mlp2x_gelu"


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_parameters_and_memory_at_the_published_size(folders, name):
    recipe = at(name, folders)
    spec = model_init.read_spec(recipe.model)
    memory, figures = dry_run.estimate_memory(recipe, spec.config, spec.prompts)
    adapters = 0.02 if recipe.lora else 0.0
    assert sum(every for _, every in figures.values()) == pytest.approx(6.16e9, rel=0.001 + adapters)
    rates = {part: getattr(recipe.learning_rates, part) for part in figures}
    assert {part for part, (some, _) in figures.items() if some} == {p for p, rate in rates.items() if rate}
    if name == "stage-2":
        assert figures["decoder"][0] == figures["decoder"][1] == pytest.approx(4.02e9, rel=0.01)
    learning = sum(some for some, _ in figures.values())
    frozen = sum(every for _, every in figures.values()) - learning
    assert memory.weights == 4 * learning + 2 * frozen
    assert (memory.gradients, memory.optimizer_state) == (4 * learning, 8 * learning)
    assert 0 < memory.chunk < 40e9


@pytest.mark.slow
def test_128_segments_fit_a_gpu_of_80_gb_with_adapters(folders):
    recipe = at("finetune", folders)
    recipe = replace(recipe, video=replace(recipe.video, max_frames=1024))
    spec = model_init.read_spec(recipe.model)
    memory, _ = dry_run.estimate_memory(recipe, spec.config, spec.prompts)
    assert memory.peak < 80e9
    one = replace(recipe, batch=replace(recipe.batch, max_questions=1))
    alone, _ = dry_run.estimate_memory(one, spec.config, spec.prompts)
    # Each question of a sample is a storyline of its own, and has memory tokens of its own.
    assert memory.memory_tokens == recipe.batch.max_questions * alone.memory_tokens
    assert memory.decoder == pytest.approx(recipe.batch.max_questions * alone.decoder, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_one_step_with_a_single_layer_in_each_tower(folders, name):
    recipe = at(name, folders)
    spec = model_init.read_spec(recipe.model)
    config = spec.config
    config.vocab_size = WORDS
    config.compressor_config["text_config"]["vocab_size"] = WORDS
    assert dry_run.one_step(recipe, config, spec.prompts) > 0


# --- without the model --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STAGES)
def test_a_check_needs_no_model_folder_and_no_network(folders, name, tmp_path, monkeypatch, capsys):
    """The model is the one that the folders make, by its configuration."""
    monkeypatch.setattr("tempo.cli.train.print_memory", lambda recipe, spec: specs.append(spec))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    specs = []
    clips.write(tmp_path / "clip.mp4", count=60, rate=10, size=(64, 64))
    data = write_jsonl(tmp_path / "data.jsonl", [film()])
    sources = len(at(name, folders).data)
    overrides = [f"data.{number}.path={data}" for number in range(sources)]
    assert main(["train", "--check", f"tempo-6b/{name}", *overrides]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "checked as the architecture tempo-6b, with tempo-nano's tokenizer" in said.out
    assert said.out.count("1 records") == sources
    expected = model_init.read_spec(at(name, folders).model).config.to_dict()
    found = specs[0].config.to_dict()
    apart = {"compressor_config", "eos_token_id", "mm_vision_tower_aux_list", "dtype", "layer_types"}
    assert {k: v for k, v in found.items() if k not in apart} == {
        k: v for k, v in expected.items() if k not in apart
    }
    assert (
        specs[0].config.compressor().to_dict()
        == model_init.read_spec(at(name, folders).model).config.compressor().to_dict()
    )


@pytest.mark.slow
def test_memory_is_the_same_without_the_model(folders):
    recipe = at("stage-3", folders)
    (own, _), (alone, _) = (
        dry_run.estimate_memory(recipe, spec.config, spec.prompts)
        for spec in (model_init.read_spec(recipe.model), model_init.spec_of_architecture(recipe.model))
    )
    assert alone.peak == pytest.approx(own.peak, rel=0.01)


def test_a_model_that_is_there_and_wrong_is_an_error(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    data = write_jsonl(tmp_path / "data.jsonl", [film()])
    arguments = ["train", "--check", "tempo-6b/finetune", f"model.start={tmp_path}", f"data.0.path={data}"]
    assert main(arguments) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_an_unknown_architecture_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["train", "--check", "tempo-6b/finetune", "model.architecture=tempo-7b"]) == 2
    assert (
        "model.architecture=tempo-7b: unknown architecture; choose from tempo-6b" in capsys.readouterr().err
    )


# --- the data -----------------------------------------------------------------------------------------------

TINY = REFERENCE / "tempo-tiny"


@pytest.fixture
def checked(tmp_path, capsys):
    """`tempo train --check` of some conversations with the tiny model → its status, and what it said."""
    clips.write(tmp_path / "clip.mp4", count=60, rate=10, size=(64, 64))
    (tmp_path / "text.mp4").write_text("This is no video.")
    (tmp_path / "recipe.yaml").write_text(
        f"model: {{start: {TINY}}}\nlearning_rates: {{projector: 0.001}}\nschedule: {{steps: 1}}\n"
        "data: [{path: data.jsonl}]\nskip_limit: 3\nprecision: float32\n"
    )

    def check(*records):
        write_jsonl(tmp_path / "data.jsonl", records)
        recipe, data = tmp_path / "recipe.yaml", tmp_path / "data.jsonl"
        status = main(["train", "--check", str(recipe), f"data.0.path={data}"])
        said = capsys.readouterr()
        assert "bug in tempo" not in said.err
        return status, said.out, said.err

    return check


def film(*turns, **more):
    return conversation(*(turns or ("What is it?", "Stripes.")), **{"video": "clip.mp4"} | more)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (film(video="missing.mp4"), "missing.mp4: no such file"),
        (film(video="text.mp4"), "not a video"),
        (film("What?" * 60_000, "Stripes."), "too long"),
        (film("What?", "Stripes. " * 60_000), "too long"),
        (film("What?", "Stripes.", "And then? " * 60_000, "Dots."), "too long"),
        (film(evidence=[[7, 9]]), "evidence: nothing is watched from 7 to 9 s; the video ends at 6.0 s"),
        (film(evidence=[[1, 2], [60, 60]]), "evidence: nothing is watched from 60 to 60 s"),
        (film(video_start=2), "video_start: parts of videos are not supported"),
    ],
)
def test_what_cannot_be_used_is_counted_and_named(checked, bad, reason):
    status, out, err = checked(film(), bad, film(evidence=[[0, 0], [5.5, 6]]))
    assert (status, err) == (0, ""), "as many as skip_limit says are left out"
    assert "data: 3 records, of which 1 cannot be used" in out
    assert "data.jsonl:2 cannot be used: " in out
    assert reason in out


@pytest.mark.parametrize(
    "bad", [film(video="missing.mp4"), film(evidence=[[7, 9]]), film("What?" * 60_000, "A.")]
)
def test_data_of_which_nothing_can_be_used_is_an_error(checked, bad):
    status, out, err = checked(bad, bad)
    assert status == 1
    assert "data.jsonl:1 cannot be used" in out
    assert err == "tempo: data: none of its 2 records can be used; see above\n"


def test_more_than_may_be_left_out_is_an_error(checked):
    status, out, err = checked(film(), *[film(evidence=[[7, 9]])] * 4)
    assert status == 1
    assert "data: 5 records, of which 4 cannot be used" in out
    assert err == "tempo: 4 records cannot be used and skip_limit is 3\n"


def test_what_is_refused_in_a_look_before_is_refused_in_training(engine, tmp_path):
    clips.write(tmp_path / "clip.mp4", count=60, rate=10, size=(64, 64))
    data = write_jsonl(tmp_path / "data.jsonl", [film(evidence=[[7, 9]]), film(evidence=[[0, 0], [5.5, 6]])])
    beyond, inside = (ConversationFile(data).read(index) for index in range(2))
    reads = processor(engine)
    with pytest.raises(TempoError, match=r"the video ends at 6\.0 s"):
        reads.process(beyond, name="a", seed="0")
    example = reads.process(inside, name="b", seed="0")
    assert example.questions[0].relevant == (True, True)

import json
import shutil
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from tempo.checkpoints.key_mapping import from_published, to_published
from tempo.errors import TempoError
from tempo.modeling import TempoQwenConfig, TempoQwenForCausalLM
from tempo.modeling.loading import empty_model, find_checkpoint

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
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 262144,
    "rope_theta": 5000000,
}


@pytest.fixture
def checkpoint(tmp_path, reference):
    """A copy of the tiny checkpoint that a test may spoil, with its base beside it."""
    shutil.copytree(reference / "qwen3-vl-tiny", tmp_path / "qwen3-vl-tiny")
    shutil.copytree(reference / "tempo-tiny", tmp_path / "tempo-tiny")
    return tmp_path / "tempo-tiny"


def edit_weights(folder, change):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    file.unlink()
    save_file(tensors, file)


def edit_config(folder, **values):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def published_tensors(reference):
    """The state dict that the published checkpoint and its base should become, by hand."""
    tensors = load_file(reference / "tempo-tiny" / "model.safetensors")
    base = load_file(reference / "qwen3-vl-tiny" / "model.safetensors")
    tower = "model.vision_tower_aux_list.0."
    expected = {}
    for name, tensor in tensors.items():
        if name.startswith(tower):
            name = "compressor." + name.removeprefix(tower).replace("vlm.model.", "vlm.")
        expected[name.replace("model.mm_projector", "projector")] = tensor
    expected["compressor.relevance_rows"] = base["model.language_model.embed_tokens.weight"][[1214, 611]]
    return expected


def test_every_tensor_of_a_published_checkpoint_is_where_it_belongs(reference):
    model = TempoQwenForCausalLM.load(find_checkpoint(reference / "tempo-tiny"))
    state, expected = model.state_dict(), published_tensors(reference)
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert not model.training
    assert not any(p.is_meta for p in [*model.parameters(), *model.buffers()])


def test_transformers_auto_classes_load_it(reference, tiny):
    config = AutoConfig.from_pretrained(reference / "tempo-tiny")
    assert isinstance(config, TempoQwenConfig)
    assert config.num_compression_tokens == 32
    model = AutoModelForCausalLM.from_pretrained(str(reference / "tempo-tiny"))
    assert isinstance(model, TempoQwenForCausalLM)
    state = tiny.model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    half = AutoModelForCausalLM.from_pretrained(reference / "tempo-tiny", dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}


def test_auto_classes_know_it_after_importing_its_models(reference):
    script = f"""
        import tempo.modeling
        from transformers import AutoConfig, AutoModelForCausalLM
        print(AutoConfig.from_pretrained({str(reference / "tempo-tiny")!r}).model_type)
        print(type(AutoModelForCausalLM.from_pretrained({str(reference / "tempo-tiny")!r})).__name__)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert run.stdout.split() == ["tempo_qwen", "TempoQwenForCausalLM"], run.stderr


def test_the_base_is_found_beside_in_or_where_it_is_said_to_be(checkpoint, tmp_path):
    assert find_checkpoint(checkpoint).base == tmp_path / "qwen3-vl-tiny"
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "qwen3-vl-tiny").rename(elsewhere)
    assert find_checkpoint(checkpoint, base=elsewhere).base == elsewhere
    edit_config(checkpoint, mm_vision_tower_aux_list=[str(elsewhere)])
    assert find_checkpoint(checkpoint).base == elsewhere
    edit_config(checkpoint, mm_vision_tower_aux_list=["Owner/inside"])
    elsewhere.rename(checkpoint / "inside")
    assert find_checkpoint(checkpoint).base == checkpoint / "inside"


def test_a_base_that_is_nowhere_is_named(checkpoint, tmp_path, monkeypatch):
    shutil.rmtree(tmp_path / "qwen3-vl-tiny")
    with pytest.raises(TempoError, match=r"qwen3-vl-tiny.*base="):
        find_checkpoint(checkpoint)
    with pytest.raises(TempoError, match="base must be a qwen3_vl model"):
        find_checkpoint(checkpoint, base=checkpoint)


def test_a_head_of_its_own_gives_the_yes_and_no_rows(checkpoint, tmp_path):
    """An untied base scores with its lm_head, not with its embedding."""
    head = torch.randn(1215, 96)
    edit_weights(tmp_path / "qwen3-vl-tiny", lambda tensors: tensors.update({"lm_head.weight": head}))
    model = TempoQwenForCausalLM.load(find_checkpoint(checkpoint))
    assert torch.equal(model.compressor.relevance_rows, head[[1214, 611]])


@pytest.mark.parametrize(
    "name",
    [
        "model.norm.weight",
        "lm_head.weight",
        "model.mm_projector.2.bias",
        "model.vision_tower_aux_list.0.compression_tokens",
        "model.vision_tower_aux_list.0.vlm.model.visual.pos_embed.weight",
    ],
)
def test_a_missing_tensor_is_named(checkpoint, name):
    edit_weights(checkpoint, lambda tensors: tensors.pop(name))
    with pytest.raises(TempoError, match=rf"{name} is missing|{from_published(name)} is missing") as caught:
        TempoQwenForCausalLM.load(find_checkpoint(checkpoint))
    assert "\n" not in str(caught.value)


def test_a_misshapen_tensor_is_named_with_both_shapes(checkpoint):
    name = "model.layers.2.mlp.up_proj.weight"
    edit_weights(checkpoint, lambda tensors: tensors.update({name: torch.zeros(256, 127)}))
    with pytest.raises(TempoError, match=rf"{name} is \[256, 127\].*\[256, 128\]"):
        TempoQwenForCausalLM.load(find_checkpoint(checkpoint))


def test_a_tensor_that_fits_nowhere_is_named(checkpoint):
    edit_weights(checkpoint, lambda tensors: tensors.update({"model.layers.9.extra": torch.zeros(1)}))
    with pytest.raises(TempoError, match=r"model\.layers\.9\.extra does not belong to this model"):
        TempoQwenForCausalLM.load(find_checkpoint(checkpoint))


def test_what_published_code_leaves_in_checkpoints_is_passed_over(checkpoint):
    extras = {
        "model.vision_tower_aux_list.0.linear_layer.weight": torch.zeros(1, 96),
        "model.vision_tower_aux_list.0.vlm.lm_head.weight": torch.zeros(4, 96),
    }
    edit_weights(checkpoint, lambda tensors: tensors.update(extras))
    TempoQwenForCausalLM.load(find_checkpoint(checkpoint))


def test_a_sliding_window_is_refused(checkpoint):
    edit_config(checkpoint, use_sliding_window=True, sliding_window=64)
    with pytest.raises(TempoError, match="use_sliding_window is set"):
        find_checkpoint(checkpoint)


def test_tied_embeddings_are_one_tensor(checkpoint):
    edit_config(checkpoint, tie_word_embeddings=True)
    edit_weights(checkpoint, lambda tensors: tensors.pop("lm_head.weight"))
    model = TempoQwenForCausalLM.load(find_checkpoint(checkpoint))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    # A head that was stored although it is tied changes nothing.
    edit_weights(checkpoint, lambda tensors: tensors.update({"lm_head.weight": torch.zeros(1215, 128)}))
    again = TempoQwenForCausalLM.load(find_checkpoint(checkpoint))
    assert torch.equal(again.lm_head.weight, model.lm_head.weight)


def test_shards_are_read_by_their_index_and_a_missing_one_is_named(checkpoint):
    tensors = load_file(checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map = {}
    for part, chosen in enumerate((names[:50], names[50:])):
        file = f"model-{part + 1:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in chosen}, checkpoint / file)
        weight_map |= dict.fromkeys(chosen, file)
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    state = TempoQwenForCausalLM.load(find_checkpoint(checkpoint)).state_dict()
    assert torch.equal(state["model.norm.weight"], tensors["model.norm.weight"])
    (checkpoint / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(TempoError, match=r"model-00002-of-00002\.safetensors is missing"):
        TempoQwenForCausalLM.load(find_checkpoint(checkpoint))


@pytest.mark.parametrize("spoil", ["cut", "text", "gone", "config", "kind"])
def test_damaged_folders_are_one_clear_line(checkpoint, spoil):
    weights = checkpoint / "model.safetensors"
    if spoil == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif spoil == "text":
        weights.write_text("hello")
    elif spoil == "gone":
        weights.unlink()
    elif spoil == "config":
        (checkpoint / "config.json").write_text("{")
    else:
        edit_config(checkpoint, model_type="llama")
    with pytest.raises(TempoError) as caught:
        TempoQwenForCausalLM.load(find_checkpoint(checkpoint))
    assert "\n" not in str(caught.value)
    assert str(checkpoint) in str(caught.value)


@pytest.mark.parametrize("name", ["no/such/folder", "./nothing", "nothing", "/nowhere/at-all"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(TempoError, match="there is no such folder"):
        find_checkpoint(name)


def test_a_hub_name_without_a_hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        TempoError, match="Nobody/no-such-model: there is no such folder, and HF_HUB_OFFLINE is set"
    ) as caught:
        find_checkpoint("Nobody/no-such-model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tied", [False, True])
def test_the_published_dimensions_fit(tied):
    """Names and shapes of Hugging Face's own Qwen3-VL-2B and Qwen3-4B, with nothing allocated."""
    with torch.device("meta"):
        theirs = {
            f"model.vision_tower_aux_list.0.vlm.{name}": tensor.shape
            for name, tensor in Qwen3VLForConditionalGeneration(Qwen3VLConfig(**QWEN3_VL_2B))
            .state_dict()
            .items()
            if name != "lm_head.weight"
        }
        decoder = Qwen3ForCausalLM(Qwen3Config(**QWEN3_4B, tie_word_embeddings=tied))
    theirs |= {name: tensor.shape for name, tensor in decoder.state_dict().items()}
    theirs |= {
        "model.vision_tower_aux_list.0.compression_tokens": (1, 128, 2048),
        "model.mm_projector.0.weight": (2560, 2048),
        "model.mm_projector.0.bias": (2560,),
        "model.mm_projector.2.weight": (2560, 2560),
        "model.mm_projector.2.bias": (2560,),
    }
    config = TempoQwenConfig(
        **QWEN3_4B, tie_word_embeddings=tied, mm_projector_type="mlp2x_gelu", compressor_config=QWEN3_VL_2B
    )
    model = empty_model(TempoQwenForCausalLM, config)
    ours = {
        to_published(name): tensor.shape
        for name, tensor in model.state_dict().items()
        if to_published(name) is not None
    }
    assert ours == theirs
    assert all(parameter.is_meta for parameter in model.parameters())
    assert all(from_published(name) in model.state_dict() for name in theirs)
    count = sum(parameter.numel() for parameter in model.parameters())  # tied ones once
    assert count == pytest.approx(6.16e9 if tied else 6.55e9, rel=0.001)


@pytest.mark.slow
def test_loading_takes_no_second_copy(checkpoint):
    """Peak memory of loading 0.5 GB of weights, in a process of its own."""
    script = f"""
        import json, resource, torch
        from pathlib import Path
        from tempo.modeling import TempoQwenForCausalLM
        from tempo.modeling.loading import find_checkpoint
        from tempo.modeling.saving import write_weights
        folder = Path({str(checkpoint)!r})
        source = find_checkpoint(folder)
        from tempo.checkpoints.key_mapping import to_published
        from tempo.modeling.loading import empty_model
        source.config.vocab_size, source.config.hidden_size = 60000, 128
        source.config.intermediate_size = 100000
        if not (folder / "model.safetensors.index.json").exists():
            state = empty_model(TempoQwenForCausalLM, source.config).state_dict()
            names = {{to_published(n): t.shape for n, t in state.items() if to_published(n)}}
            (folder / "model.safetensors").unlink()
            tensors = ((n, torch.ones(shape, dtype=torch.bfloat16)) for n, shape in names.items())
            write_weights(folder, tensors, shard_bytes=10**8)
            print(0)
        else:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            model = TempoQwenForCausalLM.load(source, dtype=torch.bfloat16)
            size = sum(p.numel() * 2 for p in model.parameters())
            print(size, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
    """
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
        )
    size, grown = map(int, run.stdout.split())
    assert size > 3e8
    assert grown < 1.3 * size

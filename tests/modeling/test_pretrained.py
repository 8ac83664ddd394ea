"""What is passed to transformers' Auto classes is honoured, or refused by its name."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, Qwen3Config

from tempo.errors import UsageError
from tempo.modeling import TempoQwenForCausalLM


@pytest.fixture
def load(reference):
    """Load the tiny checkpoint as transformers does, with some options."""
    return lambda **options: AutoModelForCausalLM.from_pretrained(reference / "tempo-tiny", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"load_in_4bit": True},
        {"load_in_8bit": True},
        {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)},
        {"device_map": {"model": "cpu", "lm_head": "meta"}},
        {"device_map": "balanced"},
        {"device_map": {}},
        {"revision": "v2"},
        {"attn_implementation": "flash_attention_3"},
        {"attn_implementation": "kernels-community/flash-attn"},
        {"dtype": "int8"},
        {"dtype": torch.int8},
        {"dtype": {"text_config": "bfloat16"}},
        {"max_memory": {0: "1GB"}},
        {"offload_folder": "x"},
        {"output_loading_info": True},
        {"ignore_mismatched_sizes": True},
        {"subfolder": "inside"},
        {"variant": "fp16"},
        {"gguf_file": "model.gguf"},
        {"state_dict": {"a": torch.zeros(1)}},
        {"tp_plan": "auto"},
        {"no_such_option": 5},
    ],
    ids=lambda options: "-".join(options),
)
def test_what_is_not_honoured_is_refused_by_name(reference, options):
    """By the class itself; what the Auto classes take for themselves they refuse themselves."""
    with pytest.raises(UsageError) as caught:
        TempoQwenForCausalLM.from_pretrained(reference / "tempo-tiny", **options)
    assert str(caught.value).startswith(f"{next(iter(options))}=")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"load_in_4bit": True},
        {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)},
        {"device_map": {"model": "cpu", "lm_head": "meta"}},
        {"attn_implementation": "flash_attention_3"},
        {"max_memory": {0: "1GB"}},
    ],
    ids=lambda options: "-".join(options),
)
def test_the_auto_classes_pass_the_refusal_on(load, options):
    with pytest.raises(UsageError, match=next(iter(options))):
        load(**options)


def test_a_config_of_another_kind(reference):
    with pytest.raises(UsageError, match="config must be a TempoQwenConfig"):
        TempoQwenForCausalLM.from_pretrained(reference / "tempo-tiny", config=Qwen3Config())
    with pytest.raises(UsageError, match="by keyword"):
        TempoQwenForCausalLM.from_pretrained(reference / "tempo-tiny", "cpu")


@pytest.mark.parametrize(
    "device", ["cpu", torch.device("cpu"), {"": "cpu"}, {"model": "cpu", "lm_head": "cpu"}]
)
def test_one_device_however_it_is_said(load, device):
    assert load(device_map=device).device.type == "cpu"


def test_what_asks_for_nothing_is_taken(load):
    load(
        load_in_4bit=False,
        quantization_config=None,
        low_cpu_mem_usage=True,
        use_safetensors=True,
        trust_remote_code=True,
        local_files_only=True,
    )


def test_attention_dtype_and_fields_of_the_configuration_are_honoured(load, reference):
    model = load(attn_implementation="eager", dtype="bfloat16")
    assert model.config._attn_implementation == "eager"
    assert model.compressor.vlm.language_model.config._attn_implementation == "eager"
    assert model.dtype is torch.bfloat16
    assert load(visual_token_budget=77).config.visual_token_budget == 77
    config = AutoConfig.from_pretrained(reference / "tempo-tiny")
    config.min_tokens = 3
    model = load(config=config)
    assert model.config.min_tokens == 3
    assert config.compressor_config is None, "the caller's configuration is left alone"


def test_a_dtype_that_the_configuration_does_not_say_is_the_stored_one(tmp_path, reference):
    shutil.copytree(reference / "qwen3-vl-tiny", tmp_path / "qwen3-vl-tiny")
    folder = shutil.copytree(reference / "tempo-tiny", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, folder / "model.safetensors")
    values = json.loads((folder / "config.json").read_text())
    del values["dtype"]
    (folder / "config.json").write_text(json.dumps(values))
    for dtype in ("auto", None):
        assert TempoQwenForCausalLM.from_pretrained(folder, dtype=dtype).dtype is torch.bfloat16

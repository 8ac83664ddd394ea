import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import Qwen3VLForConditionalGeneration

from tempo.checkpoints.checkpoint import load_prompts
from tempo.errors import TempoError, UsageError
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.loading import find_checkpoint
from tempo.modeling.saving import convert, save_model, write_weights


@pytest.fixture(scope="module")
def own(tmp_path_factory, reference):
    """The tiny checkpoint in our own layout."""
    folder = tmp_path_factory.mktemp("converted") / "own"
    convert(reference / "tempo-tiny", folder)
    return folder


def state(folder, **options):
    return TempoQwenForCausalLM.load(find_checkpoint(folder), **options).state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_our_layout_loads_without_the_base(own, reference, tmp_path):
    shutil.copytree(own, tmp_path / "alone")
    source = find_checkpoint(tmp_path / "alone")
    assert source.base is None
    assert same(TempoQwenForCausalLM.load(source).state_dict(), state(reference / "tempo-tiny"))
    assert len(list(own.glob("*.safetensors"))) == 1
    assert (own / "tokenizer.json").is_file()
    assert (own / "video_preprocessor_config.json").is_file()


def test_there_and_back_loses_nothing(own, reference, tmp_path):
    convert(own, tmp_path / "back", layout="published")
    before = load_file(reference / "tempo-tiny" / "model.safetensors")
    assert same(load_file(tmp_path / "back" / "model.safetensors"), before)
    configs = [
        json.loads((folder / "config.json").read_text())
        for folder in (reference / "tempo-tiny", tmp_path / "back")
    ]
    assert configs[0] == configs[1]
    assert same(state(tmp_path / "back"), state(reference / "tempo-tiny"))


def test_the_base_that_is_written_where_there_is_none_gives_the_same_router(own, tmp_path):
    convert(own, tmp_path / "back", layout="published")
    written = tmp_path / "back" / "qwen3-vl-tiny"
    base = Qwen3VLForConditionalGeneration.from_pretrained(written)  # a whole model for the published code
    rows = state(own)["compressor.relevance_rows"]
    assert torch.equal(base.lm_head.weight[[1214, 611]], rows)


def test_no_second_base_is_written_beside_one_that_is_there(own, tmp_path, reference):
    shutil.copytree(reference / "qwen3-vl-tiny", tmp_path / "qwen3-vl-tiny")
    convert(own, tmp_path / "back", layout="published")
    assert not (tmp_path / "back" / "qwen3-vl-tiny").exists()
    assert same(state(tmp_path / "back"), state(own))


def test_conversion_keeps_the_dtype_of_every_tensor(own, tmp_path, tiny):
    half = TempoQwenForCausalLM.load(find_checkpoint(own), dtype=torch.bfloat16)
    save_model(half, tmp_path / "half", tokenizer=own)
    convert(tmp_path / "half", tmp_path / "published", layout="published")
    tensors = load_file(tmp_path / "published" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}


def test_a_saved_model_is_the_model(own, reference, tmp_path):
    model = TempoQwenForCausalLM.load(find_checkpoint(reference / "tempo-tiny"))
    torch.nn.init.normal_(model.compressor.compression_tokens)
    save_model(
        model,
        tmp_path / "saved",
        tokenizer=reference / "tempo-tiny",
        compressor_tokenizer=reference / "qwen3-vl-tiny",
    )
    assert same(state(tmp_path / "saved"), model.state_dict())
    config = find_checkpoint(tmp_path / "saved").config
    for name in ("num_compression_tokens", "mm_projector_type", "rope_parameters", "eos_token_id"):
        assert getattr(config, name, None) == getattr(model.config, name, None), name


def test_tied_embeddings_are_stored_once(own, tmp_path):
    config = json.loads((own / "config.json").read_text()) | {"tie_word_embeddings": True}
    shutil.copytree(own, tmp_path / "tied")
    (tmp_path / "tied" / "config.json").write_text(json.dumps(config))
    model = TempoQwenForCausalLM.load(find_checkpoint(tmp_path / "tied"))
    save_model(model, tmp_path / "saved", tokenizer=own)
    with safe_open(tmp_path / "saved" / "model.safetensors", "pt") as file:
        assert "lm_head.weight" not in file.keys()  # noqa: SIM118 - not a dictionary
    assert same(state(tmp_path / "saved"), model.state_dict())


def test_a_compressor_with_another_tokenizer_keeps_it(own, reference, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(reference / "qwen3-vl-tiny", other)
    text = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(text.replace('"NFC"', '"NFKC"'))
    model = TempoQwenForCausalLM.load(find_checkpoint(own))
    save_model(model, tmp_path / "saved", tokenizer=own, compressor_tokenizer=other)
    prompts = load_prompts(find_checkpoint(tmp_path / "saved"))
    assert prompts.compressor.text("ﬁ") == prompts.decoder.text("fi") != prompts.decoder.text("ﬁ")


def test_large_weights_are_split_and_indexed(tmp_path):
    tensors = {f"t{i}": torch.full((10,), float(i)) for i in range(7)}
    write_weights(tmp_path, tensors.items(), shard_bytes=80)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 280
    assert sorted(set(index["weight_map"].values())) == [
        f"model-{part:05}-of-00004.safetensors" for part in range(1, 5)
    ]
    for name, file in index["weight_map"].items():
        assert torch.equal(load_file(tmp_path / file)[name], tensors[name])
    assert not list(tmp_path.glob("*.tmp"))


def test_refusals(own, reference, tmp_path):
    with pytest.raises(TempoError, match="already in the tempo layout"):
        convert(own, tmp_path / "x")
    with pytest.raises(TempoError, match="already in the published layout"):
        convert(reference / "tempo-tiny", tmp_path / "x", layout="published")
    with pytest.raises(TempoError, match="already exists; choose a new folder"):
        convert(reference / "tempo-tiny", own)
    with pytest.raises(UsageError, match="layout="):
        convert(own, tmp_path / "x", layout="gguf")
    assert not (tmp_path / "x").exists()

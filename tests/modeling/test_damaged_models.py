"""Folders that cannot be loaded as they are: one line that names the file and the field, or what they are."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import tempo
from tempo.errors import TempoError
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.loading import check_checkpoint, find_checkpoint
from tempo.modeling.saving import convert

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"
GONE = object()
COMPRESSOR = "compressor_config."
TEXT, VISION = "text_config.", "vision_config."
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, reference):
    """The tiny checkpoint in our own layout."""
    folder = tmp_path_factory.mktemp("whole") / "own"
    convert(reference / "tempo-tiny", folder)
    return folder


@pytest.fixture
def own(whole, tmp_path):
    """A copy in our own layout that a test may spoil."""
    return copy(whole, tmp_path / "own")


@pytest.fixture
def published(reference, tmp_path):
    """A copy in the published layout, with its base beside it."""
    copy(reference / "qwen3-vl-tiny", tmp_path / "qwen3-vl-tiny")
    return copy(reference / "tempo-tiny", tmp_path / "tempo-tiny")


def copy(folder: Path, to: Path) -> Path:
    """A copy whose weights are links, which `rewrite` replaces."""

    def put(source: str, target: str) -> None:
        (os.symlink if source.endswith(".safetensors") else shutil.copyfile)(source, target)

    return shutil.copytree(folder, to, copy_function=put)


def edit(file: Path, field: str, value) -> None:
    values = json.loads(file.read_text())
    *path, leaf = field.split(".")
    inner = values
    for name in path:
        inner = inner[name]
    if value is GONE:
        del inner[leaf]
    else:
        inner[leaf] = value
    file.write_text(json.dumps(values))


def rewrite(folder: Path, change) -> None:
    """Write the weights again, as `change` makes them."""
    tensors = change(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.safetensors")


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return TempoQwenForCausalLM.load(find_checkpoint(folder)).state_dict()


def refused(folder: Path, **options) -> str:
    """What loading says, and what is said before a number is read: the same line."""
    with pytest.raises(TempoError) as caught:
        tempo.load(folder, device="cpu", dtype="float32", **options)
    line = str(caught.value)
    assert "\n" not in line
    with pytest.raises(TempoError) as earlier:
        check_checkpoint(TempoQwenForCausalLM, find_checkpoint(folder, **options))
    assert str(earlier.value) == line
    return line


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("head_dim", None),
        ("hidden_act", "sillu"),
        ("rope_scaling", {"rope_type": "spiral"}),
        ("rope_scaling", {"rope_type": "yarn"}),
        ("rope_scaling", "yarn"),
        ("rope_theta", "big"),
        ("rope_theta", GONE),
        ("layer_types", ["full_attention"] * 3),
        ("layer_types", ["sliding_attention"] * 4),
        ("hidden_size", "128"),
        ("vocab_size", -5),
        ("num_key_value_heads", 3),
        ("dtype", "auto"),
        ("dtype", "int7"),
        ("eos_token_id", ["a"]),
        ("mm_projector_type", "qformer"),
        ("compressor_config", [1]),
        ("geometry", {"min_pixels": "many"}),
        ("geometry", {"min_pixels": 10**9}),
        ("geometry", {"sharpness": 1}),
        ("prompts", {"query": 5}),
        ("segment_frames", 0),
        ("num_compression_tokens", 0),
        ("fps", 0),
        ("tokenizer_model_max_length", 0),
        ("mm_vision_tower_aux_list", [["nested"]]),
        ("mm_vision_tower_aux_list", "one"),
        ("quantization_config", {"quant_method": "bitsandbytes", "load_in_4bit": True}),
        (COMPRESSOR + "model_type", "qwen2_vl"),
        (COMPRESSOR + "dtype", "auto"),
        (COMPRESSOR + "text_config", GONE),
        (COMPRESSOR + TEXT + "head_dim", None),
        (COMPRESSOR + TEXT + "hidden_act", "sillu"),
        (COMPRESSOR + TEXT + "rope_theta", GONE),
        (COMPRESSOR + TEXT + "rope_scaling.mrope_section", [60, 5, 5]),
        (COMPRESSOR + TEXT + "rope_scaling.mrope_section", GONE),
        (COMPRESSOR + VISION + "deepstack_visual_indexes", [0, 1, 9]),
        (COMPRESSOR + VISION + "num_heads", 5),
        (COMPRESSOR + VISION + "patch_size", [16, 16]),
        (COMPRESSOR + VISION + "rope_parameters", {"rope_theta": 5000.0, "rope_type": "axial"}),
    ],
)
def test_a_field_that_cannot_be_right_is_named_with_its_file(own, field, value):
    edit(own / "config.json", field, value)
    line = refused(own)
    named = field.rpartition(".")[2]
    if isinstance(value, dict) and value.get("rope_type") == "yarn":
        named = "factor"
    assert line.startswith(f"{own}/config.json: ")
    assert named in line


@pytest.mark.parametrize("field", ["rope_theta", "hidden_act", "rope_scaling.mrope_section"])
def test_a_field_of_the_base_is_named_with_the_bases_file(published, field):
    base = published.parent / "qwen3-vl-tiny"
    edit(base / "config.json", TEXT + field, "sillu" if field == "hidden_act" else GONE)
    line = refused(published)
    assert line.startswith(f"{base}/config.json: {TEXT}")
    assert field in line


@pytest.mark.parametrize("names", [[["qwen3-vl-tiny"]], "qwen3-vl-tiny", [{"name": "x"}], [""], [None]])
def test_names_of_the_base_that_are_none(published, names):
    edit(published / "config.json", "mm_vision_tower_aux_list", names)
    assert "config.json: mm_vision_tower_aux_list" in refused(published)


def test_how_transformers_5_spells_the_rotary_base(published):
    """In rope_parameters, beside the sections; the number counts wherever it stands."""
    base = published.parent / "qwen3-vl-tiny" / "config.json"
    before = TempoQwenForCausalLM.load(find_checkpoint(published))
    rope = {"mrope_section": [6, 5, 5], "mrope_interleaved": True, "rope_type": "default"}
    edit(base, TEXT + "rope_scaling", GONE)
    edit(base, TEXT + "rope_theta", GONE)
    edit(base, TEXT + "rope_parameters", rope | {"rope_theta": 5000000})
    after = TempoQwenForCausalLM.load(find_checkpoint(published))
    tables = [model.compressor.vlm.language_model.rotary_emb.inv_freq for model in (before, after)]
    assert torch.equal(*tables)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "not a JSON object"),
        ("{}", "weight_map"),
        ('{"weight_map": []}', "weight_map"),
        ('{"weight_map": {"a": 1}}', "weight_map"),
        ('{"weight_map": {"a": "../x.safetensors"}}', "weight_map"),
        ('{"weight_map": {"a": "x.safetensors"}}', "the shard x.safetensors is missing"),
        (LFS, "Git LFS pointer"),
    ],
)
def test_a_damaged_index(own, text, said):
    (own / "model.safetensors.index.json").write_text(text)
    line = refused(own)
    assert line.startswith(f"{own}/model.safetensors.index.json: ")
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
        ("[]", "not a JSON object"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"eos_token_id": [[1]]}', "eos_token_id"),
        ('{"eos_token_id": "x"}', "eos_token_id"),
        ('{"pad_token_id": "q"}', "pad_token_id"),
    ],
)
def test_a_damaged_generation_config(own, text, said):
    (own / "generation_config.json").write_text(text)
    line = refused(own)
    assert line.startswith(f"{own}/generation_config.json: ")
    assert said in line


@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"]
)
@pytest.mark.parametrize("kind", ["pointer", "link", "folder"])
def test_files_that_are_not_themselves(own, name, kind):
    """A repository cloned without Git LFS, a cache whose blobs were removed."""
    (own / name).unlink()
    if kind == "pointer":
        (own / name).write_text(LFS)
    elif kind == "link":
        (own / name).symlink_to(own / "blobs" / "0123")
    else:
        (own / name).mkdir()
    said = {"pointer": "Git LFS pointer", "link": "a broken link to", "folder": "cannot be read"}
    line = refused(own)
    assert line.startswith(f"{own / name}: ")
    assert said[kind] in line


def test_a_byte_order_mark_does_no_harm(own):
    file = own / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    check_checkpoint(TempoQwenForCausalLM, find_checkpoint(own))


@pytest.mark.parametrize("where", ["decoder", "compressor"])
def test_a_tokenizer_that_is_larger_than_the_embedding(published, where):
    folder = published if where == "decoder" else published.parent / "qwen3-vl-tiny"
    values = json.loads((folder / "tokenizer.json").read_text())
    values["added_tokens"].append(values["added_tokens"][-1] | {"id": 1300, "content": "<extra>"})
    (folder / "tokenizer.json").write_text(json.dumps(values))
    line = refused(published)
    assert line.startswith(f"{folder}/tokenizer.json: ")
    assert "vocab_size" in line


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn, torch.bool])
def test_numbers_that_are_no_weights_without_their_scales(own, dtype):
    rewrite(own, lambda tensors: tensors | {UP: (tensors[UP] * 100).to(dtype)})
    assert UP in refused(own)


def test_what_stands_beside_quantised_weights(own):
    rewrite(own, lambda tensors: tensors | {"a." + UP + ".absmax": torch.zeros(3)})
    assert "absmax is stored as" in refused(own)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_what_a_model_was_wrapped_in_is_taken_out_of_the_names(published, prefix, tiny):
    rewrite(published, lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()})
    state, expected = weights_of(published), tiny.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


def test_what_only_a_part_was_wrapped_in(own, tiny):
    def wrapped(tensors):
        return {name.replace("layers.1.", "layers.1._orig_mod."): tensor for name, tensor in tensors.items()}

    rewrite(own, wrapped)
    assert torch.equal(weights_of(own)[UP], tiny.model.state_dict()[UP])


@pytest.mark.parametrize("shards", [1, 2])
def test_pickled_weights_become_a_model_by_the_command_that_is_named(published, shards, tmp_path, tiny):
    tensors = list(load_file(published / "model.safetensors").items())
    (published / "model.safetensors").unlink()
    for shard in range(shards):
        part = {f"module.{name}": tensor for name, tensor in tensors[shard::shards]}
        torch.save(part, published / f"pytorch_model-{shard}.bin")
    assert f"tempo convert {published} NEW" in refused(published)
    convert(published, tmp_path / "new")
    state, expected = (
        weights_of(tmp_path / "new"),
        tiny.model.state_dict(),
    )
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


def test_pickled_weights_of_our_own_layout(own, tmp_path, tiny):
    torch.save(load_file(own / "model.safetensors"), own / "pytorch_model.bin")
    (own / "model.safetensors").unlink()
    convert(own, tmp_path / "new")
    state = weights_of(tmp_path / "new")
    assert torch.equal(state[UP], tiny.model.state_dict()[UP])


class _Trap:
    """What a pickle may do when it is read."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_code_in_a_pickle_is_not_run(published, tmp_path):
    (published / "model.safetensors").unlink()
    torch.save({"a": _Trap(tmp_path / "ran")}, published / "pytorch_model.bin")
    with pytest.raises(TempoError, match=r"pytorch_model\.bin: cannot be read as pickled weights"):
        convert(published, tmp_path / "new")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["adapter.json", "adapter.safetensors"], "tempo convert MODEL NEW --adapter"),
        (["adapter_config.json", "adapter_model.safetensors"], "merge_and_unload"),
        (["recipe.yaml"], "tempo train --resume"),
        (["recipe.yaml", "model/config.json"], "/model"),
        (["model.gguf"], "GGUF"),
        (["snapshot/config.json"], "/snapshot"),
        ([], "is it a model folder?"),
    ],
)
def test_folders_that_are_no_models_are_called_what_they_are(tmp_path, files, said):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(TempoError) as caught:
        find_checkpoint(tmp_path)
    assert said in str(caught.value)


def test_ways_to_write_a_folders_name(own, monkeypatch, reference):
    monkeypatch.setenv("HOME", str(own.parent))
    for name in (f"{own}/", "~/own", own / ".." / "own", f"{own}//"):
        assert find_checkpoint(name).config.hidden_size == 128
    for name in ("~nobody-of-this-name/model", "x" * 5000, "with\0null", "a/" + "b" * 300 + "/c"):
        with pytest.raises(TempoError, match="there is no such folder"):
            find_checkpoint(name)


def test_hub_names_are_found_in_the_cache_whatever_their_case(own, monkeypatch, tmp_path):
    """A cache of links, as the hub's client makes it, and no network."""
    home = tmp_path / "hub" / "models--Owner--Tempo-Tiny"
    snapshot, blobs = home / "snapshots" / ("c" * 40), home / "blobs"
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("c" * 40)
    copy(own, blobs)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / file.name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    options = {"cache_dir": str(tmp_path / "hub")}
    for name in ("Owner/Tempo-Tiny", "owner/tempo-tiny", "OWNER/TEMPO-TINY/"):
        source = find_checkpoint(name, **options)
        assert source.folder == snapshot
        check_checkpoint(TempoQwenForCausalLM, source)
    assert find_checkpoint("https://huggingface.co/Owner/Tempo-Tiny", **options).folder == snapshot
    (blobs / "model.safetensors").unlink()
    with pytest.raises(TempoError, match=r"a broken link to .*; download the model again"):
        check_checkpoint(TempoQwenForCausalLM, find_checkpoint("Owner/Tempo-Tiny", **options))

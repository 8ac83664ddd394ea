"""The model that a run starts from: a checkpoint, or a new one made of two base models."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from tempo.assets import ARCHITECTURES
from tempo.checkpoints.checkpoint import base_rows, check_stored, load_prompts
from tempo.checkpoints.checkpoint_files import Weights, find_model, read_config
from tempo.checkpoints.config_checks import check_compressor
from tempo.errors import TempoError, UsageError
from tempo.inference.engine import EMBEDDED
from tempo.modeling import TempoQwenConfig, TempoQwenForCausalLM
from tempo.modeling.loading import empty_model, find_checkpoint
from tempo.networks.projector import build_projector
from tempo.processing.prompts import Prompts, TextEncoder

from .config import ModelConfig

PACKAGED = {"nano": EMBEDDED, "nano-base": EMBEDDED.with_name("nano-base")}
# How tensors of the base models begin, and how they do in ours; None and what is not named plays no named.
_Names = dict[str, str | None]
_COMPRESSOR: _Names = {
    "model.visual.": "compressor.vlm.visual.",
    "model.language_model.": "compressor.vlm.language_model.",
}
# A decoder's own names, and those of the language model inside a Qwen3-VL.
_DECODER: _Names = {
    "model.visual.": None,
    "model.language_model.": "model.",
    "model.": "model.",
    "lm_head.": "lm_head.",
}


@dataclass(frozen=True)
class ModelSpec:
    """What a model will be, before any weight is read.

    Attributes:
        tokenizer, compressor_tokenizer: the folders to copy from when the model is saved.
    """

    config: TempoQwenConfig
    prompts: Prompts
    tokenizer: Path
    compressor_tokenizer: Path


def read_spec(named: ModelConfig) -> ModelSpec:
    """Look up the models that a recipe names; only configurations and tokenizers are read, or fetched.

    Raises:
        MissingModelError: one is not there.
        TempoError: one is of another kind, or damaged.
    """
    if named.start is not None:
        source = find_checkpoint(_folder(named.start), base=named.base, weights=False)
        return ModelSpec(source.config, load_prompts(source), source.folder, source.compressor_tokenizer)
    compressor, decoder = _base_folders(named, weights=False)
    config = _new_config(named, compressor, decoder)
    encoder = TextEncoder.from_folder(compressor)
    own = encoder if decoder == compressor else TextEncoder.from_folder(decoder)
    config.eos_token_id = own.id("<|im_end|>")
    prompts = Prompts(config.make_wording(), compressor=encoder, decoder=own)
    return ModelSpec(config, prompts, decoder, compressor)


def spec_of_architecture(named: ModelConfig) -> ModelSpec:
    """The packaged architecture that a recipe names, with the embedded model's tokenizer for want of its own.

    Raises:
        UsageError: there is none of that name.
    """
    folder = ARCHITECTURES / str(named.architecture)
    if not folder.is_dir():
        there = ", ".join(sorted(one.name for one in ARCHITECTURES.iterdir() if one.is_dir()))
        raise UsageError(
            f"model.architecture={named.architecture}: unknown architecture; choose from {there}"
        )
    _check_fields(named.config)
    config = TempoQwenConfig.from_dict(read_config(folder) | named.config)
    encoder = TextEncoder.from_folder(EMBEDDED)
    config.eos_token_id = encoder.id("<|im_end|>")
    prompts = Prompts(config.make_wording(), compressor=encoder, decoder=encoder)
    return ModelSpec(config, prompts, EMBEDDED, EMBEDDED)


def build(named: ModelConfig, spec: ModelSpec, *, device: torch.device, seed: int) -> TempoQwenForCausalLM:
    """The model with its weights in float32. A new model's memory tokens and projector are random.

    Raises:
        TempoError: a tensor is missing or has another shape.
    """
    if named.start is not None:
        return TempoQwenForCausalLM.load(
            find_checkpoint(_folder(named.start), base=named.base), device=device
        )
    compressor, decoder = _base_folders(named)
    model = empty_model(TempoQwenForCausalLM, spec.config)
    state: dict[str, torch.Tensor] = {
        name: tensor.to(device=device, dtype=torch.float32)
        for folder, names in ((compressor, _COMPRESSOR), (decoder, _DECODER))
        for name, tensor in _renamed(folder, names)
    }
    state["compressor.relevance_rows"] = base_rows(compressor).to(device=device, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state |= {f"projector.{name}": p.to(device) for name, p in _new_projector(spec.config).items()}
        tokens = torch.randn(tuple(model.compressor.compression_tokens.shape)) * 0.02
        state["compressor.compression_tokens"] = tokens.to(device)
    _fill(model, state, f"{compressor} and {decoder}")
    model.generation_config = GenerationConfig.from_model_config(spec.config)
    return model.eval().requires_grad_(False)


def model_of(config: TempoQwenConfig, state: dict[str, torch.Tensor]) -> TempoQwenForCausalLM:
    """A model of these tensors, on the host."""
    model = empty_model(TempoQwenForCausalLM, config)
    _fill(model, state, "the trained model")
    return model


def _folder(name: str) -> Path | str:
    """A packaged model by its name; anything else as it is."""
    return PACKAGED[name] if name in PACKAGED and not Path(name).is_dir() else name


def _base_folders(named: ModelConfig, *, weights: bool = True) -> tuple[Path, Path]:
    assert named.compressor is not None
    compressor = find_model(_folder(named.compressor), weights=weights)
    decoder = compressor
    if named.decoder is not None:
        decoder = find_model(_folder(named.decoder), weights=weights)
    for folder, kinds in ((compressor, ("qwen3_vl",)), (decoder, ("qwen3", "qwen3_vl"))):
        kind = read_config(folder).get("model_type")
        if kind not in kinds:
            raise TempoError(f"{folder}: its model_type is {kind!r}, not {' or '.join(map(repr, kinds))}")
    check_compressor(compressor / "config.json", read_config(compressor))
    return compressor, decoder


def _new_config(named: ModelConfig, compressor: Path, decoder: Path) -> TempoQwenConfig:
    """The decoder's configuration with the compressor's in it, and what the recipe says beside."""
    values = read_config(decoder)
    if values["model_type"] == "qwen3_vl":
        values = dict(values["text_config"])
        rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
        theta = rope.get("rope_theta") or values.get("rope_theta")
        values["rope_parameters"] = {"rope_type": "default", "rope_theta": theta}
        values.pop("rope_scaling", None)
    for key in (
        "architectures",
        "model_type",
        "_name_or_path",
        "dtype",
        "torch_dtype",
        "transformers_version",
    ):
        values.pop(key, None)
    _check_fields(named.config)
    values |= {"mm_projector_type": "mlp2x_gelu", "mm_vision_tower_aux_list": [named.compressor]}
    values |= named.config | {"compressor_config": read_config(compressor)}
    return TempoQwenConfig(**values)


def _check_fields(config: dict[str, Any]) -> None:
    """Raises UsageError for a field that a configuration does not have."""
    known = set(TempoQwenConfig().to_dict())
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise UsageError(f"model.config has no field {key}; did you mean {near}?")


def _new_projector(config: TempoQwenConfig) -> dict[str, torch.Tensor]:
    width = config.compressor().text_config.hidden_size
    return dict(build_projector(config.mm_projector_type, width, config.hidden_size).state_dict())


def _renamed(folder: Path, names: _Names) -> Iterator[tuple[str, torch.Tensor]]:
    for name, lazy in Weights(folder):
        prefix = next((prefix for prefix in names if name.startswith(prefix)), None)
        if prefix is not None and (ours := names[prefix]) is not None:
            check_stored(folder, name, lazy)
            yield ours + name[len(prefix) :], lazy[...]


def _fill(model: TempoQwenForCausalLM, state: dict[str, torch.Tensor], where: str) -> None:
    """Put tensors where they belong; every one must have its place and its shape."""
    tied = model.config.tie_word_embeddings
    if tied:
        state.pop("lm_head.weight", None)
    expected = model.state_dict()
    missing = set(expected) - set(state) - ({"lm_head.weight"} if tied else set())
    if missing:
        raise TempoError(f"{where}: the tensor {min(missing)} is missing")
    for name, tensor in state.items():
        if name not in expected:
            raise TempoError(f"{where}: the tensor {name} has no place in this model")
        if tensor.shape != expected[name].shape:
            raise TempoError(
                f"{where}: the tensor {name} is {list(tensor.shape)}, but the configuration makes it "
                f"{list(expected[name].shape)}"
            )
    model.load_state_dict(state, strict=False, assign=True)
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    device = next(iter(state.values())).device
    for module in model.modules():  # the rotary tables, which are computed, not stored
        for key, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[key] = buffer.to(device)


def reduced(config: TempoQwenConfig, *, depth: int) -> TempoQwenConfig:
    """The same model with `depth` layers in each of its towers: for trying a recipe out."""
    values: dict[str, Any] = config.to_dict()
    values |= {"num_hidden_layers": depth, "layer_types": None, "max_window_layers": depth}
    compressor = dict(values["compressor_config"])
    compressor["text_config"] = compressor["text_config"] | {"num_hidden_layers": depth}
    vision = compressor["vision_config"] | {"depth": depth}
    deep = vision.get("deepstack_visual_indexes", [])
    vision["deepstack_visual_indexes"] = [index for index in range(depth) if index < len(deep)]
    compressor["vision_config"] = vision
    return TempoQwenConfig(**(values | {"compressor_config": compressor}))

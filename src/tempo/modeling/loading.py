"""Loading and saving checkpoints, in the published layout and in our own.

Published: decoder, projector and compressor in one folder, named as in `names`; the compressor's
configuration, its tokenizer and the Yes and No rows come from the base model's folder. Ours: everything in
one folder, and `compressor_config` in its config.json.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from tempo.errors import TempoError
from tempo.modeling.configuration import TempoQwenConfig
from tempo.modeling.folders import Weights, find_base, find_model, read_config
from tempo.modeling.names import from_published
from tempo.modeling.tempo_qwen import TempoQwenForCausalLM
from tempo.prompts import Prompts, TextEncoder

# Where our own layout keeps the compressor's tokenizer if it is not the decoder's.
COMPRESSOR_TOKENIZER = "compressor_tokenizer"
ROWS = "compressor.relevance_rows"


@dataclass(frozen=True)
class Source:
    """Where a model's parts are found."""

    folder: Path
    base: Path | None  # None: our own layout
    config: TempoQwenConfig

    @property
    def compressor_tokenizer(self) -> Path:
        if self.base is not None:
            return self.base
        own = self.folder / COMPRESSOR_TOKENIZER
        return own if own.is_dir() else self.folder


def find_source(path: str | PathLike[str], *, base: str | PathLike[str] | None = None) -> Source:
    """Look up a checkpoint and what belongs to it; nothing is read but configurations.

    Raises:
        TempoError: a part is missing, or the folder holds another kind of model.
    """
    folder = find_model(path)
    values = read_config(folder)
    kind = values.get("model_type")
    if kind != TempoQwenConfig.model_type:
        raise TempoError(f"{path}: its model_type is {kind!r}, not {TempoQwenConfig.model_type!r}")
    try:
        config = TempoQwenConfig.from_dict(values)
    except Exception as error:
        raise TempoError(f"{folder}/config.json: {str(error).strip().splitlines()[0]}") from error
    if config.use_sliding_window:
        raise TempoError(
            f"{folder}/config.json: use_sliding_window is set; every layer here attends to everything"
        )
    if config.compressor_config is not None:
        return Source(folder, None, config)
    if base is None:
        names = config.mm_vision_tower_aux_list
        if not names:
            raise TempoError(f"{path}: its config.json names no base model; say where it is with base=")
        base_folder = find_base(names[0], folder)
    else:
        base_folder = find_model(base)
    compressor = read_config(base_folder)
    if compressor.get("model_type") != "qwen3_vl":
        raise TempoError(
            f"{base_folder}: the base must be a qwen3_vl model, not {compressor.get('model_type')!r}"
        )
    config.compressor_config = compressor
    return Source(folder, base_folder, config)


def load_model(
    source: Source,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    attention: str = "sdpa",
) -> TempoQwenForCausalLM:
    """Read the weights, tensor by tensor, straight to where they belong: there is never a second copy.

    Raises:
        TempoError: a tensor is missing, has another shape than the configuration says, or is not known.
    """
    try:
        model = empty_model(source.config, attention=attention)
    except (ImportError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise TempoError(
            f"{source.folder}: cannot build the model with attention={attention} ({line})"
        ) from error
    expected = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    wanted = set(model.state_dict())
    if source.config.tie_word_embeddings:
        wanted.discard("lm_head.weight")
    rename = from_published if source.base is not None else str
    device = torch.device(device)
    for name, lazy in Weights(source.folder):
        ours = rename(name)
        if ours is None or (ours == "lm_head.weight" and source.config.tie_word_embeddings):
            continue
        if ours not in expected:
            raise TempoError(f"{source.folder}: the tensor {name} has no place in this model")
        _check_shape(source.folder, name, tuple(lazy.get_shape()), tuple(expected[ours].shape))
        _assign(model, ours, lazy[...].to(device=device, dtype=dtype, copy=True))
        wanted.discard(ours)
    if source.base is not None:
        rows = base_rows(source.base)
        _check_shape(source.base, "Yes and No rows", tuple(rows.shape), tuple(expected[ROWS].shape))
        _assign(model, ROWS, rows.to(device=device, dtype=dtype))
        wanted.discard(ROWS)
    if wanted:
        first = min(wanted)
        others = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
        raise TempoError(f"{source.folder}: the tensor {first}{others} is missing from the checkpoint")
    if source.config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    for module in model.modules():  # the rotary tables, which are computed, not stored
        for key, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[key] = buffer.to(device)
    model.generation_config = _generation_config(source)
    return model.eval().requires_grad_(False)


def from_pretrained(path: str | Path, *_: Any, **options: Any) -> TempoQwenForCausalLM:
    """What transformers' Auto classes call; of their options it knows these, and leaves the rest alone.

    Args:
        options: `base`, `dtype` (or `torch_dtype`; "auto" and None: as stored), `device_map` (one device),
            `attn_implementation`.
    """
    source = find_source(path, base=options.get("base"))
    dtype = options.get("dtype", options.get("torch_dtype"))
    if dtype in (None, "auto"):
        dtype = source.config.dtype or torch.float32
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype)
    device = options.get("device_map") or "cpu"
    if isinstance(device, dict):
        device = device.get("", "cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    attention = options.get("attn_implementation") or "sdpa"
    return load_model(source, device=device, dtype=dtype, attention=attention)


def load_prompts(source: Source) -> Prompts:
    """The wording and both tokenizers of a checkpoint."""
    decoder = TextEncoder.from_folder(source.folder)
    folder = source.compressor_tokenizer
    compressor = decoder if folder == source.folder else TextEncoder.from_folder(folder)
    return Prompts(source.config.make_wording(), compressor=compressor, decoder=decoder)


def base_rows(base: Path) -> torch.Tensor:
    """The base's output rows for Yes and No [2, D], as stored. A tied base has them in its embedding."""
    encoder = TextEncoder.from_folder(base)
    table: Any = Weights(base).find(
        "lm_head.weight", "model.language_model.embed_tokens.weight", "language_model.embed_tokens.weight"
    )
    if table is None:
        raise TempoError(f"{base}: there is neither lm_head.weight nor an embedding to read Yes and No from")
    ids = [encoder.id("Yes"), encoder.id("No")]
    if max(ids) >= table.get_shape()[0]:
        raise TempoError(f"{base}: the tokenizer's Yes or No is outside the model's vocabulary")
    return torch.cat([table[i : i + 1] for i in ids])


def empty_model(config: TempoQwenConfig, *, attention: str = "sdpa") -> TempoQwenForCausalLM:
    """The model with parameters that have shapes and no memory; computed buffers are real."""
    config._attn_implementation = attention
    with parameters_on_meta():
        return TempoQwenForCausalLM(config)


@contextlib.contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Modules that are built here have parameters with shapes and no memory."""
    original = nn.Module.register_parameter

    def register(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and parameter.device.type != "meta":
            parameter = nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
        original(module, name, parameter)

    nn.Module.register_parameter = register  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]


def _assign(model: nn.Module, name: str, tensor: torch.Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    if leaf in module._buffers:
        module._buffers[leaf] = tensor
    else:
        module._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)


def _check_shape(folder: Path, name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise TempoError(
            f"{folder}: the tensor {name} is {list(found)}, but the configuration makes it {list(expected)}"
        )


def _generation_config(source: Source) -> GenerationConfig:
    if (source.folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(source.folder)
    return GenerationConfig.from_model_config(source.config)

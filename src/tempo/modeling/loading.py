"""Loading checkpoints into transformers' classes; :func:`tempo.load` does without where it can."""

from __future__ import annotations

import json
from copy import deepcopy
from os import PathLike
from typing import Any, TypeVar

import torch
from transformers import GenerationConfig, PreTrainedModel

from tempo.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointFiles,
    checked_weights,
    find_files,
    generation_values,
    load_prompts,
    naming,
    read_weights,
    with_config,
)
from tempo.devices import prepare_process
from tempo.errors import TempoError
from tempo.networks.meta_init import parameters_on_meta

from .configuration import TempoQwenConfig

Model = TypeVar("Model", bound=PreTrainedModel)


def find_checkpoint(
    path: str | PathLike[str],
    *,
    base: str | PathLike[str] | None = None,
    config: TempoQwenConfig | None = None,
    **hub: Any,
) -> Checkpoint[TempoQwenConfig]:
    """Look up a checkpoint and what belongs to it; nothing is read but configurations, which are checked.

    Args:
        config: what takes the place of the checkpoint's own configuration.
        hub: how a model is fetched; see :func:`tempo.checkpoints.checkpoint_files.find_model`.

    Raises:
        TempoError: a part is missing, a configuration cannot be right, or the folder holds another kind of
            model.
    """
    if config is None:
        return read_config_of(find_files(path, base=base, **hub))
    config = deepcopy(config)
    values = json.loads(config.to_json_string(use_diff=False))
    files = find_files(path, base=base, values=values, **hub)
    config.compressor_config = files.values["compressor_config"]
    return with_config(files, config)


def read_config_of(files: CheckpointFiles) -> Checkpoint[TempoQwenConfig]:
    """The same for files that were looked up.

    Raises:
        TempoError: a configuration cannot be right.
    """
    with naming(files.folder / "config.json"):
        config = TempoQwenConfig.from_dict(files.values)
    return with_config(files, config)


def load_model(
    model_class: type[Model],
    checkpoint: Checkpoint[TempoQwenConfig],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    attention: str = "sdpa",
) -> Model:
    """Read the weights, tensor by tensor, straight to where they belong: there is never a second copy.

    Raises:
        TempoError: a tensor is missing, has another shape than the configuration says, or is not known.
    """
    device = torch.device(device)
    prepare_process(device)
    generation = _generation_config(checkpoint)
    model = _empty_model(model_class, checkpoint, attention)
    read_weights(model, checkpoint, device=device, dtype=dtype)
    model.generation_config = generation
    return model


def check_checkpoint(model_class: type[PreTrainedModel], checkpoint: Checkpoint[TempoQwenConfig]) -> None:
    """Everything that loading looks at before it reads numbers: configurations, tokenizers, names and shapes.

    Raises:
        TempoError: loading would raise it too.
    """
    _generation_config(checkpoint)
    load_prompts(checkpoint)
    for _ in checked_weights(checkpoint, _empty_model(model_class, checkpoint, "sdpa")):
        pass


def empty_model(model_class: type[Model], config: TempoQwenConfig, *, attention: str = "sdpa") -> Model:
    """The model with parameters that have shapes and no memory; computed buffers are real."""
    config._attn_implementation = attention
    with parameters_on_meta():
        return model_class(config)


def _empty_model(model_class: type[Model], checkpoint: Checkpoint[TempoQwenConfig], attention: str) -> Model:
    try:
        with naming(checkpoint.folder / "config.json"):
            return empty_model(model_class, checkpoint.config, attention=attention)
    except TempoError as error:
        if isinstance(error.__cause__, ImportError):
            raise TempoError(f"attention={attention}: {error.__cause__}".splitlines()[0]) from error
        raise


def _generation_config(checkpoint: Checkpoint[TempoQwenConfig]) -> GenerationConfig:
    values = generation_values(checkpoint.folder)
    if values is None:
        return GenerationConfig.from_model_config(checkpoint.config)
    with naming(checkpoint.folder / "generation_config.json"):
        return GenerationConfig.from_dict(values)

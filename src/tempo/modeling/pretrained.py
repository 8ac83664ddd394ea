"""What transformers' Auto classes call: a checkpoint by path or hub name, and their options.

Every option is either honoured or refused by its name. None of them is passed over that would change what is
computed: an option that silently does nothing gives wrong answers, or a memory that is full.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tempo.checkpoints.checkpoint import ATTENTIONS, Checkpoint
from tempo.checkpoints.checkpoint_files import Weights
from tempo.devices import DTYPES, pick_device
from tempo.errors import UsageError

from .configuration import TempoQwenConfig
from .loading import Model, find_checkpoint, load_model

_HUB = ("revision", "token", "cache_dir", "local_files_only", "force_download")
# How transformers' loader goes about it, with the same result.
_WITHOUT_EFFECT = frozenset(
    {"low_cpu_mem_usage", "trust_remote_code", "weights_only", "_from_auto", "_commit_hash", "code_revision"}
)


def from_pretrained(model_class: type[Model], path: str | Path, *arguments: Any, **options: Any) -> Model:
    """Load a model as transformers does.

    Args:
        options: `base`, `config`, `dtype` (or `torch_dtype`; "auto" and None: as stored), `device_map` (one
            device for everything), `attn_implementation`, and those of the hub: `revision`, `token`,
            `cache_dir`, `local_files_only`, `force_download`. Others may be None or False, as if left out.

    Raises:
        UsageError: an option that is not known, or a value that it cannot have.
        TempoError: a part of the model is missing or damaged.
    """
    if arguments:
        raise UsageError("pass the options of from_pretrained by keyword, after the path")
    given = {name: value for name, value in options.items() if name not in _WITHOUT_EFFECT}
    hub = {name: given.pop(name) for name in _HUB if given.get(name) is not None}
    base, config = given.pop("base", None), given.pop("config", None)
    if config is not None and not isinstance(config, TempoQwenConfig):
        raise UsageError(f"config must be a TempoQwenConfig, not a {type(config).__name__}")
    attention = given.pop("attn_implementation", None) or (config and config._attn_implementation) or "sdpa"
    if attention not in ATTENTIONS:
        raise UsageError(f"attn_implementation={attention!r}: choose from {', '.join(ATTENTIONS)}")
    device = _device(given.pop("device_map", None))
    dtype, older = given.pop("dtype", None), given.pop("torch_dtype", None)
    _refuse_others(path, given)
    checkpoint = find_checkpoint(path, base=base, config=config, **hub)
    chosen = _dtype(older if dtype is None else dtype, checkpoint)
    return load_model(model_class, checkpoint, device=device, dtype=chosen, attention=attention)


def _refuse_others(path: str | Path, options: dict[str, Any]) -> None:
    """Raises UsageError for an option that asks for something."""
    if "_adapter_model_path" in (options.pop("adapter_kwargs", None) or {}):
        raise UsageError(
            f"{path}: holds a PEFT adapter; merge it where it was trained, with merge_and_unload()"
        )
    if options.get("use_safetensors") is True:  # as always
        del options["use_safetensors"]
    for name, value in options.items():
        if value is not None and value is not False and value != "":
            shown = repr(value) if isinstance(value, str | int | float) else type(value).__name__
            raise UsageError(
                f"{name}={shown}: tempo does not support this option of from_pretrained; omit it"
            )


def _device(device_map: Any) -> torch.device:
    """The one device of a device map."""
    if isinstance(device_map, dict):
        devices = {str(device) for device in device_map.values()}
        if len(devices) != 1:
            raise UsageError(f"device_map={device_map!r}: a model is on one device; name that, or auto")
        device_map = next(iter(device_map.values()))
    if device_map is None:
        return torch.device("cpu")
    try:
        return pick_device(device_map)
    except UsageError as error:
        raise UsageError(f"device_map={device_map!r}: name one device, such as auto, cpu, cuda:1") from error


def _dtype(dtype: Any, checkpoint: Checkpoint[TempoQwenConfig]) -> torch.dtype:
    """The dtype to load in, of whatever transformers takes for one."""
    if dtype in (None, "auto"):
        dtype = checkpoint.config.dtype or _stored(checkpoint)
    if isinstance(dtype, str):
        dtype = DTYPES.get(dtype, dtype)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point or dtype.itemsize < 2:
        raise UsageError(f"dtype={dtype!r}: it can be auto, {', '.join(DTYPES)}")
    return dtype


def _stored(checkpoint: Checkpoint[TempoQwenConfig]) -> torch.dtype:
    """The dtype of a checkpoint's first tensor."""
    _, lazy = next(iter(Weights(checkpoint.folder)))
    return lazy[:1].dtype

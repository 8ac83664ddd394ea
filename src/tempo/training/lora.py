"""Low-rank adapters, by peft: put in, written, read back, merged into the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from tempo.errors import TempoError
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.loading import find_checkpoint
from tempo.modeling.saving import new_folder, save_model, write_tensors

from .config import LoraConfig
from .objective import group_of

_WEIGHTS, _CONFIG = "adapter.safetensors", "adapter.json"


def targets(model: TempoQwenForCausalLM, lora: LoraConfig) -> list[str]:
    """The linear layers that get adapters: all in the blocks of the groups; not the output head."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name != "lm_head" and group_of(f"{name}.weight") in lora.groups
    ]


def add_adapters(model: TempoQwenForCausalLM, lora: LoraConfig) -> None:
    """Put adapters in, in place. They are trained, the weights of their groups are not.

    Raises:
        TempoError: peft is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise TempoError("lora needs peft: pip install 'tempo-video[train]'") from error
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets(model, lora),
    )
    peft.inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        own = "lora_" in name
        parameter.requires_grad_(own or (group_of(name) not in lora.groups and name in learning))


def merge(model: nn.Module) -> None:
    """Add every adapter into its weights and take it out, in place."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, module.get_base_layer())


def save_adapter(model: nn.Module, lora: LoraConfig, folder: Path) -> None:
    """Write everything that learnt, adapters and the groups trained beside them, and how it fits.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if p.requires_grad}
    write_tensors(folder / _WEIGHTS, state)
    values = {"rank": lora.rank, "alpha": lora.alpha, "parts": list(lora.groups)}
    (folder / _CONFIG).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def apply_adapter(model: TempoQwenForCausalLM, folder: Path) -> None:
    """Merge what `save_adapter` wrote into the model that it was trained on.

    Raises:
        TempoError: a file is missing or damaged, or it does not fit this model.
    """
    try:
        values: dict[str, Any] = json.loads((folder / _CONFIG).read_text("utf-8"))
        state = load_file(folder / _WEIGHTS)
        lora = LoraConfig(rank=values["rank"], alpha=values["alpha"], groups=tuple(values["parts"]))
    except Exception as error:
        raise TempoError(f"{folder}: not an adapter ({str(error).splitlines()[0]})") from error
    add_adapters(model, lora)
    expected = dict(model.named_parameters())
    for name, tensor in state.items():
        if name not in expected or expected[name].shape != tensor.shape:
            raise TempoError(f"{folder}: {name} does not fit the model; was it trained on another one?")
        with torch.no_grad():
            expected[name].copy_(tensor)
    merge(model)


def write_merged(
    path: str | Path, adapter: Path, destination: Path, *, base: str | Path | None = None
) -> None:
    """Write the model that an adapter makes of the one that it was trained on: a folder that loads by itself.

    Args:
        path: the model that it was trained on, a folder or a hub name.
        adapter: a folder that `save_adapter` wrote.
        destination: a new or empty folder.

    Raises:
        TempoError: a part is missing or damaged, the two do not fit, or the folder cannot be written.
    """
    source = find_checkpoint(path, base=base)
    model = TempoQwenForCausalLM.load(source)
    apply_adapter(model, adapter)
    stored = source.config.dtype or torch.float32
    with new_folder(destination) as folder:
        save_model(
            model.to(stored),
            folder,
            tokenizer=source.folder,
            compressor_tokenizer=source.compressor_tokenizer,
        )

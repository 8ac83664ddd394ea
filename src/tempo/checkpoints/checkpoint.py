"""A checkpoint in the published layout or in our own: its parts, its prompts, its weights.

Published: decoder, projector and compressor in one folder, named as in :mod:`.key_mapping`; the compressor's
configuration, its tokenizer and the Yes and No rows come from the base model's folder. Ours: everything in
one folder, and `compressor_config` in its config.json.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from tempo.errors import TempoError
from tempo.networks.config import TempoFields
from tempo.processing.prompts import Prompts, TextEncoder
from tempo.storage.model_files import read_json

from .checkpoint_files import Weights, find_base, find_model, read_config
from .config_checks import check_compressor, check_config
from .key_mapping import from_published

MODEL_TYPE = "tempo_qwen"
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")
# Where our own layout keeps the compressor's tokenizer if it is not the decoder's.
COMPRESSOR_TOKENIZER = "compressor_tokenizer"
ROWS = "compressor.relevance_rows"
# How safetensors and torch.save spell the dtypes that hold the numbers themselves.
_STORED = frozenset({"BF16", "F16", "F32", "F64", "BFLOAT16", "FLOAT16", "FLOAT32", "FLOAT64"})
# The last part of the names of what comes beside quantised weights.
_QUANTISED = frozenset(
    {"absmax", "quant_map", "SCB", "weight_scale", "weight_scale_inv", "qweight", "qzeros", "scales", "g_idx"}
)

Config = TypeVar("Config", bound=TempoFields)


@dataclass(frozen=True)
class CheckpointFiles:
    """Where a model's parts are found.

    Attributes:
        base: the folder of the base model; None: our own layout, which needs none.
        values: what config.json says, checked, with `compressor_config` from wherever it is.
    """

    folder: Path
    base: Path | None
    values: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint(Generic[Config]):
    """The same with the configuration that was made of it."""

    folder: Path
    base: Path | None
    config: Config

    @property
    def compressor_tokenizer(self) -> Path:
        if self.base is not None:
            return self.base
        own = self.folder / COMPRESSOR_TOKENIZER
        return own if own.is_dir() else self.folder


def with_config(files: CheckpointFiles, config: Config) -> Checkpoint[Config]:
    """Checks that everything can be made which travels with the weights.

    Raises:
        TempoError: geometry or prompts cannot be right.
    """
    with naming(files.folder / "config.json"):
        config.make_geometry()
        config.make_wording()
    return Checkpoint(files.folder, files.base, config)


def find_files(
    path: str | PathLike[str],
    *,
    base: str | PathLike[str] | None = None,
    values: dict[str, Any] | None = None,
    **hub: Any,
) -> CheckpointFiles:
    """Look up a checkpoint and what belongs to it; nothing is read but configurations, which are checked.

    Args:
        values: what takes the place of what config.json says.
        hub: how a model is fetched; see :func:`tempo.checkpoints.checkpoint_files.find_model`.

    Raises:
        TempoError: a part is missing, a configuration cannot be right, or the folder holds another kind of
            model.
    """
    folder = find_model(path, **hub)
    stored = read_config(folder)
    kind = stored.get("model_type")
    if kind != MODEL_TYPE:
        raise TempoError(f"{path}: its model_type is {kind!r}, not {MODEL_TYPE!r}")
    check_config(folder, stored)
    if values is None:
        values = stored
    else:
        check_config(folder, values)
    if values.get("compressor_config") is not None:
        check_compressor(folder / "config.json", values["compressor_config"], prefix="compressor_config.")
        return CheckpointFiles(folder, None, values)
    others = {name: value for name, value in hub.items() if name != "revision"}  # that is the checkpoint's
    base_folder = _base_folder(folder, values, base, others)
    compressor = read_config(base_folder)
    if compressor.get("model_type") != "qwen3_vl":
        raise TempoError(
            f"{base_folder}: the base must be a qwen3_vl model, not {compressor.get('model_type')!r}"
        )
    check_compressor(base_folder / "config.json", compressor)
    return CheckpointFiles(folder, base_folder, values | {"compressor_config": compressor})


def _base_folder(
    folder: Path, values: dict[str, Any], base: str | PathLike[str] | None, hub: dict[str, Any]
) -> Path:
    if base is not None:
        return find_model(base, **hub)
    names = values.get("mm_vision_tower_aux_list")
    if not names:
        raise TempoError(f"{folder}: its config.json names no base model; name its folder with base=")
    return find_base(names[0], folder, **hub)


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Say in which file it is that something is wrong, of errors that do not."""
    try:
        yield
    except TempoError as error:
        text = str(error)
        raise TempoError(f"{file.parent}/{text}" if text.startswith(file.name) else text) from error
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # The checks of transformers say in the first line that something is wrong, and in the second what.
        what = lines[1] if lines[0].endswith(":") and len(lines) > 1 else lines[0]
        what = re.sub(r"^\s*\w+Error: ", "", what).partition(" Errors: ")[0]
        if isinstance(error, LookupError):
            what = f"{what} is missing or not known"
        raise TempoError(f"{file}: {what}") from error


def read_weights(
    model: nn.Module, checkpoint: Checkpoint[Any], *, device: torch.device, dtype: torch.dtype
) -> None:
    """Read the weights of a model on the meta device, tensor by tensor, straight to where they belong.

    There is never a second copy.

    Raises:
        TempoError: a tensor is missing, has another shape than the configuration says, or is not known.
    """
    for name, lazy in checked_weights(checkpoint, model):
        _assign(model, name, lazy[...].to(device=device, dtype=dtype, copy=True))
    whole: Any = model
    if whole.config.tie_word_embeddings:
        whole.lm_head.weight = whole.model.embed_tokens.weight
    for module in model.modules():  # the rotary tables, which are computed, not stored
        for key, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[key] = buffer.to(device)
    model.eval().requires_grad_(False)


def checked_weights(checkpoint: Checkpoint[Any], model: nn.Module) -> Iterator[tuple[str, Any]]:
    """(our name, tensor that is read when it is indexed) of all that the model needs, each one checked first.

    Raises:
        TempoError: a tensor is missing, has another shape than in `model`, is quantised, or is not known.
    """
    expected = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    wanted = set(model.state_dict())
    tied = checkpoint.config.tie_word_embeddings
    if tied:
        wanted.discard("lm_head.weight")
    rename = from_published if checkpoint.base is not None else str
    weights = Weights(checkpoint.folder)
    if checkpoint.base is not None:
        rows = base_rows(checkpoint.base)
        _check_shape(checkpoint.base, "Yes and No rows", tuple(rows.shape), tuple(expected[ROWS].shape))
        yield ROWS, rows
        wanted.discard(ROWS)
    for name, lazy in weights:
        ours = rename(name)
        if ours is None or (tied and ours == "lm_head.weight"):
            continue
        check_stored(checkpoint.folder, name, lazy)
        if ours not in expected:
            raise TempoError(f"{checkpoint.folder}: the tensor {name} does not belong to this model")
        _check_shape(checkpoint.folder, name, tuple(lazy.get_shape()), tuple(expected[ours].shape))
        yield ours, lazy
        wanted.discard(ours)
    if wanted:
        first = min(wanted)
        others = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
        raise TempoError(f"{checkpoint.folder}: the tensor {first}{others} is missing from the checkpoint")


def load_prompts(checkpoint: Checkpoint[Any]) -> Prompts:
    """The wording and both tokenizers of a checkpoint.

    Raises:
        TempoError: a tokenizer is missing or damaged, or belongs to another model.
    """
    decoder = TextEncoder.from_folder(checkpoint.folder)
    folder = checkpoint.compressor_tokenizer
    compressor = decoder if folder == checkpoint.folder else TextEncoder.from_folder(folder)
    sizes = (checkpoint.config.vocab_size, checkpoint.config.compressor().text_config.vocab_size)
    for encoder, rows in zip((decoder, compressor), sizes, strict=True):
        if encoder.largest_id >= rows:
            raise TempoError(
                f"{encoder.path}: has tokens up to {encoder.largest_id}, beyond config.json's vocab_size of "
                f"{rows}; give the tokenizer that belongs to the model"
            )
    return Prompts(checkpoint.config.make_wording(), compressor=compressor, decoder=decoder)


def generation_values(folder: Path) -> dict[str, Any] | None:
    """What generation_config.json says; None: there is none.

    Raises:
        TempoError: it is not JSON, or a token in it is not a number.
    """
    file = folder / "generation_config.json"
    if not (file.is_symlink() or file.exists()):
        return None
    values = read_json(file, "")
    for name, ids in values.items():
        for one in ids if isinstance(ids, list) else [ids]:
            if name.endswith("_token_id") and one is not None and type(one) is not int:
                raise TempoError(f"{file}: {name} must be a token's number or a list of them, not {ids!r}")
    return values


def base_rows(base: Path) -> torch.Tensor:
    """The base's output rows for Yes and No [2, D], as stored. A tied base has them in its embedding."""
    encoder = TextEncoder.from_folder(base)
    table: Any = Weights(base, pickled=True).find(
        "lm_head.weight", "model.language_model.embed_tokens.weight", "language_model.embed_tokens.weight"
    )
    if table is None:
        raise TempoError(f"{base}: there is neither lm_head.weight nor an embedding to read Yes and No from")
    ids = [encoder.id("Yes"), encoder.id("No")]
    if max(ids) >= table.get_shape()[0]:
        raise TempoError(f"{base}: the tokenizer's Yes or No is outside the model's vocabulary")
    check_stored(base, "with the Yes and No rows", table)
    return torch.cat([table[i : i + 1] for i in ids])


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


def check_stored(folder: Path, name: str, lazy: Any) -> None:
    """Raises TempoError unless a tensor holds the numbers themselves."""
    stored = lazy.get_dtype()
    if stored.upper() not in _STORED or name.rpartition(".")[2] in _QUANTISED:
        raise TempoError(
            f"{folder}: the tensor {name} is stored as {stored}; tempo reads bfloat16, float16 and float32, "
            "so use the model before quantisation"
        )

"""Writing checkpoints: our own layout from a model, and either layout from the other, tensor by tensor."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from tempo.checkpoints.checkpoint import (
    COMPRESSOR_TOKENIZER,
    ROWS,
    Checkpoint,
    base_rows,
    check_stored,
)
from tempo.checkpoints.checkpoint_files import Weights, read_config
from tempo.checkpoints.key_mapping import from_published, to_published
from tempo.errors import TempoError, UsageError
from tempo.processing.prompts import TextEncoder

from .configuration import TempoQwenConfig
from .loading import find_checkpoint
from .tempo_qwen import TempoQwenForCausalLM

Layout = Literal["tempo", "published"]
_SHARD_BYTES = 4 * 10**9
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)
_PROCESSOR_FILES = ("preprocessor_config.json", "video_preprocessor_config.json")


def save_model(
    model: TempoQwenForCausalLM,
    folder: str | Path,
    *,
    tokenizer: str | Path,
    compressor_tokenizer: str | Path | None = None,
) -> None:
    """Write a model in our own layout: one folder that loads by itself.

    Args:
        tokenizer: the folder with the tokenizer files of the decoder.
        compressor_tokenizer: that of the compressor, where it is another.

    Raises:
        OSError: it cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    values = json.loads(model.config.to_json_string())
    values |= {
        "architectures": [TempoQwenForCausalLM.__name__],
        "model_type": TempoQwenConfig.model_type,
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    _write_json(folder / "config.json", values)
    model.generation_config.save_pretrained(folder)
    _copy_files(Path(tokenizer), Path(compressor_tokenizer or tokenizer), folder)
    tied = model.config.tie_word_embeddings
    tensors = model.state_dict().items()
    write_weights(folder, ((n, t) for n, t in tensors if not (tied and n == "lm_head.weight")))


def convert(
    path: str | Path, destination: str | Path, *, layout: Layout = "tempo", base: str | Path | None = None
) -> None:
    """Write a checkpoint again in the other layout. Every tensor keeps its bits and its dtype.

    Args:
        path: a folder or a hub name, in the layout that is not asked for.
        destination: a new or empty folder.
        layout: `tempo`: one folder that loads by itself. `published`: what the published code reads. The base
            that it needs is the one that the configuration names; where there is none, it is written inside.
        base: the base model of a published checkpoint, where it is not found by itself.

    Raises:
        TempoError: the checkpoint is incomplete or already in that layout, or the destination has something
            in it or cannot be written; nothing is left in it then.
    """
    if layout not in ("tempo", "published"):
        raise UsageError(f"layout={layout!r}: choose 'tempo' or 'published'")
    checkpoint = find_checkpoint(path, base=base)
    pickled = Weights(checkpoint.folder, pickled=True).pickled
    if (checkpoint.base is None) == (layout == "tempo") and not pickled:
        raise TempoError(f"{path}: already in the {layout} layout")
    with new_folder(destination) as folder:
        if layout == "tempo":
            _to_tempo(checkpoint, folder)
        elif checkpoint.base is None:
            _to_published(checkpoint, folder)
        else:
            _again(checkpoint, folder)


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A new or empty folder to write a model into; nothing is left in it if that fails.

    Raises:
        TempoError: there is something in it, or it cannot be written.
    """
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TempoError(f"{folder}: already exists; choose a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise TempoError(f"{folder}: could not be written ({error.strerror or error})") from error
        raise


def _again(checkpoint: Checkpoint[TempoQwenConfig], folder: Path) -> None:
    """The same layout, with the weights in safetensors files."""
    _write_json(folder / "config.json", read_config(checkpoint.folder))
    _copy_files(checkpoint.folder, checkpoint.folder, folder)
    write_weights(folder, _renamed(checkpoint.folder, str))


def _to_tempo(checkpoint: Checkpoint[TempoQwenConfig], folder: Path) -> None:
    if checkpoint.base is None:
        return _again(checkpoint, folder)
    values = read_config(checkpoint.folder) | {"compressor_config": checkpoint.config.compressor_config}
    _write_json(folder / "config.json", values)
    _copy_files(checkpoint.folder, checkpoint.base, folder)
    rows = base_rows(checkpoint.base)
    write_weights(folder, itertools.chain(_renamed(checkpoint.folder, from_published), [(ROWS, rows)]))


def _to_published(checkpoint: Checkpoint[TempoQwenConfig], folder: Path) -> None:
    values = read_config(checkpoint.folder)
    compressor = values.pop("compressor_config")
    names = values.get("mm_vision_tower_aux_list")
    if not names:
        names = values["mm_vision_tower_aux_list"] = ["base"]
    values["mm_hidden_size"] = checkpoint.config.compressor().text_config.hidden_size
    _write_json(folder / "config.json", values)
    _copy_files(checkpoint.folder, checkpoint.folder, folder)
    write_weights(folder, _renamed(checkpoint.folder, to_published))
    if str(names[0]).count("/") != 1 and not (folder.resolve().parent / Path(names[0]).name).is_dir():
        _write_base(checkpoint, folder / Path(names[0]).name, compressor)


def _write_base(checkpoint: Checkpoint[TempoQwenConfig], folder: Path, compressor: dict[str, Any]) -> None:
    """What is read of a base: its configuration, tokenizer and processor files, and its Yes and No output
    rows.

    The other weights are the compressor's, so that the folder is a whole Qwen3-VL model.
    """
    folder.mkdir()
    _write_json(folder / "config.json", compressor | {"tie_word_embeddings": True})
    _copy_files(checkpoint.compressor_tokenizer, checkpoint.compressor_tokenizer, folder)
    for name in _PROCESSOR_FILES:
        _copy(checkpoint.folder / name, folder)
    encoder = TextEncoder.from_folder(checkpoint.compressor_tokenizer)
    rows: Any = Weights(checkpoint.folder).find(ROWS)

    def tensors() -> Iterator[tuple[str, Any]]:
        for name, lazy in Weights(checkpoint.folder):
            if not name.startswith("compressor.vlm."):
                continue
            ours = "model." + name.removeprefix("compressor.vlm.")
            if ours != "model.language_model.embed_tokens.weight":
                yield ours, lazy
                continue
            table = lazy[...].clone()
            table[[encoder.id("Yes"), encoder.id("No")]] = rows[...].to(table.dtype)
            yield ours, table

    write_weights(folder, tensors())


def _renamed(folder: Path, rename: Any) -> Iterator[tuple[str, Any]]:
    for name, lazy in Weights(folder, pickled=True):
        if (new := rename(name)) is not None:
            check_stored(folder, name, lazy)
            yield new, lazy


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write one safetensors file.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:  # its own for whatever the disk says
        path.unlink(missing_ok=True)
        raise OSError(errno.EIO, str(error), str(path)) from error


def write_weights(
    folder: Path, tensors: Iterable[tuple[str, Any]], *, shard_bytes: int = _SHARD_BYTES
) -> None:
    """Write tensors, or lazily read slices of them, to safetensors shards and their index.

    Raises:
        OSError: they cannot be written.
    """
    shards: list[list[str]] = []
    shard: dict[str, torch.Tensor] = {}
    size = total = 0

    def flush() -> None:
        nonlocal shard, size
        if shard:
            write_tensors(folder / f"shard-{len(shards)}.tmp", shard)
            shards.append(list(shard))
            shard, size = {}, 0

    for name, lazy in tensors:
        tensor = (lazy if isinstance(lazy, torch.Tensor) else lazy[...]).detach().cpu().contiguous()
        if size + tensor.nbytes > shard_bytes:
            flush()
        shard[name] = tensor
        size += tensor.nbytes
        total += tensor.nbytes
    flush()
    if len(shards) == 1:
        (folder / "shard-0.tmp").replace(folder / "model.safetensors")
        return
    weight_map: dict[str, str] = {}
    for index, names in enumerate(shards):
        file = f"model-{index + 1:05}-of-{len(shards):05}.safetensors"
        (folder / f"shard-{index}.tmp").replace(folder / file)
        weight_map |= dict.fromkeys(names, file)
    _write_json(
        folder / "model.safetensors.index.json",
        {"metadata": {"total_size": total}, "weight_map": weight_map},
    )


def _copy_files(decoder: Path, compressor: Path, folder: Path) -> None:
    for name in _TOKENIZER_FILES:
        _copy(decoder / name, folder)
    for name in _PROCESSOR_FILES:
        _copy(compressor / name, folder)
    own = compressor / COMPRESSOR_TOKENIZER
    tokenizer = (own if own.is_dir() else compressor) / "tokenizer.json"
    if tokenizer.read_bytes() != (decoder / "tokenizer.json").read_bytes():
        target = folder / COMPRESSOR_TOKENIZER
        target.mkdir(exist_ok=True)
        for name in _TOKENIZER_FILES:
            _copy(tokenizer.parent / name, target)


def _copy(file: Path, folder: Path) -> None:
    if file.is_file() and file.resolve() != (folder / file.name).resolve():
        shutil.copyfile(file, folder / file.name)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

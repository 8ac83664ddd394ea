"""Finds the weights in a model folder and checks that they are complete, without importing torch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tempo.errors import TempoError

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
PICKLES = ("pytorch_model*.bin", "model*.pt", "consolidated*.pth")
OWN_ADAPTER = ("adapter.json", "adapter.safetensors")  # what `tempo train` writes
PEFT_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
_LFS = b"version https://git-lfs.github.com/spec/"
_HEADER_LIMIT = 100_000_000  # bytes, as in the safetensors library


def check_file(path: Path) -> None:
    """Check that a file exists and holds its own content.

    Raises:
        TempoError: it is a link whose target has gone, a Git LFS pointer, a folder, or cannot be read.
    """
    if path.is_symlink() and not path.exists():
        raise TempoError(f"{path}: a broken link to {os.readlink(path)}; download the model again")
    try:
        with path.open("rb") as file:
            start = file.read(len(_LFS))
    except FileNotFoundError:
        raise TempoError(f"{path}: is missing; download the model again") from None
    except OSError as error:
        raise TempoError(f"{path}: cannot be read ({error.strerror})") from error
    if start == _LFS:
        raise TempoError(f"{path}: a Git LFS pointer instead of the file; run `git lfs pull` in its folder")


def read_json(path: Path, missing: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        missing: what to say where there is no such file.

    Raises:
        TempoError: it is missing, damaged, or holds something else.
    """
    if not path.is_symlink() and not path.exists():
        raise TempoError(missing)
    check_file(path)
    try:
        values = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise TempoError(f"{path}: cannot be read as JSON ({first_line(error)})") from error
    if not isinstance(values, dict):
        raise TempoError(f"{path}: not a JSON object")
    return values


def shards_of(folder: Path) -> list[Path]:
    """The safetensors files of a model: those that its index names, else its one file, else all there are.

    Raises:
        TempoError: the index is damaged, a file is missing or is not itself, or there is none.
    """
    index = folder / INDEX
    if index.is_file() or index.is_symlink():
        files = [folder / name for name in _indexed(index)]
        for file in files:
            if not file.is_symlink() and not file.is_file():
                raise TempoError(f"{index}: the shard {file.name} is missing; download the model again")
    elif (folder / WHOLE).is_file() or (folder / WHOLE).is_symlink():
        files = [folder / WHOLE]
    else:
        files = sorted(
            set(folder.glob("*.safetensors")) - {folder / name for name in OWN_ADAPTER + PEFT_ADAPTER}
        )
    if not files:
        instead = what_it_is(folder) or "fetch them, or convert them from what they are in"
        raise TempoError(f"{folder}: there are no .safetensors files; {instead}")
    for file in files:
        check_file(file)
    return files


def _indexed(index: Path) -> list[str]:
    """The files that an index names, each once."""
    names = read_json(index, "").get("weight_map")
    if not isinstance(names, dict) or not names:
        raise TempoError(f"{index}: weight_map must map every tensor to a file; download it again")
    for tensor, name in names.items():
        if not isinstance(name, str) or not name or Path(name).name != name:
            raise TempoError(f"{index}: weight_map names no file of this folder for {tensor}: {name!r}")
    return sorted(set(names.values()))


def check_shard(path: Path) -> None:
    """Compare a safetensors file's length with what its header says; no tensor is read.

    Raises:
        TempoError: it is cut short, or something else.
    """
    check_file(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise ValueError("its header is invalid")
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            if max(ends, default=0) != size - 8 - length:
                raise ValueError(f"it has {size} bytes and should have {max(ends, default=0) + 8 + length}")
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise TempoError(
                f"{path}: damaged or not a safetensors file ({first_line(error)}); download it again"
            ) from error


def what_it_is(folder: Path) -> str | None:
    """What a folder without a model holds instead, and how to make a model of it; None: unknown."""
    if all((folder / name).exists() for name in OWN_ADAPTER):
        whole = folder.parent / "model"
        if (whole / "config.json").is_file():
            return f"it holds an adapter; the model with it merged in is {whole}"
        return f"it holds an adapter; make a model of it with: tempo convert MODEL NEW --adapter {folder}"
    if (folder / PEFT_ADAPTER[0]).exists():
        return (
            "it holds a PEFT adapter; merge it where it was trained, with merge_and_unload() and "
            "save_pretrained(), and give that folder"
        )
    if pickles_of(folder):
        return f"it holds pickled weights; make safetensors of them with: tempo convert {folder} NEW"
    if any(folder.glob("*.gguf")):
        return "it holds GGUF weights, which are quantised; give the model that they were made from"
    if (folder / "recipe.yaml").is_file():
        if (folder / "model" / "config.json").is_file():
            return f"it holds a training run; its model is {folder / 'model'}"
        return f"it holds a training run without a model yet; go on with: tempo train --resume {folder}"
    inside = [path.parent for path in sorted(folder.glob("*/config.json"))]
    return f"it holds another folder that may be meant: {inside[0]}" if len(inside) == 1 else None


def pickles_of(folder: Path) -> list[Path]:
    """Pickled weights, as torch.save writes them, of the first naming scheme that is found."""
    return next((found for kind in PICKLES if (found := sorted(folder.glob(kind)))), [])


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]

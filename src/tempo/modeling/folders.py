"""Finding models: a folder, a hub name, a base beside its checkpoint. And reading the files in them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from tempo.errors import TempoError, UsageError
from tempo.hub_errors import explained
from tempo.number_checks import shown

# What a model consists of for us; pickled weights are left where they are.
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.jinja"]


def find_model(name: str | PathLike[str]) -> Path:
    """The folder of a model that is given as a folder or as a hub name like `Vision-CAIR/Tempo-6B`.

    Raises:
        TempoError: there is no such folder, and the hub does not have it or cannot be reached.
    """
    if not isinstance(name, str | PathLike):
        raise UsageError(f"a model is a folder or a hub name, not {type(name).__name__}: {shown(name)}")
    text = str(name)
    if not text.strip():
        raise UsageError("the name of the model is empty; give a folder or a hub name, or leave it out")
    # What a file system cannot have as a name, pathlib raises an error for; these do not.
    folder = os.path.expanduser(text)
    if os.path.isdir(folder):
        return Path(folder)
    if os.path.exists(folder):
        raise TempoError(f"{name}: a model is a folder with a config.json, and this is a file")
    if text.count("/") != 1 or text.startswith((".", "/", "~")):
        raise TempoError(f"{name}: there is no such folder, and it is not a hub name like owner/model")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(text, allow_patterns=_WANTED))
    except Exception as error:  # the hub's client raises a dozen unrelated types
        raise TempoError(f"{name}: there is no such folder, and {explained(text, error)}") from error


def find_base(name: str, checkpoint: Path) -> Path:
    """The base model that a published checkpoint names: in it, beside it, as a folder, or on the hub."""
    last = Path(name).name
    for folder in (checkpoint / last, checkpoint.resolve().parent / last, Path(name).expanduser()):
        if (folder / "config.json").is_file():
            return folder
    try:
        return find_model(name)
    except TempoError as error:
        why = str(error).removeprefix(f"{name}: there is no such folder, and ")
        raise TempoError(
            f"{checkpoint}: its base model {name!r} is not beside it, and {why}; or name a folder with base="
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder.

    Raises:
        TempoError: it is missing or not JSON.
    """
    return read_json(folder / "config.json", f"{folder}: there is no config.json; is it a model folder?")


def read_json(path: Path, missing: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise TempoError(missing) from None
    except (OSError, ValueError) as error:
        raise TempoError(f"{path}: not readable as JSON ({_first_line(error)})") from error
    if not isinstance(values, dict):
        raise TempoError(f"{path}: not a JSON object")
    return values


class Weights:
    """The tensors in the safetensors files of a folder, one shard or many, read one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = sorted(folder.glob("*.safetensors"))
        index = folder / "model.safetensors.index.json"
        if index.is_file():
            shards = set(read_json(index, "")["weight_map"].values())
            self.files = [folder / shard for shard in sorted(shards)]
        elif (folder / "model.safetensors").is_file():
            self.files = [folder / "model.safetensors"]
        for file in self.files:
            if not file.is_file():
                raise TempoError(f"{index}: the shard {file.name} is missing; download the model again")
        if not self.files:
            raise TempoError(f"{folder}: there are no .safetensors files; convert the weights first")

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """(name, slice) of every tensor. A slice tells its shape at once and reads when it is indexed."""
        for file in self.files:
            with _open(file) as shard:
                for name in shard.keys():  # noqa: SIM118 - not a dictionary
                    yield name, shard.get_slice(name)

    def count(self) -> int:
        """How many numbers the tensors hold together; only the files' headers are read."""
        return sum(math.prod(lazy.get_shape()) for _, lazy in self)

    def find(self, *names: str) -> torch.Tensor | None:
        """The first of the tensors that is there, as a lazily read slice."""
        for wanted in names:
            for name, lazy in self:
                if name == wanted:
                    return lazy
        return None


def _open(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt")
    except Exception as error:
        raise TempoError(
            f"{file}: damaged or not a safetensors file ({_first_line(error)}); download it again"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

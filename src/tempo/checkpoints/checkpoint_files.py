"""Where the files of a checkpoint are (a folder, the hub, a base beside it), and the tensors in them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from tempo.errors import MissingModelError, TempoError, UsageError
from tempo.number_checks import shown
from tempo.storage.model_files import (
    first_line,
    pickles_of,
    read_json,
    shards_of,
    what_it_is,
)

from .hub_errors import explained

# What a model consists of for us; pickled weights are left where they are.
_DESCRIPTION = ["*.json", "*.txt", "*.jinja"]
_WANTED = [*_DESCRIPTION, "*.safetensors"]


def find_model(name: str | PathLike[str], *, weights: bool = True, **hub: Any) -> Path:
    """The folder of a model that is given as a folder or as a hub name like `Vision-CAIR/Tempo-6B`.

    Args:
        weights: whether they are needed; without them, what the hub has is fetched in a moment.
        hub: arguments of `huggingface_hub.snapshot_download`: revision, token, cache_dir and the like.

    Raises:
        MissingModelError: there is no such folder, and the hub does not have it or cannot be reached.
        TempoError: it is a file.
        UsageError: a revision of a folder, or no name.
    """
    if not isinstance(name, str | PathLike):
        raise UsageError(f"a model is a folder or a hub name, not {type(name).__name__}: {shown(name)}")
    text = str(name)
    if not text.strip():
        raise UsageError("the name of the model is empty; give a folder or a hub name, or leave it out")
    # What a file system cannot have as a name, pathlib raises an error for; these do not.
    folder = os.path.expanduser(text)
    if os.path.isdir(folder):
        if hub.get("revision"):
            raise UsageError(f"revision={hub['revision']!r}: {name} is a folder, which has none")
        return Path(folder)
    if os.path.exists(folder):
        raise TempoError(f"{name}: a model is a folder with a config.json, and this is a file")
    text = text.removeprefix("https://huggingface.co/").rstrip("/")
    if text.count("/") != 1 or text.startswith((".", "/", "~")):
        raise MissingModelError(f"{name}: there is no such folder, and it is not a hub name like owner/model")
    from huggingface_hub import snapshot_download

    try:
        wanted = _WANTED if weights else _DESCRIPTION
        return Path(snapshot_download(_as_cached(text, hub.get("cache_dir")), allow_patterns=wanted, **hub))
    except Exception as error:  # the hub's client raises a dozen unrelated types
        raise MissingModelError(f"{name}: there is no such folder, and {explained(text, error)}") from error


def _as_cached(name: str, cache: str | PathLike[str] | None) -> str:
    """A hub name as the cache spells it. The hub does not mind upper case; a second copy would be large."""
    from huggingface_hub import constants

    wanted = "models--" + name.replace("/", "--")
    homes = [home.name for home in Path(cache or constants.HF_HUB_CACHE).glob("models--*--*")]
    if wanted not in homes:
        for home in homes:
            if home.lower() == wanted.lower():
                return home.removeprefix("models--").replace("--", "/", 1)
    return name


def find_base(name: str, checkpoint: Path, **hub: Any) -> Path:
    """The base model that a published checkpoint names: in it, beside it, as a folder, or on the hub."""
    last = Path(name).name
    for folder in (checkpoint / last, checkpoint.resolve().parent / last, Path(os.path.expanduser(name))):
        if (folder / "config.json").is_file():
            return folder
    try:
        return find_model(name, **hub)
    except TempoError as error:
        why = str(error).removeprefix(f"{name}: there is no such folder, and ")
        raise MissingModelError(
            f"{checkpoint}: its base model {name!r} is not beside it, and {why}; or name a folder with base="
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder.

    Raises:
        TempoError: it is missing or not JSON.
    """
    path = folder / "config.json"
    if path.exists() or path.is_symlink():
        return read_json(path, "")
    raise TempoError(f"{folder}: there is no config.json; {what_it_is(folder) or 'is it a model folder?'}")


# Wrapped around a model while it trained, and left in the names of its tensors.
_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


class Weights:
    """The tensors in the safetensors files of a folder, one shard or many, read one at a time.

    Their names are those of the bare model, whatever it was wrapped in when it was saved.

    Args:
        pickled: read what torch.save wrote where there are no safetensors files.

    Raises:
        TempoError: a file is missing or damaged, or there is none.
    """

    def __init__(self, folder: Path, *, pickled: bool = False) -> None:
        self.folder = folder
        self.pickled = pickled and not any(folder.glob("*.safetensors*")) and bool(pickles_of(folder))
        self.files = pickles_of(folder) if self.pickled else shards_of(folder)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """(name, slice) of every tensor. A slice tells its shape at once and reads when it is indexed."""
        for file in self.files:
            if self.pickled:
                yield from ((bare_name(name), _Loaded(tensor)) for name, tensor in _unpickled(file).items())
                continue
            with _open(file) as shard:
                for name in shard.keys():  # noqa: SIM118 - not a dictionary
                    yield bare_name(name), shard.get_slice(name)

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


class _Loaded:
    """A tensor with the interface of a safetensors slice."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor

    def get_shape(self) -> list[int]:
        return list(self._tensor.shape)

    def get_dtype(self) -> str:
        return str(self._tensor.dtype).removeprefix("torch.")

    def __getitem__(self, index: Any) -> torch.Tensor:
        return self._tensor[index].clone()  # tied ones share their memory, which safetensors does not know


def bare_name(name: str) -> str:
    """A tensor's name without what DistributedDataParallel, torch.compile or FSDP put into it."""
    first, *others = name.split(".")
    kept = [] if first == "module" else [first]
    return ".".join(part for part in [*kept, *others] if part not in _WRAPPERS)


def _open(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt")
    except Exception as error:
        raise TempoError(
            f"{file}: damaged or not a safetensors file ({first_line(error)}); download it again"
        ) from error


def _unpickled(file: Path) -> dict[str, torch.Tensor]:
    """What torch.save wrote, if it is tensors by name; code in it is never run."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TempoError(f"{file}: cannot be read as pickled weights ({first_line(error)})") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise TempoError(f"{file}: does not hold named tensors; save a state_dict")
    return state

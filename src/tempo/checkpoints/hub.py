"""Models on the hub: what is here of them, and fetching them so that a broken transfer goes on later.

Everything lies in the hub client's own cache, where `tempo.load` finds a model by its name. The client begins
a file again whose transfer broke. So the large ones are fetched here, into a part that stays, and checked;
the client then finds them in place and does the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.storage.file_lock import lock
from tempo.storage.model_files import check_file, check_shard, shards_of

from .hub_errors import explained, is_web_page, web_page

PUBLISHED = "Vision-CAIR/Tempo-6B"
PUBLISHED_LICENCE = (
    "The weights of Vision-CAIR/Tempo-6B are not covered by the licence of this program. Their authors "
    "distribute them for academic and non-commercial research only; any commercial use needs their written "
    "consent. They are built on Qwen3-VL-2B-Instruct and Qwen3-4B, which have terms of their own."
)
MODEL_TYPE = "tempo_qwen"
WANTED = ("*.json", "*.safetensors", "*.txt", "*.jinja")  # of a repository; pickled weights are left there
LARGE = 10_000_000  # bytes from which on a file is worth going on with
BLOCK = 1 << 20


@dataclass(frozen=True)
class Cached:
    """A model in the hub client's cache.

    Attributes:
        folder: of its newest snapshot.
        size: bytes of everything that is kept of it, unfinished files included.
        problem: what loading would say of its files, or "".
    """

    name: str
    folder: Path
    size: int
    problem: str

    @property
    def complete(self) -> bool:
        """Whether all of its files are there and whole."""
        return not self.problem


@dataclass(frozen=True)
class HubFile:
    """A file of a repository. `etag` names its content, of the largest ones by SHA-256; of small ones: ""."""

    name: str
    size: int
    etag: str
    url: str


def cache_folder() -> Path:
    """The hub client's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def cached(name: str) -> Cached | None:
    """What the cache has of a model; None: nothing that could be loaded."""
    home = _home(name)
    snapshots = [folder for folder in home.glob("snapshots/*") if (folder / "config.json").is_file()]
    if not snapshots:
        return None
    newest = max(snapshots, key=lambda folder: folder.stat().st_mtime)
    size = sum(file.stat().st_size for file in (home / "blobs").glob("*") if file.is_file())
    return Cached(name, newest, size, problem_of(newest))


def cached_models() -> list[Cached]:
    """The models in the cache that tempo can load, by name."""
    found = []
    for home in sorted(cache_folder().glob("models--*--*")):
        here = cached(home.name.removeprefix("models--").replace("--", "/", 1))
        if here is not None and _config(here.folder).get("model_type") == MODEL_TYPE:
            found.append(here)
    return found


def problem_of(folder: Path) -> str:
    """What is wrong with the files of a model's folder, or "". No number of its weights is read."""
    try:
        for file in shards_of(folder):
            check_shard(file)
        for name in ("config.json", "tokenizer.json"):
            check_file(folder / name)
    except TempoError as error:
        return str(error)
    return ""


def base_of(folder: Path) -> str | None:
    """The hub name of the base that a published checkpoint needs beside it; None: it needs none."""
    config = _config(folder)
    names = config.get("mm_vision_tower_aux_list")
    if config.get("compressor_config") is not None or not isinstance(names, list) or not names:
        return None
    return str(names[0])


def licence_of(name: str) -> str:
    """What a user has to know before fetching a model.

    Raises:
        TempoError: the hub cannot be reached or does not have it.
    """
    if name == PUBLISHED:
        return PUBLISHED_LICENCE
    from huggingface_hub import constants

    info = _asked(name, lambda api: api.model_info(name))
    told = info.card_data.get("license") if info.card_data is not None else None
    known = f"says that its licence is {told}" if told else "does not say what its licence is"
    now = f", which the hub calls {info.id} now," if info.id != name else ""
    return f"{name}{now} {known}; its terms are at {constants.ENDPOINT}/{info.id}."


def files_of(name: str) -> list[HubFile]:
    """The files that make a model, as the hub lists them now.

    Raises:
        TempoError: the hub cannot be reached or does not have it.
    """
    from fnmatch import fnmatch

    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    def ask(api: Any) -> list[HubFile]:
        info = api.model_info(name, files_metadata=True)
        found = []
        for entry in info.siblings or ():
            if any(fnmatch(entry.rfilename, pattern) for pattern in WANTED):
                url = hf_hub_url(name, entry.rfilename, revision=info.sha)
                size, etag = entry.size, ""
                if size is None or size >= LARGE:
                    meta = get_hf_file_metadata(url)
                    size, etag = meta.size or 0, meta.etag or ""
                found.append(HubFile(entry.rfilename, size, etag, url))
        return found

    files = _asked(name, ask)
    if not any(file.name == "config.json" for file in files):
        raise TempoError(f"{name}: the repository holds no config.json; is it a model?")
    return files


def missing_bytes(name: str, files: list[HubFile]) -> int:
    """How much of FILES has yet to be fetched."""
    blobs = _home(name) / "blobs"
    here = cached(name)
    missing = 0
    for file in files:
        if file.etag and (blobs / file.etag).is_file():
            continue
        if not file.etag and here is not None and (here.folder / file.name).is_file():
            continue
        part = _part(name, file)
        missing += file.size - (min(part.stat().st_size, file.size) if file.etag and part.is_file() else 0)
    return missing


def fetch(name: str, files: list[HubFile]) -> Path:
    """Bring a model into the cache and return its folder. What is there already is not fetched again.

    Raises:
        TempoError: there is no room, the transfer broke, or what came is not what the hub says it is. What
            was fetched stays, and the next call goes on from there.
    """
    home = _home(name)
    try:
        (home / "blobs").mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(home).free
    except OSError as error:
        raise TempoError(
            f"{home}: cannot be created ({error.strerror}); set HF_HOME to another folder"
        ) from error
    if (missing := missing_bytes(name, files)) > free:
        raise TempoError(
            f"{name}: {missing / 1e9:.1f} GB are missing, and {home.parent} has {free / 1e9:.1f} GB free; "
            "free some space, or set HF_HOME to another folder"
        )
    for file in files:
        if file.etag and not (home / "blobs" / file.etag).is_file():
            _fetch_large(name, file, home / "blobs" / file.etag)
    from huggingface_hub import snapshot_download

    return Path(_asked(name, lambda _: snapshot_download(name, allow_patterns=list(WANTED)), fetching=True))


def _fetch_large(name: str, file: HubFile, destination: Path) -> None:
    """Fetch one file into its part, from where that ends, and move it into place once it is right."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    part = _part(name, file)
    with part.open("ab") as writing:
        if lock(writing, wait=False) is False:
            raise TempoError(f"{name}: another process is downloading {file.name}; wait for it")
        if destination.is_file():  # another process was quicker
            part.unlink(missing_ok=True)
            return
        size = os.fstat(writing.fileno()).st_size
        if size > file.size:
            writing.truncate(0)
            size = 0
        try:
            _asked(
                name,
                lambda _: http_get(
                    file.url,
                    writing,
                    resume_size=size,
                    headers=build_hf_headers(),
                    expected_size=file.size,
                    displayed_filename=file.name,
                ),
                fetching=True,
            )
        finally:
            writing.flush()
            _check_no_page(name, part, size)
        if len(file.etag) == 64 and _sha256(part) != file.etag:
            part.unlink()
            raise TempoError(
                f"{name}: {file.name} arrived damaged and was removed; run the same command again"
            )
        os.replace(part, destination)


def _check_no_page(name: str, part: Path, before: int) -> None:
    """Take out of a part what was added behind BEFORE, if a proxy's page has come in the file's place."""
    from huggingface_hub import constants

    with part.open("rb") as file:
        file.seek(before)
        came = file.read(512)
    if is_web_page(came):
        os.truncate(part, before)
        raise TempoError(f"{name}: {web_page(constants.ENDPOINT)}; what was downloaded before is kept")


def _asked(name: str, question: Callable[[Any], Any], *, fetching: bool = False) -> Any:
    """What the hub answers. Raises TempoError in one line where it does not, or a transfer breaks."""
    from huggingface_hub import HfApi

    try:
        return question(HfApi())
    except TempoError:
        raise
    except Exception as error:  # the hub's client raises a dozen unrelated types
        after = "; run the same command again to resume" if fetching else ""
        raise TempoError(f"{name}: {explained(name, error)}{after}") from error


def _home(name: str) -> Path:
    return cache_folder() / ("models--" + name.replace("/", "--"))


def _part(name: str, file: HubFile) -> Path:
    return _home(name) / "blobs" / f"{file.etag}.part"


def _config(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The manifest of a run: settings, model, versions and hardware, enough to reproduce it."""

from __future__ import annotations

import importlib.metadata as metadata
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo.errors import TempoError
from tempo.storage.atomic_files import write_atomically
from tempo.version import __version__

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

NAME = "manifest.json"
PACKAGES = ("torch", "transformers", "av", "numpy", "accelerate", "datasets", "lmms-eval")
# A resumed run must agree with its beginning in these.
FIXED = ("tasks", "data", "settings", "limit", "seed", "lmms_eval")


def write(folder: Path, values: dict[str, Any]) -> None:
    """Write the manifest atomically.

    Raises:
        TempoError: it cannot be written.
    """
    try:
        write_atomically(folder / NAME, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise TempoError(f"{folder / NAME}: cannot be written ({error.strerror or error})") from error


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        TempoError: the folder is not that of a run.
    """
    path = folder / NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TempoError(
            f"{folder}: no {NAME} in this folder; name the folder of a `tempo eval` run"
        ) from None
    except (OSError, ValueError) as error:
        raise TempoError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict) or "settings" not in values:
        raise TempoError(f"{path}: not a manifest of a run; name the folder of a `tempo eval` run")
    return values


def begin(folder: Path, values: dict[str, Any]) -> bool:
    """Begin a run in FOLDER, or resume the one in it. Returns whether it resumes.

    Args:
        values: the `FIXED` values and any others to record.

    Raises:
        TempoError: the run in the folder was begun with other values.
    """
    if not (folder / NAME).exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, {**values, "tempo": __version__, "commit": commit(), "begun": [_now()]})
        return False
    there = read(folder)
    for name in FIXED:
        if there.get(name) != values.get(name):
            raise TempoError(
                f"{folder}: was begun with {_difference(name, there.get(name), values.get(name))}; "
                "use the same value to resume it, or another --out"
            )
    write(folder, {**there, "begun": [*there.get("begun", []), _now()]})
    return True


def finish(folder: Path, **values: Any) -> None:
    """Record the values that are known at the end of a run."""
    write(folder, {**read(folder), **values, "finished": _now()})


def note_worker(folder: Path, model: Tempo, model_hash: str) -> None:
    """Record the model and the machine of the worker process.

    Raises:
        TempoError: the run was begun with another model.
    """
    values = read(folder) if (folder / NAME).exists() else {"settings": {}}
    before = values.get("worker", {}).get("model_hash")
    if before not in (None, model_hash):
        raise TempoError(
            f"{folder}: was begun with another model (hash {before[:12]}, now {model_hash[:12]}); "
            "choose another --out"
        )
    config = model.config
    values["worker"] = {
        "model": model.name,
        "model_hash": model_hash,
        "segment_frames": config.segment_frames,
        "memory_tokens": config.num_compression_tokens,
        "min_tokens": config.min_tokens,
        "model_budget": config.visual_token_budget,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "versions": versions(),
        "decoder": decoder(),
        "hardware": hardware(),
    }
    write(folder, values)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect the results."""
    found = {"python": platform.python_version(), "tempo": __version__}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def decoder() -> str:
    """The version of the video decoder and of its FFmpeg."""
    import av

    libraries = av.library_versions
    return f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, libraries.get('libavcodec', ())))}"


def hardware() -> dict[str, Any]:
    """The processor, its cores, the memory in bytes, and the GPUs."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if hasattr(os, "sysconf")
        else None,
        "gpus": gpus,
        "system": platform.platform(terse=True),
    }


def commit() -> str | None:
    """The commit of a checkout of tempo, with a plus if files are modified; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        if not git("ls-files", Path(__file__).name):
            return None  # installed inside another repository
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _difference(name: str, there: Any, now: Any) -> str:
    """The first difference between two values of NAME."""
    if isinstance(there, dict) and isinstance(now, dict):
        for key in [*there, *now]:
            if there.get(key) != now.get(key):
                return f"{key}={there.get(key)}, not {key}={now.get(key)}"
    return f"{name}={there}, not {name}={now}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""Inspect this machine for `tempo doctor`: hardware, dependencies, problems and suggestions."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tempo.formatting import size
from tempo.host_cores import cores
from tempo.version import __version__

CODECS = {"H.264": "h264", "HEVC": "hevc", "VP9": "vp9", "AV1": "libdav1d", "MPEG-4": "mpeg4"}
PUBLISHED_BYTES = 12e9  # the published weights in bfloat16


@dataclass
class Diagnosis:
    """Findings as (name, text) by section; `problems` keep tempo from working, `advice` speeds it up."""

    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def add(self, section: str, name: str, text: str) -> None:
        """Add a finding to a section."""
        self.sections.setdefault(section, []).append((name, text))


def diagnose() -> Diagnosis:
    """Inspect everything; load and download nothing."""
    found = Diagnosis()
    _program(found)
    _processor(found)
    _devices(found)
    _decoder(found)
    _attention(found)
    _models(found)
    _folders(found)
    return found


def _program(found: Diagnosis) -> None:
    found.add("program", "tempo", f"{__version__} in {Path(__file__).parent}")
    found.add("program", "python", f"{platform.python_version()} on {platform.platform()}")
    versions = (f"{name} {_version(name)}" for name in ("torch", "transformers", "av"))
    found.add("program", "libraries", " · ".join(versions))


def _processor(found: Diagnosis) -> None:
    import torch

    from tempo.devices import available_bytes, pick_dtype

    usable, threads = cores(), torch.get_num_threads()
    found.add("machine", "processor", f"{usable} cores; torch uses {threads}")
    limit = next((name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ), None)
    if limit is not None and threads < usable:
        found.advice.append(f"{limit} limits torch to {threads} of {usable} cores: unset it")
    cpu = torch.device("cpu")
    fast = pick_dtype("auto", cpu) is torch.bfloat16
    found.add("machine", "computes in", "bfloat16" if fast else "float32")
    free = available_bytes(cpu)
    found.add("machine", "memory", f"{size(free)} free")
    if free < PUBLISHED_BYTES and not torch.cuda.is_available():
        found.advice.append(
            f"the published weights need {size(int(PUBLISHED_BYTES))} of memory and {size(free)} are free: "
            "use a larger machine for them; the embedded model needs 1 GB"
        )


def _devices(found: Diagnosis) -> None:
    import torch

    from tempo.devices import pick_device

    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        found.add("devices", f"cuda:{index}", f"{gpu.name}, {size(gpu.total_memory)}")
    if torch.backends.mps.is_available():
        found.add("devices", "mps", "the GPU of this Mac")
    chosen = pick_device("auto")
    found.add("devices", "chosen", f"{chosen} (choose another with --device)")
    if chosen.type != "cpu":
        return
    if torch.version.cuda is None and (shutil.which("nvidia-smi") or os.path.exists("/dev/nvidia0")):
        found.advice.append("this build of torch cannot use the GPU: install a build with CUDA")
    elif os.path.exists("/dev/nvidia0"):
        found.advice.append("torch cannot reach the GPU: check its driver and the permissions")
    else:
        found.advice.append(
            "there is no GPU: the embedded model needs none; the published weights are slow, but with "
            "--cache disk only for the first question about a video"
        )


def _decoder(found: Diagnosis) -> None:
    import av

    libraries = av.library_versions
    version = ".".join(map(str, libraries.get("libavcodec", ())))
    found.add("decoder", "PyAV", f"{av.__version__} with libavcodec {version}")
    there = [name for name, codec in CODECS.items() if _decodes(codec)]
    found.add("decoder", "decodes", ", ".join(there))
    if "H.264" not in there:
        found.problems.append("this build of PyAV does not decode H.264: install the wheel of `av`")


def _attention(found: Diagnosis) -> None:
    import torch

    here = importlib.util.find_spec("flash_attn") is not None
    others = "eager, flash_attention_2" if here else "eager; flash_attention_2 is not installed"
    found.add("attention", "backend", f"sdpa (--attention: {others})")
    if torch.cuda.is_available() and here:
        found.advice.append("flash-attn is installed: try --attention flash_attention_2 on long videos")


def _models(found: Diagnosis) -> None:
    from tempo.assets import NANO
    from tempo.checkpoints import hub

    if (NANO / "config.json").is_file():
        found.add("models", "embedded", str(NANO))
    else:
        found.problems.append("the embedded model is missing: reinstall tempo")
    for one in hub.cached_models():
        state = size(one.size) if one.complete else f"incomplete; resume with: tempo download {one.name}"
        found.add("models", one.name, state)


def _folders(found: Diagnosis) -> None:
    from tempo.checkpoints import hub
    from tempo.errors import TempoError
    from tempo.inference.prefix_cache import DiskCache

    found.add("folders", "models", str(hub.cache_folder()))
    try:
        cache = DiskCache()
    except TempoError as error:
        found.problems.append(str(error))
        return
    existing = next(folder for folder in (cache.root, *cache.root.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    found.add("folders", "videos", f"{cache.root}, up to {size(cache.limit_bytes)}; {size(free)} free")
    if not os.access(existing, os.W_OK):
        found.problems.append(f"{cache.root} is not writable: set TEMPO_CACHE to another folder")
    elif free < cache.limit_bytes:
        found.advice.append(
            f"{cache.root} may grow to {size(cache.limit_bytes)} and {size(free)} are free: set TEMPO_CACHE "
            "to a folder on a larger disk, or lower TEMPO_CACHE_GB"
        )


def _decodes(codec: str) -> bool:
    import av.codec

    try:
        av.codec.Codec(codec, "r")
    except ValueError:
        return False
    return True


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "?"

"""Where to compute and in which dtype, how much memory there is, and what a forked process can use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from tempo.bfloat16_probe import is_faster_in_bfloat16
from tempo.errors import TempoError, UsageError
from tempo.host_memory import free_bytes, peak_resident_bytes

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
COMFORTABLE = 0.7  # share of the free memory that weights may take; segments and what is kept need the rest

_CUDA = torch.device("cuda")  # the current one: without an index it equals none that has one
_process = os.getpid()  # in which torch may use all of its threads


def pick_device(device: str | torch.device) -> torch.device:
    """Raises TempoError for a device that is not there."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise UsageError(f"device={device!r}: choose auto, cpu, cuda, cuda:1, mps …") from None
    present: dict[str, Callable[[], bool]] = {
        "cuda": lambda: torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if not present.get(chosen.type, lambda: False)():
        raise TempoError(f"device={device}: not available on this machine; use device=auto or cpu")
    return chosen


def pick_devices(
    device: str | torch.device | None, devices: str | Sequence[str | torch.device] | None
) -> list[torch.device]:
    """The devices to compute on, the main one first.

    Args:
        device: one; None: "auto".
        devices: several; "all": every GPU of this machine.

    Raises:
        UsageError: both are given, or none is named.
        TempoError: one is not there.
    """
    if devices is None:
        return [pick_device("auto" if device is None else device)]
    if device is not None:
        raise UsageError("give either device or devices, not both")
    if devices == "all":
        devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        if not devices:
            raise TempoError("devices=all: this machine has no GPU that torch can use; leave it out")
    if isinstance(devices, str) or not devices:
        raise UsageError(f"devices={devices!r}: give a list such as ['cuda:0', 'cuda:1'], or 'all'")
    chosen = [pick_device(one) for one in devices]
    if len(chosen) == 1:
        return chosen
    return [torch.device("cuda", torch.cuda.current_device()) if one == _CUDA else one for one in chosen]


def name_on_machine(device: torch.device) -> str:
    """What a device is called on its machine, whichever process asks.

    Ray shows each worker the GPUs that it holds as cuda:0 and so on, by CUDA_VISIBLE_DEVICES.
    """
    if device.type != "cuda":
        return str(device)
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    index = device.index or 0
    name = shown[index].strip() if index < len(shown) else ""
    return f"cuda:{name or index}"


def prepare_process(device: torch.device) -> None:
    """Make torch work in a process that was forked from one that may have computed.

    The threads that share out a CPU's work stay behind in the parent, and whoever waits for them waits for
    ever. So the child computes on one, as torch's own data loaders do.

    Raises:
        TempoError: the device is a GPU that the parent has opened.
    """
    global _process
    if os.getpid() == _process:
        return
    if device.type == "cuda" and getattr(torch.cuda, "_is_in_bad_fork", lambda: False)():
        raise TempoError(
            "a forked process cannot use the GPU that its parent uses; start workers with multiprocessing's "
            "spawn method and load the model in each"
        )
    torch.set_num_threads(1)
    _process = os.getpid()


def pick_dtype(
    dtype: str | torch.dtype, device: torch.device, *, count_parameters: Callable[[], int] | None = None
) -> torch.dtype:
    """The dtype to compute in.

    Args:
        count_parameters: counts those of a model that is to be loaded. With "auto" it gets bfloat16, even
            where float32 is faster, if its weights would take more than COMFORTABLE of the free memory.

    Raises:
        UsageError: a dtype that does not exist.
        TempoError: raised by `count_parameters`.
    """
    if isinstance(dtype, torch.dtype):
        if not dtype.is_floating_point or dtype.itemsize < 2:
            raise UsageError(f"dtype={dtype}: it can be auto, {', '.join(DTYPES)}")
        return dtype
    if dtype == "auto":
        if device.type == "cuda" or is_faster_in_bfloat16():
            return torch.bfloat16
        if count_parameters is not None:
            taken = count_parameters() * torch.float32.itemsize
            if taken > COMFORTABLE * available_bytes(device):
                return torch.bfloat16
        return torch.float32
    if dtype not in DTYPES:
        raise UsageError(f"dtype={dtype!r}: it can be auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


def available_bytes(device: torch.device) -> int:
    """Memory that can still be taken on a device; on the host also within the limits of a container."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = free_bytes()
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        if (most := _read_number(limit)) is not None and (taken := _read_number(used)) is not None:
            free = min(free, max(0, most - taken))
    return free


def peak_bytes(device: torch.device) -> int:
    """The most memory that was in use at once: on a GPU by tensors, on the host by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident_bytes()


def _read_number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return None

"""Whether this processor is faster in bfloat16 than in float32: measured once, then remembered.

Measured, because a processor's flags do not tell: some that have the instructions run them at half the speed
of float32. The result is kept in the cache folder for this processor and this version of torch, so that the
next process neither waits for it nor decides otherwise on a busy machine: an answer should be the same one
tomorrow. A folder that cannot be read or written only means that the next process measures again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import takewhile
from pathlib import Path

import torch

from tempo.user_cache import cache_root

_FASTER = "bfloat16_is_faster"
_MEASURING = threading.Lock()


def is_faster_in_bfloat16() -> bool:
    """Whether matrices are multiplied faster in bfloat16 than in float32."""
    with _MEASURING:  # the number of threads is the whole process's
        return _remembered_or_measured()


@cache
def _remembered_or_measured() -> bool:
    processor = _processor()
    digest = hashlib.sha256(json.dumps(processor, sort_keys=True).encode()).hexdigest()
    file = cache_root() / f"processor-{digest[:16]}.json"
    if (known := _remembered(file)) is not None:
        return known
    # In a thread of its own: what it sets for itself does not reach the caller's.
    with ThreadPoolExecutor(1) as thread:
        seconds = thread.submit(_multiplying_seconds).result()
    faster = seconds[torch.bfloat16] < seconds[torch.float32]
    _remember(file, {**processor, _FASTER: faster})
    known = _remembered(file)  # another process may have been first; all have to choose alike
    return faster if known is None else known


def _processor() -> dict[str, str]:
    """What the result depends on."""
    found = {"torch": torch.__version__, "machine": platform.machine(), "processor": platform.processor()}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in takewhile(str.strip, file):  # of the first core
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "flags", "Features"):
                found[name.strip()] = value.strip()
    return found


def _remembered(file: Path) -> bool | None:
    try:
        faster = json.loads(file.read_text("utf-8"))[_FASTER]
    except (OSError, ValueError, LookupError, TypeError):  # not there, or not what was written
        return None
    return faster if isinstance(faster, bool) else None


def _remember(file: Path, values: dict[str, str | bool]) -> None:
    part = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
            if _remembered(file) is None:
                file.unlink(missing_ok=True)  # damaged
            os.link(part, file)  # unlike a replacement, fails if another process was first
        finally:
            part.unlink(missing_ok=True)


def _multiplying_seconds() -> dict[torch.dtype, float]:
    """The shortest of many short runs in turn on one thread: other work does not change the choice."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    operands = {
        dtype: (torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype))
        for dtype in (torch.float32, torch.bfloat16)
    }
    seconds = dict.fromkeys(operands, math.inf)
    try:
        for _ in range(40):
            for dtype, (rows, weight) in operands.items():
                started = time.perf_counter()
                torch.nn.functional.linear(rows, weight)
                seconds[dtype] = min(seconds[dtype], time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return seconds

"""Measures how long it takes until the embedded model is loaded, beside `import torch` alone.

    python -m tempo.benchmarking.startup
    python -m tempo.benchmarking.startup --rounds 10

Every round starts one process of each kind in turn, so that what else the machine does meets both. The first
round fills the file system's cache and is not counted. It prints one JSON object: for each kind the fastest
and the median round, in seconds until the process has ended and in processor seconds, and `tempo.load()` as a
multiple of `import torch`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

STATEMENTS = {"import torch": "import torch", "tempo.load()": "import tempo; tempo.load(device='cpu')"}


def measure(rounds: int) -> dict[str, Any]:
    """Seconds of every kind, and their ratio.

    Raises:
        subprocess.CalledProcessError: a process failed.
    """
    wall: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    processor: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for index in range(rounds + 1):
        for name, statement in STATEMENTS.items():
            seconds, used = _run(statement)
            if index > 0:
                wall[name].append(seconds)
                processor[name].append(used)
    found: dict[str, Any] = {
        name: {"seconds": _spread(wall[name]), "processor_seconds": _spread(processor[name])}
        for name in STATEMENTS
    }
    torch, load = STATEMENTS
    found["ratio"] = {
        measured: round(min(of[load]) / min(of[torch]), 2)
        for measured, of in (("seconds", wall), ("processor_seconds", processor))
    }
    return found


def _run(statement: str) -> tuple[float, float]:
    """(seconds, processor seconds) of a Python that runs one statement."""
    before, started = _children_seconds(), time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=os.environ)
    return time.perf_counter() - started, _children_seconds() - before


def _children_seconds() -> float:
    used = os.times()
    return used.children_user + used.children_system


def _spread(values: list[float]) -> dict[str, float]:
    return {"fastest": round(min(values), 2), "median": round(statistics.median(values), 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds that count (default: 5)")
    print(json.dumps(measure(parser.parse_args().rounds), indent=1))


if __name__ == "__main__":
    main()

"""Watch damaged files, a process each: `python -m tests.fuzz [--count 1000] [--first 0] [--jobs 2]`.

Nothing may end in a signal, hang, take a gigabyte, print anything, or raise what is not tempo's own
error, and every moment asked for must be shown or counted as lost. Each file follows from its number:
`python -m tests.fuzz --first 123 --count 1 --keep FOLDER` writes that one again.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Before numpy: a process that has threads must not fork.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.mutations import mutate
from fuzz.originals import build
from fuzz.watching import Outcome, Watching


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="files (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--only", default="", help="leave out formats without this in their name")
    parser.add_argument(
        "--keep", type=Path, help="leave files that are faulty, or the only one, in this folder"
    )
    arguments = parser.parse_args()
    begun = time.monotonic()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        originals = _built(Path(scratch))
        for number, path, what, outcome in _all(originals, Path(scratch), arguments):
            counts["faulty" if outcome.fault else "refused" if outcome.refused else "watched"] += 1
            if outcome.fault:
                print(f"--- {number}: {path.name}, {what}\n{outcome.fault}\n", flush=True)
            if arguments.keep and (outcome.fault or arguments.count == 1):
                arguments.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, arguments.keep)
            path.unlink()
            shutil.rmtree(path.with_name(f"{path.name}.clips"), ignore_errors=True)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in ("watched", "refused", "faulty"))
    print(f"{counts.total()} files of {len(originals)} formats in {time.monotonic() - begun:.0f} s: {told}")
    return int(counts["faulty"] > 0)


def _built(folder: Path) -> dict[str, bytes]:
    """The files to be damaged. Encoders leave threads behind, so another process writes them."""
    place = folder / "originals"
    place.mkdir()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            build(place)
            status = 0
        finally:
            os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        sys.exit("the files to be damaged cannot be written")
    return {path.name: path.read_bytes() for path in sorted(place.iterdir())}


def _all(
    originals: dict[str, bytes], folder: Path, arguments: argparse.Namespace
) -> Iterator[tuple[int, Path, str, Outcome]]:
    """Every file's number, path, damage and outcome, as they end."""
    names = list(originals)
    numbers = (
        number
        for number in range(arguments.first, arguments.first + arguments.count)
        if arguments.only in names[number % len(names)]
    )
    running: dict[Watching, tuple[int, Path, str]] = {}
    while True:
        while len(running) < arguments.jobs and (number := next(numbers, None)) is not None:
            name = names[number % len(names)]
            data, what = mutate(originals[name], random.Random(number))
            path = folder / f"{number}-{name}"
            path.write_bytes(data)
            running[Watching(path)] = (number, path, what)
        if not running:
            return
        for process in list(running):
            if (outcome := process.outcome()) is not None:
                yield *running.pop(process), outcome
        time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main())

"""How a batch run speeds up with workers: measured on this machine, and simulated beyond it.

    python -m tempo.benchmarking.scaling                 # 8 to 512 workers, at the published size
    python -m tempo.benchmarking.scaling --measure 1 2   # and what workers gain here, with the embedded model

The simulation hands videos to workers as `tempo batch` does: whoever is free takes the next one. It compares
the rules by which the next one is chosen, and one that shares a long video among several workers:

* in order: as the file of cases has them;
* largest first: the longest video that is left (`tempo.batch.cases.largest_first`);
* split: largest first, and a video that takes longer than a fair share of all work is cut into ranges that
  different workers decode and watch (`tempo.batch.splitting`), all at once; one of them answers.

What a video costs is in `Costs`, with where each figure comes from.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tempo.batch.cases import Case, group
from tempo.batch.pool import run_groups
from tempo.batch.processes import Processes
from tempo.batch.splitting import last_end, workers_each
from tempo.batch.worker import WorkerConfig
from tempo.synthetic.video_files import FileSpec, make_file

WORKERS = (8, 32, 128, 512)
RULES = ("in order", "largest first", "split")


@dataclass(frozen=True)
class Costs:
    """Seconds that a worker of the published size spends: one H100-class GPU and some cores.

    Attributes:
        decode: for a second of video, on four cores: half of what the sampled frames of an hour of 720p took
            on two, 20 s (docs/performance.md).
        segment: to watch a segment: 4.8 TFLOP at half of 790 TFLOP/s.
        answer: to read a storyline of 8K (65 TFLOP) and write 32 tokens of 3 ms each.
        split: more for each further range of a video: a decoder that begins behind a keyframe, and the memory
            tokens that are gathered.
        segments: at most, of 8 frames; 2 frames a second up to there.
    """

    decode: float = 20 / 3600 / 2
    segment: float = 4.8 / 395
    answer: float = 65 / 395 + 32 * 0.003
    split: float = 0.25
    segments: int = 128

    def watching(self, seconds: float) -> float:
        """Decoding and watching overlap: the slower of the two."""
        segments = min(self.segments, math.ceil(seconds / 4))
        return max(self.decode * seconds, self.segment * segments)


@dataclass(frozen=True)
class Outcome:
    """Of a simulated run: seconds until its last answer, and the share of the workers' time that was idle."""

    seconds: float
    idle: float


def simulate(
    lengths: Sequence[float], workers: int, rule: str, *, costs: Costs, questions: int = 3
) -> Outcome:
    """Answer `questions` questions about videos of `lengths` seconds with so many workers."""
    after = questions * costs.answer
    watching = [costs.watching(seconds) for seconds in lengths]
    if rule != "in order":
        watching.sort(reverse=True)
    counts = [1] * len(watching)
    if rule == "split":
        counts = workers_each(watching, workers, range_cost=costs.split, after=[after] * len(watching))
    jobs = [
        seconds / count + costs.split * (count > 1) + after
        for seconds, count in zip(watching, counts, strict=True)
    ]
    end = last_end(jobs, counts, workers)
    busy = sum(job * count - after * (count - 1) for job, count in zip(jobs, counts, strict=True))
    return Outcome(end, 1 - busy / (workers * end))


def benchmark_like(rng: random.Random) -> list[float]:
    """900 lengths: a third of each under two minutes, of 4 to 15, and of 30 to 60, as Video-MME has them."""
    return [rng.uniform(*span) for span in ((11, 120), (240, 900), (1800, 3600)) for _ in range(300)]


def archive(rng: random.Random) -> list[float]:
    """300 lengths of recordings: most of a few minutes, some of hours (log-normal, median 10 minutes)."""
    return [min(24 * 3600.0, 600 * math.exp(rng.gauss(0, 1.5))) for _ in range(300)]


MIXES: dict[str, Callable[[random.Random], list[float]]] = {"benchmark": benchmark_like, "archive": archive}


def simulated_table(workers: Sequence[int], *, costs: Costs, seed: int = 0) -> str:
    """Seconds and idle time for each mix of videos, number of workers and rule, as Markdown."""
    lines = [
        "| videos | workers | " + " | ".join(RULES) + " | at best |",
        "|---|---|" + "---|" * (len(RULES) + 1),
    ]
    for name, draw in MIXES.items():
        rng = random.Random(f"{name}/{seed}")
        lengths = draw(rng)
        rng.shuffle(lengths)
        work = simulate(lengths, 1, "in order", costs=costs).seconds
        for count in workers:
            found = [simulate(lengths, count, rule, costs=costs) for rule in RULES]
            cells = " | ".join(f"{one.seconds:.1f} s ({one.idle:.0%} idle)" for one in found)
            hours = sum(lengths) / 3600
            lines.append(f"| {name}, {hours:.0f} h | {count} | {cells} | {work / count:.1f} s |")
    return "\n".join(lines)


def measured_table(workers: Sequence[int], *, videos: int = 8, seconds: float = 120.0) -> str:
    """Seconds of a batch run of synthetic videos with so many processes of this machine, as Markdown."""
    lines = ["| workers | seconds | speed-up |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        cases = []
        for number in range(videos):
            path = Path(folder) / f"{number}.mp4"
            spec = FileSpec(seconds=seconds, height=240, fps=10)
            make_file(path, spec, seed=f"scaling/{number}", questions=0)
            cases.append(Case(number, number, False, str(path), "What is on screen?"))
        groups = group(cases)
        first = 0.0
        for count in workers:
            began = time.perf_counter()
            config = WorkerConfig(None, {}, "none", count)
            for _ in run_groups(groups, Processes(config), count, warn=print):
                pass
            taken = time.perf_counter() - began
            first = first or taken
            lines.append(f"| {count} | {taken:.1f} | {first / taken:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="of the simulation")
    parser.add_argument(
        "--measure", type=int, nargs="+", metavar="N", help="numbers of processes to measure here"
    )
    args = parser.parse_args()
    print(simulated_table(args.workers, costs=Costs()))
    if args.measure:
        print("\n" + measured_table(args.measure))


if __name__ == "__main__":
    main()

"""Profiles where a question about a cached video spends its time, alone and beside others.

    python -m tempo.benchmarking.question_profile
    python -m tempo.benchmarking.question_profile --questions 1 16 --rounds 5 --threads 1 --json

It takes questions from their prompts to their answers as `tempo serve` does, without HTTP: it compresses them
together and writes the answers side by side. For each number of questions it prints the milliseconds of a
question in the fastest round, by stage, and the share of the operators' time in all rounds by kind: matrix
products, attention, what goes through each value once (norms, rotations, activations, sums), copies, and the
rest. What is left of the wall clock is Python.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

import tempo
from tempo.benchmarking.serving_load import short_videos
from tempo.inference.generation import DecodeBatch
from tempo.inference.posed_question import PosedQuestion
from tempo.inference.question_batch import compress_together

KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "linear", "matmul"),
    "attention": ("attention",),
    "copies": ("copy_", "cat", "clone", "index_select", "gather", "repeat", "embedding", "fill_", "zero_"),
    "each value once": ("mul", "add", "pow", "mean", "rsqrt", "neg", "silu", "gelu", "div", "sum", "softmax"),
}
"""Kinds of operators, by what their names contain; the first that fits counts."""


def answer_together(model: tempo.Tempo, questions: Sequence[PosedQuestion]) -> dict[str, float]:
    """Answer questions about cached videos side by side → the seconds of each stage."""
    begun = [time.perf_counter()]
    cached = [found for one in questions if (found := one.cached()) is not None]
    for one, segments in zip(questions, compress_together(model, cached), strict=True):
        one.compressed = segments
    begun.append(time.perf_counter())
    batch = DecodeBatch(model.model)
    for one in questions:
        batch.add(one.decoder_inputs(), one.decode_options())
    while batch.rows:
        batch.step()
    begun.append(time.perf_counter())
    return {"compress": begun[1] - begun[0], "write": begun[2] - begun[1]}


def measure(
    model: tempo.Tempo, pose: Callable[[int], list[PosedQuestion]], count: int, rounds: int
) -> dict[str, Any]:
    """Milliseconds of a question by stage, and shares of the operators' time, for COUNT questions at once."""
    stages = min(
        (answer_together(model, pose(count)) for _ in range(rounds)), key=lambda one: sum(one.values())
    )
    all_posed = [pose(count) for _ in range(rounds)]
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for posed in all_posed:
            answer_together(model, posed)
    time_of: Counter[str] = Counter()
    for event in profiled.key_averages():
        time_of[_kind(event.key)] += event.self_cpu_time_total
    return {
        "questions": count,
        "milliseconds": {name: round(1000 * seconds / count, 1) for name, seconds in stages.items()},
        "percent": {name: round(100 * spent / time_of.total()) for name, spent in time_of.most_common()},
    }


def _kind(operator: str) -> str:
    name = operator.removeprefix("aten::")
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "the rest")


def main() -> None:
    """Profile and print a table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, nargs="+", default=[1, 16], help="at once")
    parser.add_argument("--rounds", type=int, default=5, help="of each number")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = tempo.load(device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        asked = short_videos(Path(folder), 20.0)
        sessions = {path: model.watch(path, cache="host", progress=None) for path, _ in asked}

        def pose(count: int) -> list[PosedQuestion]:
            chosen = (asked * -(-count // len(asked)))[:count]
            return [sessions[path].pose((), question, max_new_tokens=32) for path, question in chosen]

        results = [measure(model, pose, count, args.rounds + 1) for count in args.questions]
    if args.json:
        print(json.dumps(results, indent=2))
        return
    for found in results:
        print(f"{found['questions']} at once")
        for name, spent in found["milliseconds"].items():
            print(f"  {name:<20}{spent:>8} ms a question")
        for name, share in found["percent"].items():
            print(f"  {name:<20}{share:>8} % of the operators' time")


if __name__ == "__main__":
    main()

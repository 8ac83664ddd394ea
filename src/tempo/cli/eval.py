"""Measure a model on published benchmarks with lmms-eval, and report what came out.

TASK is lvbench, mlvu_dev, videomme, longvideobench_val_v, all (these four), debug (ten items of Video-MME)
or any task that lmms-eval knows. A run writes its manifest, every answer and its report into one folder; the
same command goes on with a run that was ended. `tempo eval report RUN…` reports on runs, beside one another
and beside the published scores.

With --data nothing is fetched: the benchmarks are read from folders as their authors release them (LVBench,
MLVU, Video-MME, LongVideoBench below DIR). `debug` without --data draws its own films.

The published weights (Vision-CAIR/Tempo-6B) are for academic and non-commercial use only.

Examples:
  tempo eval debug
  tempo eval all --data benchmarks --check
  tempo eval lvbench --data benchmarks --model Vision-CAIR/Tempo-6B --budget 8k
  tempo eval all --model Vision-CAIR/Tempo-6B --budget 4k --processes 8 --max-errors 5 --out runs/eval-4k
  tempo eval report runs/eval-4k runs/eval-8k --out compared
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tempo.errors import UsageError

from .options import (
    KEEPS,
    add_model_options,
    given,
    non_empty_text,
    positive_integer,
    positive_number,
)

if TYPE_CHECKING:
    from tempo.evaluation.settings import Settings

REPORT = "report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare TASK and the options; the model's are the ones that all verbs share."""
    parser.add_argument(
        "tasks", metavar="TASK", nargs="+", type=non_empty_text, help="what to run; or: report RUN…"
    )
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="read the benchmarks' releases from below DIR"
    )
    parser.add_argument("--check", action="store_true", help="only say which files are missing below --data")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="where the run is kept (default: runs/eval/TASK-MODEL-BUDGET)"
    )
    parser.add_argument("--limit", metavar="N", type=positive_integer, help="items of each task at most")
    parser.add_argument(
        "--max-errors",
        metavar="N",
        type=number_from_zero,
        default=0,
        help="videos may be missing or unreadable for so many items before the run fails (default: 0)",
    )
    parser.add_argument(
        "--processes", metavar="N", type=positive_integer, default=1, help="one for each GPU (default: 1)"
    )
    parser.add_argument(
        "--seed", metavar="N", type=number_from_zero, default=0, help="of all that draws (default: 0)"
    )
    parser.add_argument(
        "--python", metavar="P", help="the Python of the environment that has lmms-eval (default: found)"
    )
    add_model_options(parser)
    watching = parser.add_argument_group("watching")
    watching.add_argument("--fps", type=positive_number, metavar="F", help="frames a second (default: 2)")
    watching.add_argument(
        "--min-frames", type=positive_integer, metavar="N", help="frames at least (default: 8)"
    )
    watching.add_argument(
        "--max-frames", type=positive_integer, metavar="N", help="frames at most (default: 1024)"
    )
    watching.add_argument(
        "--no-group",
        dest="group",
        action="store_const",
        const=False,
        help="watch a video anew for each of its questions, instead of once for all of them",
    )
    watching.add_argument(
        "--cache",
        choices=("device", "host", "disk"),
        metavar="C",
        help="where a video is kept between its questions: device, host or disk (default: device)",
    )
    answering = parser.add_argument_group("answering")
    answering.add_argument(
        "--budget",
        type=budget,
        metavar="B",
        help="memory tokens for a whole video: 4k, 8k, 12k or a number (default: the model's own)",
    )
    answering.add_argument(
        "--no-adaptive",
        dest="adaptive",
        action="store_const",
        const=False,
        help="give every moment the same share of the budget",
    )
    answering.add_argument(
        "--keep", choices=KEEPS, metavar="K", help=f"which memory tokens stay: {', '.join(KEEPS)}"
    )


def run(args: argparse.Namespace) -> None:
    """Run the tasks, or report on runs."""
    if args.tasks[0] == REPORT:
        if len(args.tasks) < 2:
            raise UsageError("tempo eval report: name the folder of at least one run")
        _report([Path(name) for name in args.tasks[1:]], args.out)
        return
    from tempo.console import counting, say
    from tempo.evaluation.benchmarks import DEBUG
    from tempo.evaluation.orchestrate import Order, carry_out, check

    if DEBUG in args.tasks and len(args.tasks) > 1:
        raise UsageError("debug is a run of its own; name it alone")
    if args.check and args.data is None:
        raise UsageError("--check is about the files below --data; say where they are")
    order = Order(
        names=args.tasks,
        settings=_settings(args),
        folder=args.out or _folder(args),
        data=args.data,
        limit=args.limit,
        seed=args.seed,
        processes=args.processes,
        max_errors=args.max_errors,
        python=args.python,
    )
    if args.check:
        print(check(order))
        return
    with counting("answering", "items", before="starting lmms-eval", after="scoring") as progress:
        carry_out(order, say=say, progress=progress)
    _report([order.folder], None)


def _report(runs: list[Path], out: Path | None) -> None:
    from tempo.evaluation.report import markdown, write
    from tempo.evaluation.run_results import read_run

    read = [read_run(folder) for folder in runs]
    print(markdown(read))
    for path in write(read, out or runs[0]):
        print(path)


def _settings(args: argparse.Namespace) -> Settings:
    from tempo.evaluation.settings import Settings

    named = ("base", "device", "dtype", "attention", "fps", "min_frames", "max_frames")
    return Settings(
        pretrained=args.model, **given(args, *named, "group", "cache", "budget", "adaptive", "keep")
    )


def _folder(args: argparse.Namespace) -> Path:
    """Where a run goes that was given no folder: equal runs to the same one, so that they go on."""
    parts = ["+".join(args.tasks), Path(args.model).name if args.model else "tempo-nano"]
    parts += [str(args.budget)] if args.budget else []
    return Path("runs", "eval", "-".join(parts))


def budget(text: str) -> int:
    """Parse a budget: 4k, 8k, 12k or a number."""
    from tempo.evaluation.settings import parse_budget

    try:
        return parse_budget(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def number_from_zero(text: str) -> int:
    """Parse a whole number of at least 0."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"must be a whole number of 0 or more, not {text!r}")
    return int(text)

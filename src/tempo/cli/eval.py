"""Evaluate a model on published benchmarks with lmms-eval.

TASK is lvbench, mlvu_dev, videomme, longvideobench_val_v, all (these four), debug (ten items of Video-MME),
or any other lmms-eval task. A run writes its manifest, every answer and its report to one folder; to resume
it, run the same command again. `tempo eval report RUN…` compares runs with each other and with the published
scores.

With --data, the command downloads nothing and reads the benchmarks as their authors release them, from the
folders LVBench, MLVU, Video-MME and LongVideoBench below DIR. `debug` without --data renders its own videos.

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
    add_decoding_options,
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
    """Declare the options."""
    parser.add_argument(
        "tasks", metavar="TASK", nargs="+", type=non_empty_text, help="task to run; or: report RUN…"
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="folder with the benchmarks' releases")
    parser.add_argument(
        "--check", action="store_true", help="only check which files are missing below --data"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder of the run (default: runs/eval/TASK-MODEL-BUDGET)"
    )
    parser.add_argument("--limit", metavar="N", type=positive_integer, help="most items of each task")
    parser.add_argument(
        "--max-errors",
        metavar="N",
        type=number_from_zero,
        default=0,
        help="abort after more than N failed items (default: 0)",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=positive_integer,
        default=1,
        help="processes; use one per GPU (default: 1)",
    )
    parser.add_argument(
        "--seed", metavar="N", type=number_from_zero, default=0, help="random seed (default: 0)"
    )
    parser.add_argument(
        "--python", metavar="P", help="Python of the environment with lmms-eval (default: search)"
    )
    add_model_options(parser)
    _add_watching(parser)
    _add_answering(parser)


def _add_watching(parser: argparse.ArgumentParser) -> None:
    watching = parser.add_argument_group("watching")
    watching.add_argument(
        "--fps", type=positive_number, metavar="F", help="frames to watch per second (default: 2)"
    )
    watching.add_argument(
        "--min-frames", type=positive_integer, metavar="N", help="fewest frames to watch (default: 8)"
    )
    watching.add_argument(
        "--max-frames", type=positive_integer, metavar="N", help="most frames to watch (default: 1024)"
    )
    add_decoding_options(watching)
    watching.add_argument(
        "--no-group",
        dest="group",
        action="store_const",
        const=False,
        help="watch a video again for each of its questions, instead of once",
    )
    watching.add_argument(
        "--cache",
        choices=("device", "host", "disk"),
        metavar="C",
        help="where to cache a video between its questions: device, host or disk (default: device)",
    )


def _add_answering(parser: argparse.ArgumentParser) -> None:
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
        help="give every segment the same share of the budget",
    )
    answering.add_argument(
        "--keep",
        choices=KEEPS,
        metavar="K",
        help=f"which memory tokens of a segment to keep: {', '.join(KEEPS)}",
    )


def run(args: argparse.Namespace) -> None:
    """Run the tasks, or report on runs."""
    if args.tasks[0] == REPORT:
        if len(args.tasks) < 2:
            raise UsageError("tempo eval report: name at least one run's folder")
        _report([Path(name) for name in args.tasks[1:]], args.out)
        return
    from tempo.console import progress_bar, say
    from tempo.evaluation.benchmarks import DEBUG
    from tempo.evaluation.orchestrate import RunSpec, check, evaluate

    if DEBUG in args.tasks and len(args.tasks) > 1:
        raise UsageError("debug cannot be combined with other tasks; name it alone")
    if args.check and args.data is None:
        raise UsageError("--check needs --data; name the folder with the releases")
    spec = RunSpec(
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
        print(check(spec))
        return
    with progress_bar("answering", "items", before="starting lmms-eval", after="scoring") as progress:
        evaluate(spec, say=say, progress=progress)
    _report([spec.folder], None)


def _report(runs: list[Path], out: Path | None) -> None:
    from tempo.evaluation.report import markdown, write
    from tempo.evaluation.run_results import read_run

    read = [read_run(folder) for folder in runs]
    print(markdown(read))
    for path in write(read, out or runs[0]):
        print(path)


def _settings(args: argparse.Namespace) -> Settings:
    from tempo.evaluation.settings import Settings

    from .model_loading import MODEL_OPTIONS

    named = (*MODEL_OPTIONS, "fps", "min_frames", "max_frames", "sampling", "decode_workers")
    return Settings(
        pretrained=args.model, **given(args, *named, "group", "cache", "budget", "adaptive", "keep")
    )


def _folder(args: argparse.Namespace) -> Path:
    """The default folder of a run: the same for equal commands, so that they resume."""
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

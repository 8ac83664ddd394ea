"""Measure latency, memory and FLOPs against baselines.

For each VIDEO, the report gives seconds by phase, the time to first token, peak memory, FLOPs and tokens: for
a first answer without a cache, for follow-ups on a cached video, and for three baselines with the same
weights: one pass (recompute everything, all segments in one batch), uniform allocation, and no compression.
Without VIDEO, the command renders synthetic videos of --minutes; with it, it repeats the video to that
length. Run on an idle machine.

Examples:
  tempo bench holiday.mp4    # the content of the video does not matter
  tempo bench --minutes 10 20 60 --questions 32 --out costs
  tempo bench holiday.mp4 --model Vision-CAIR/Tempo-6B --budget 8192 --no-baselines --json
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tempo.errors import TempoError

from .options import (
    add_decoding_options,
    add_model_options,
    given,
    non_empty_text,
    positive_integer,
    positive_number,
)

if TYPE_CHECKING:
    from tempo.benchmarking.measure import BenchmarkPlan

STEM = "performance"
VIDEOS = Path("runs", "bench")
DEFAULT_MINUTES = (1.0, 10.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "videos",
        metavar="VIDEO",
        nargs="*",
        help="videos to measure on (default: synthetic ones, in runs/bench)",
    )
    parser.add_argument(
        "--minutes",
        type=positive_number,
        nargs="+",
        metavar="M",
        help="lengths of the videos (default: 1 10 for synthetic ones, the length of VIDEO otherwise)",
    )
    parser.add_argument(
        "--height",
        type=positive_integer,
        default=720,
        metavar="P",
        help="height of synthetic videos (default: 720)",
    )
    parser.add_argument(
        "--question",
        dest="asked",
        type=non_empty_text,
        nargs="+",
        metavar="Q",
        help="questions to ask (default: eight built-in ones)",
    )
    parser.add_argument(
        "--questions",
        type=positive_integer,
        metavar="N",
        help="number of questions about one cached video (default: 16)",
    )
    parser.add_argument(
        "--repeats",
        type=positive_integer,
        metavar="N",
        help="number of first answers after the cold one; the report has their median, fastest and slowest "
        "(default: 3)",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help=f"write {STEM}.md, .html and .json to DIR")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_model_options(parser)
    _add_session_options(parser)


def _add_session_options(parser: argparse.ArgumentParser) -> None:
    """Declare how the video is watched and the questions are answered."""
    parser.add_argument(
        "--budget",
        type=positive_integer,
        metavar="N",
        help="memory tokens for the whole video (default: the model's own)",
    )
    parser.add_argument(
        "--budgets",
        type=positive_integer,
        nargs="+",
        metavar="N",
        help="budgets to compare on the cached video (default: 1024 4096 8192 12288)",
    )
    parser.add_argument("--fps", type=positive_number, metavar="F", help="frames to watch per second")
    parser.add_argument("--max-frames", type=positive_integer, metavar="N", help="most frames to watch")
    add_decoding_options(parser)
    parser.add_argument(
        "--max-new-tokens", type=positive_integer, metavar="N", help="most tokens to generate (default: 16)"
    )
    parser.add_argument(
        "--cache",
        choices=("device", "host", "disk"),
        metavar="C",
        help="where to cache the video: device, host or disk (default: host)",
    )
    parser.add_argument(
        "--no-baselines",
        dest="baselines",
        action="store_const",
        const=False,
        help="skip the baselines",
    )


def run(args: argparse.Namespace) -> None:
    """Measure, print, write."""
    from tempo.benchmarking.comparison import figures, tables
    from tempo.benchmarking.measure import measure
    from tempo.console import say
    from tempo.reporting.html_page import to_page
    from tempo.reporting.report_files import to_json, write_files
    from tempo.reporting.tables import to_markdown

    from .model_loading import load_model

    plan = _plan(args)
    model = load_model(args)
    measured = []
    for path in _videos(args):
        say(path)
        measured.append(measure(model, path, plan, say=say))
    title, before = "Performance", _conditions(args, model)
    text = to_markdown(title, tables(measured), before=before)
    values = to_json({"conditions": before, "videos": [one.to_json() for one in measured]})
    print(json.dumps(json.loads(values)) if args.json else text)
    if args.out is not None:
        page = to_page(title, figures(measured), tables(measured))
        files = {f"{STEM}.md": text, f"{STEM}.html": page, f"{STEM}.json": values}
        for written in write_files(args.out, files):
            say(f"wrote {written}")


def _plan(args: argparse.Namespace) -> BenchmarkPlan:
    from tempo.benchmarking.measure import BenchmarkPlan

    values = given(args, "questions", "repeats", "budget", "fps", "max_frames", "max_new_tokens", "cache")
    values |= given(args, "baselines", "sampling", "decode_workers")
    if args.budgets is not None:
        values["budgets"] = tuple(args.budgets)
    if args.asked is not None:
        values["asked"] = tuple(args.asked)
    return BenchmarkPlan(**values)


def _videos(args: argparse.Namespace) -> list[str]:
    """The videos to measure on. Rendered and repeated ones are made once, in VIDEOS."""
    from tempo.benchmarking.videos import as_long_as, rendered
    from tempo.console import progress_bar

    if args.videos and args.minutes is None:
        return args.videos
    try:
        VIDEOS.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TempoError(
            f"{VIDEOS}: cannot be created ({error.strerror}); run the command in another folder"
        ) from error
    if args.videos:
        return [str(as_long_as(path, VIDEOS, minutes)) for path in args.videos for minutes in args.minutes]
    paths = []
    for minutes in args.minutes or DEFAULT_MINUTES:
        with progress_bar(f"rendering {minutes:g} minutes", "frames") as progress:
            paths.append(str(rendered(VIDEOS, minutes, args.height, progress=progress)))
    return paths


def _conditions(args: argparse.Namespace, model: object) -> list[str]:
    """The machine, the versions and the command, so that others can compare."""
    from tempo.evaluation.manifest import decoder, hardware, versions
    from tempo.version import __version__

    computer = hardware()
    where = ", ".join(computer["gpus"]) or f"{computer['processor']}, {computer['cores']} cores"
    packages = versions()
    return [
        f"tempo {__version__}, {model.name} in {str(model.dtype).removeprefix('torch.')} "  # type: ignore[attr-defined]
        f"on {model.device}: {where}. "  # type: ignore[attr-defined]
        f"torch {packages['torch']}, transformers {packages['transformers']}, {decoder()}.",
        f"Measured by `{shlex.join(['tempo', *sys.argv[1:]])}`.",
    ]

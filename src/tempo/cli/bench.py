"""Measure what an answer costs: the first one, the next ones, and other ways to get it.

Of each VIDEO it takes seconds by phase, the time to the first token, peak memory, floating-point operations
and tokens: for a first answer with nothing kept, for follow-ups on a kept video, and with the same weights
for one pass (everything computed anew, all segments in one batch), uniform allocation, and no compression.
Without VIDEO it draws films of --minutes; with it, --minutes are the lengths that it is repeated to. Let
nothing else run meanwhile.

Examples:
  tempo bench film.mp4    # costs do not depend on what is in a film
  tempo bench --minutes 10 20 60 --questions 32 --out costs
  tempo bench film.mp4 --model Vision-CAIR/Tempo-6B --budget 8192 --no-baselines --json
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
RENDERED_MINUTES = (1.0, 10.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare VIDEO, what is measured, and the shared options of the model."""
    parser.add_argument(
        "videos", metavar="VIDEO", nargs="*", help="what to measure on (default: films drawn into runs/bench)"
    )
    parser.add_argument(
        "--minutes",
        type=positive_number,
        nargs="+",
        metavar="M",
        help="lengths of the films (default: of drawn ones 1 10, of VIDEO as long as it is)",
    )
    parser.add_argument(
        "--height", type=positive_integer, default=720, metavar="P", help="of drawn films (default: 720)"
    )
    parser.add_argument(
        "--question",
        dest="asked",
        type=non_empty_text,
        nargs="+",
        metavar="Q",
        help="what to ask (default: eight questions of our own)",
    )
    parser.add_argument(
        "--questions", type=positive_integer, metavar="N", help="asked of one kept video (default: 16)"
    )
    parser.add_argument(
        "--budget", type=positive_integer, metavar="N", help="memory tokens (default: the model's own)"
    )
    parser.add_argument(
        "--budgets",
        type=positive_integer,
        nargs="+",
        metavar="N",
        help="further ones to try on the kept video (default: 1024 4096 8192 12288)",
    )
    parser.add_argument("--fps", type=positive_number, metavar="F", help="frames watched a second")
    parser.add_argument("--max-frames", type=positive_integer, metavar="N", help="frames watched at most")
    parser.add_argument(
        "--max-new-tokens", type=positive_integer, metavar="N", help="of an answer (default: 16)"
    )
    parser.add_argument(
        "--cache",
        choices=("device", "host", "disk"),
        metavar="C",
        help="where the kept video is kept: device, host or disk (default: host)",
    )
    parser.add_argument(
        "--no-baselines",
        dest="baselines",
        action="store_const",
        const=False,
        help="leave out one pass, uniform and no compression",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help=f"write {STEM}.md, .html and .json there")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_model_options(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, print, write."""
    import tempo
    from tempo.benchmarking.comparison import figures, tables
    from tempo.benchmarking.measure import measure
    from tempo.console import say
    from tempo.reporting.html_page import to_page
    from tempo.reporting.report_files import to_json, write_files
    from tempo.reporting.tables import to_markdown

    plan = _plan(args)
    model = tempo.load(args.model, **given(args, "base", "device", "dtype", "attention"))
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

    values = given(args, "questions", "budget", "fps", "max_frames", "max_new_tokens", "cache", "baselines")
    if args.budgets is not None:
        values["budgets"] = tuple(args.budgets)
    if args.asked is not None:
        values["asked"] = tuple(args.asked)
    return BenchmarkPlan(**values)


def _videos(args: argparse.Namespace) -> list[str]:
    """What is measured on; films that are drawn or repeated are made once, in VIDEOS."""
    from tempo.benchmarking.videos import as_long_as, rendered
    from tempo.console import counting

    if args.videos and args.minutes is None:
        return args.videos
    try:
        VIDEOS.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TempoError(f"{VIDEOS}: cannot be made ({error.strerror})") from error
    if args.videos:
        return [str(as_long_as(path, VIDEOS, minutes)) for path in args.videos for minutes in args.minutes]
    paths = []
    for minutes in args.minutes or RENDERED_MINUTES:
        with counting(f"drawing {minutes:g} minutes", "frames") as progress:
            paths.append(str(rendered(VIDEOS, minutes, args.height, progress=progress)))
    return paths


def _conditions(args: argparse.Namespace, model: object) -> list[str]:
    """On what, with what, and by which command; for whoever wants to compare."""
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

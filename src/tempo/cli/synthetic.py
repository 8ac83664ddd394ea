"""Make videos of the generated world with their ground truth, and measure a model on them.

Examples:
  tempo synthetic make films --count 4 --seconds 60 --height 360
  tempo synthetic make films --seconds 600 --held-out --seed 7
  tempo synthetic bench films
  tempo synthetic bench films --budget 512 --json
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from .options import (
    add_answer_options,
    add_model_options,
    given,
    positive_integer,
    positive_number,
)

if TYPE_CHECKING:
    pass


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `make` and `bench`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=type(parser))
    make = verbs.add_parser("make", help="write H.264 files with their ground truth as JSON")
    make.add_argument("folder", metavar="FOLDER", type=Path, help="where to; made if need be")
    make.add_argument(
        "--count", type=positive_integer, default=1, metavar="N", help="how many files (default: 1)"
    )
    make.add_argument(
        "--seconds", type=positive_number, default=60.0, metavar="S", help="length (default: 60)"
    )
    make.add_argument(
        "--height", type=positive_integer, default=360, metavar="P", help="240 … 1080 (default: 360)"
    )
    make.add_argument(
        "--fps", type=positive_integer, default=15, metavar="F", help="frame rate (default: 15)"
    )
    make.add_argument(
        "--aspect", default="16:9", metavar="A", help="16:9, 4:3, 9:16, or mixed (default: 16:9)"
    )
    make.add_argument(
        "--questions", type=positive_integer, default=16, metavar="N", help="a file (default: 16)"
    )
    make.add_argument(
        "--wide",
        action="store_true",
        help="show also pictures of everyday things, signs with words and numbers, things that grow, shrink, "
        "blink or turn, and backdrops that move",
    )
    make.add_argument(
        "--all-kinds",
        action="store_true",
        help="ask also about the whole video (how often, what never, a summary) and what an earlier question "
        "was about",
    )
    make.add_argument("--seed", default="0", metavar="S", help="any word or number (default: 0)")
    make.add_argument(
        "--held-out", action="store_true", help="with backgrounds and wordings that were never trained on"
    )
    bench = verbs.add_parser("bench", help="ask a model every question of every file in some folders")
    bench.add_argument(
        "folders", nargs="+", metavar="FOLDER", type=Path, help="a folder that `tempo synthetic make` wrote"
    )
    bench.add_argument("--json", action="store_true", help="print one JSON object with every answer")
    add_model_options(bench)
    add_answer_options(bench)


def run(args: argparse.Namespace) -> None:
    """Do what was asked for."""
    {"make": _make, "bench": _bench}[args.verb](args)


def _make(args: argparse.Namespace) -> None:
    from tempo.console import counting
    from tempo.errors import TempoError
    from tempo.synthetic.video_files import (
        ASPECTS,
        FileSpec,
        kinds_of,
        make_file,
    )

    aspects = tuple(ASPECTS) if args.aspect == "mixed" else (args.aspect,)
    specs = [
        FileSpec(
            seconds=args.seconds,
            height=args.height,
            fps=args.fps,
            aspect=aspects[i % len(aspects)],
            held_out=args.held_out,
            wide=args.wide,
        )
        for i in range(args.count)
    ]
    try:
        args.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TempoError(f"{args.folder}: cannot be made ({error.strerror})") from error
    kinds = kinds_of(wide=args.wide, everything=args.all_kinds)
    for number, spec in enumerate(specs):
        path = args.folder / f"{args.seed}-{number:03}.mp4"
        with counting(f"making {path.name}", "frames") as progress:
            make_file(
                path,
                spec,
                seed=f"{args.seed}/{number}",
                questions=args.questions,
                kinds=kinds,
                progress=progress,
            )
        print(path)


def _bench(args: argparse.Namespace) -> None:
    import tempo
    from tempo.console import counting
    from tempo.synthetic.evaluate import run_benchmark

    model = tempo.load(args.model, **given(args, "base", "device", "dtype", "attention"))
    options = given(args, "budget", "adaptive", "keep", "max_new_tokens", "temperature")
    with counting("asking", "files") as progress:
        result = run_benchmark(model, args.folders, options=options, progress=progress)
    print(json.dumps(result.to_json(), indent=1) if args.json else result.table())

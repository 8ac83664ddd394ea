"""Make synthetic videos with ground truth, and measure a model on them.

Examples:
  tempo synthetic make films --count 4 --seconds 60 --height 360
  tempo synthetic make films --seconds 600 --held-out --seed 7
  tempo synthetic bench films
  tempo synthetic bench films --budget 512 --json
"""

import argparse
import json
from pathlib import Path

from .options import (
    add_answer_options,
    add_decoding_options,
    add_model_options,
    given,
    positive_integer,
    positive_number,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `make` and `bench`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=type(parser))
    _add_make(verbs.add_parser("make", help="write H.264 files with their ground truth as JSON"))
    bench = verbs.add_parser("bench", help="ask a model every question about the videos in some folders")
    bench.add_argument(
        "folders", nargs="+", metavar="FOLDER", type=Path, help="a folder that `tempo synthetic make` wrote"
    )
    bench.add_argument("--json", action="store_true", help="print one JSON object with every answer")
    add_model_options(bench)
    watching = bench.add_argument_group("watching")
    watching.add_argument(
        "--max-frames", type=positive_integer, metavar="N", help="most frames to watch (default: 1024)"
    )
    add_decoding_options(watching)
    add_answer_options(bench)


def _add_make(make: argparse.ArgumentParser) -> None:
    make.add_argument("folder", metavar="FOLDER", type=Path, help="folder for the videos")
    make.add_argument(
        "--count", type=positive_integer, default=1, metavar="N", help="number of videos (default: 1)"
    )
    make.add_argument(
        "--seconds", type=positive_number, default=60.0, metavar="S", help="length of a video (default: 60)"
    )
    make.add_argument(
        "--height",
        type=positive_integer,
        default=360,
        metavar="P",
        help="height in pixels, 240 to 1080 (default: 360)",
    )
    make.add_argument(
        "--fps", type=positive_integer, default=15, metavar="F", help="frames per second (default: 15)"
    )
    make.add_argument(
        "--aspect", default="16:9", metavar="A", help="16:9, 4:3, 9:16 or mixed (default: 16:9)"
    )
    make.add_argument(
        "--questions",
        type=positive_integer,
        default=16,
        metavar="N",
        help="questions per video (default: 16)",
    )
    make.add_argument(
        "--wide",
        action="store_true",
        help="add pictures of everyday things, signs with words and numbers, things that grow, shrink, blink "
        "or turn, and moving backgrounds",
    )
    make.add_argument(
        "--all-kinds",
        action="store_true",
        help="add questions about the whole video (how often, what never, a summary) and follow-up questions",
    )
    make.add_argument(
        "--keyframe-seconds",
        type=positive_number,
        metavar="S",
        help="longest time between two keyframes (default: the encoder's, 250 frames)",
    )
    make.add_argument("--seed", default="0", metavar="S", help="any word or number (default: 0)")
    make.add_argument(
        "--held-out", action="store_true", help="use backgrounds and wordings that no model was trained on"
    )


def run(args: argparse.Namespace) -> None:
    """Run the subcommand."""
    {"make": _make, "bench": _bench}[args.verb](args)


def _make(args: argparse.Namespace) -> None:
    from tempo.console import progress_bar
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
            keyframe_seconds=args.keyframe_seconds,
        )
        for i in range(args.count)
    ]
    try:
        args.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TempoError(
            f"{args.folder}: cannot be created ({error.strerror}); choose another folder"
        ) from error
    kinds = kinds_of(wide=args.wide, everything=args.all_kinds)
    for number, spec in enumerate(specs):
        path = args.folder / f"{args.seed}-{number:03}.mp4"
        with progress_bar(f"rendering {path.name}", "frames") as progress:
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
    from tempo.console import progress_bar
    from tempo.synthetic.evaluate import run_benchmark

    from .model_loading import answer_options, load_model

    model = load_model(args)
    options, watching = answer_options(args), given(args, "max_frames", "sampling", "decode_workers")
    with progress_bar("answering", "files") as progress:
        result = run_benchmark(model, args.folders, options=options, watching=watching, progress=progress)
    print(json.dumps(result.to_json(), indent=1) if args.json else result.table())

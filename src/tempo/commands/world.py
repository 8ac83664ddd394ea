"""Make videos of the generated world with their ground truth, and measure a model on them.

Examples:
  tempo world make films --count 4 --seconds 60 --height 360
  tempo world make films --seconds 600 --held-out --seed 7
  tempo world bench films
  tempo world bench films --budget 512 --json
  tempo world claims films --questions 20 --out claims
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tempo.commands.options import (
    add_answer_options,
    add_model_options,
    given,
    positive_integer,
    positive_number,
)

if TYPE_CHECKING:
    from tempo.engine import Tempo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `make`, `bench` and `claims`."""
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
        "folders", nargs="+", metavar="FOLDER", type=Path, help="a folder that `tempo world make` wrote"
    )
    bench.add_argument("--json", action="store_true", help="print one JSON object with every answer")
    add_model_options(bench)
    add_answer_options(bench)
    claims = verbs.add_parser(
        "claims", help="compare ways to spend the tokens, on the same questions and with equal weights"
    )
    claims.add_argument("folder", metavar="FOLDER", type=Path, help="a folder that `tempo world make` wrote")
    claims.add_argument(
        "--questions", type=positive_integer, metavar="N", help="of each film, the first (default: all)"
    )
    claims.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("claims"),
        help="where claims.md, claims.json and every answer are written; a run that was killed goes on from "
        "there (default: claims)",
    )
    add_model_options(claims)


def run(args: argparse.Namespace) -> None:
    """Do what was asked for."""
    {"make": _make, "bench": _bench, "claims": _claims}[args.verb](args)


def _make(args: argparse.Namespace) -> None:
    from tempo.errors import TempoError
    from tempo.terminal import counting
    from tempo.world.files import ASPECTS, FileSpec, kinds_of, make_file

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
    from tempo.terminal import counting
    from tempo.world.bench import bench

    model = tempo.load(args.model, **given(args, "base", "device", "dtype", "attention"))
    options = given(args, "budget", "adaptive", "keep", "max_new_tokens", "temperature")
    with counting("asking", "files") as progress:
        result = bench(model, args.folders, options=options, progress=progress)
    print(json.dumps(result.to_json(), indent=1) if args.json else result.table())


def _claims(args: argparse.Namespace) -> None:
    import tempo
    from tempo.evaluation.loading import hash_of
    from tempo.evaluation.settings import Settings
    from tempo.terminal import counting
    from tempo.world.claims.run import run as run_claims

    model = tempo.load(args.model, **given(args, "base", "device", "dtype", "attention"))
    with counting("answering", "films") as progress:
        text = run_claims(
            model,
            args.folder,
            args.out,
            model_hash=hash_of(Settings(pretrained=args.model, base=args.base)),
            questions=args.questions,
            conditions=_conditions(model),
            progress=progress,
        )
    print(text)


def _conditions(model: "Tempo") -> list[str]:
    """With what, on what, and by which command."""
    from tempo.evaluation.manifest import decoder, hardware, versions

    computer, packages = hardware(), versions()
    where = ", ".join(computer["gpus"]) or f"{computer['processor']}, {computer['cores']} cores"
    return [
        f"{model.name} in {str(model.dtype).removeprefix('torch.')} on {model.device}: {where}. "
        f"torch {packages['torch']}, transformers {packages['transformers']}, {decoder()}.",
        f"Measured by `{shlex.join(['tempo', *sys.argv[1:]])}`.",
    ]

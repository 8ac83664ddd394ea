"""Compares variants of the method on the same questions and with the same weights: allocation, budgets, which
memory tokens are kept, the question in the compressor, timestamps.

tempo synthetic make videos --count 8 --seconds 600
python -m research.ablations videos --questions 20 --out runs/ablations
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import tempo
from tempo.cli.options import add_model_options, given, positive_integer
from tempo.console import progress_bar, say
from tempo.errors import TempoError
from tempo.evaluation.evaluated_model import hash_of
from tempo.evaluation.manifest import decoder, hardware, versions
from tempo.evaluation.settings import Settings

from .run import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer, compare, print the tables; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m research.ablations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="made by `tempo synthetic make`")
    parser.add_argument(
        "--questions", type=positive_integer, metavar="N", help="questions per video (default: all)"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("runs/ablations"),
        help="where the report and every answer are written; an interrupted run resumes from them "
        "(default: runs/ablations)",
    )
    add_model_options(parser)
    given_arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        print(_measure(parser.parse_args(given_arguments), given_arguments))
    except TempoError as error:
        say(str(error))
        return 1
    return 0


def _measure(args: argparse.Namespace, arguments: Sequence[str]) -> str:
    model = tempo.load(args.model, **given(args, "base", "device", "dtype", "attention"))
    computer, packages = hardware(), versions()
    where = ", ".join(computer["gpus"]) or f"{computer['processor']}, {computer['cores']} cores"
    conditions = [
        f"{model.name} in {str(model.dtype).removeprefix('torch.')} on {model.device}: {where}. "
        f"torch {packages['torch']}, transformers {packages['transformers']}, {decoder()}.",
        f"Measured by `python -m research.ablations {shlex.join(arguments)}`.",
    ]
    with progress_bar("answering", "videos") as progress:
        return run(
            model,
            args.folder,
            args.out,
            model_hash=hash_of(Settings(pretrained=args.model, base=args.base)),
            questions=args.questions,
            conditions=conditions,
            progress=progress,
        )


if __name__ == "__main__":
    sys.exit(main())

"""Write a checkpoint in the other layout: every tensor keeps its bits.

The published layout (Vision-CAIR/Tempo-6B) needs its base model beside it. Tempo's own is one folder with
everything in it, which loads by itself. Weights that torch.save wrote become safetensors files.

Examples:
  tempo convert Vision-CAIR/Tempo-6B tempo-6b
  tempo convert checkpoints/Tempo-6B tempo-6b --base checkpoints/Qwen3-VL-2B-Instruct
  tempo convert tempo-6b tempo-6b-published --layout published
  tempo convert tempo-6b mine --adapter runs/mine/adapter
"""

import argparse
from pathlib import Path

from .options import given


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SOURCE, DESTINATION, the layout and the base."""
    parser.add_argument("source", metavar="SOURCE", help="a checkpoint's folder or hub name")
    parser.add_argument("destination", metavar="DESTINATION", type=Path, help="a new or empty folder")
    parser.add_argument(
        "--layout",
        choices=("tempo", "published"),
        default="tempo",
        help="what to write: tempo (the default) or published",
    )
    parser.add_argument(
        "--base",
        metavar="B",
        help="the base model of a published checkpoint, where it is not found by itself",
    )
    parser.add_argument(
        "--adapter",
        metavar="A",
        type=Path,
        help="merge the adapter that `tempo train` wrote into this folder; the layout is tempo",
    )


def run(args: argparse.Namespace) -> None:
    """Convert and say how much was written."""
    from tempo.console import counting
    from tempo.errors import UsageError
    from tempo.formatting import size
    from tempo.modeling.saving import convert

    if args.adapter is not None and args.layout != "tempo":
        raise UsageError(
            "--adapter: what is written is in the tempo layout; convert it once more for the other"
        )
    with counting(f"writing {args.destination}"):
        if args.adapter is not None:
            from tempo.training.lora import write_merged

            write_merged(args.source, args.adapter, args.destination, **given(args, "base"))
        else:
            convert(args.source, args.destination, layout=args.layout, **given(args, "base"))
    written = sum(file.stat().st_size for file in args.destination.rglob("*") if file.is_file())
    print(f"{args.destination}: {size(written)} in the {args.layout} layout")

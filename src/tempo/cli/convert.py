"""Convert a checkpoint between the published layout and one self-contained folder.

The published layout (Vision-CAIR/Tempo-6B) needs its base model in another folder. Tempo's own layout is one
folder with everything in it. Every tensor keeps its bits; weights in torch.save files become safetensors.

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
    """Declare the options."""
    parser.add_argument("source", metavar="SOURCE", help="checkpoint folder or Hub name")
    parser.add_argument("destination", metavar="DESTINATION", type=Path, help="a new or empty folder")
    parser.add_argument(
        "--layout",
        choices=("tempo", "published"),
        default="tempo",
        help="layout to write: tempo or published (default: tempo)",
    )
    parser.add_argument(
        "--base",
        metavar="B",
        help="base model of a published checkpoint, if it is not found automatically",
    )
    parser.add_argument(
        "--adapter",
        metavar="A",
        type=Path,
        help="merge the adapter that `tempo train` wrote to folder A; needs the tempo layout",
    )


def run(args: argparse.Namespace) -> None:
    """Convert the checkpoint and print its size."""
    from tempo.console import progress_bar
    from tempo.errors import UsageError
    from tempo.formatting import size
    from tempo.modeling.saving import convert

    if args.adapter is not None and args.layout != "tempo":
        raise UsageError("--adapter: writes the tempo layout only; convert the result again for the other")
    with progress_bar(f"writing {args.destination}"):
        if args.adapter is not None:
            from tempo.training.lora import write_merged

            write_merged(args.source, args.adapter, args.destination, **given(args, "base"))
        else:
            convert(args.source, args.destination, layout=args.layout, **given(args, "base"))
    written = sum(file.stat().st_size for file in args.destination.rglob("*") if file.is_file())
    print(f"{args.destination}: {size(written)} in the {args.layout} layout")

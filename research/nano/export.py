"""Put trained weights where the package carries them.

    python -m research.nano.export --base runs/nano/vocabulary/base --model runs/nano/average

The embedded model is in the layout that needs no base; the base goes beside it, so that the embedded
model can be converted to the published layout and trained again from its start.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from tempo.errors import TempoError
from tempo.inference.engine import EMBEDDED

LIMIT_BYTES = 60_000_000


def weights_bytes(*folders: Path) -> int:
    """Bytes of all safetensors files in `folders`."""
    return sum(file.stat().st_size for folder in folders for file in folder.glob("*.safetensors"))


def forget_origin(folder: Path) -> None:
    """Take out of `folder`'s configuration where its parts once lay: that is nothing to anybody else."""

    def without(values: Any) -> Any:
        if isinstance(values, dict):
            return {key: without(value) for key, value in values.items() if key != "_name_or_path"}
        return values

    path = folder / "config.json"
    values = without(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def export(out: Path, *, base: str | Path, model: str | Path) -> None:
    """Write `model` and its base, the base in bfloat16, into nano and nano-base of `out`, in place of what is
    there.

    Raises:
        TempoError: together they are over the limit of what the package may carry.
    """
    target, target_base = out / "nano", out / "nano-base"
    part, part_base = out / "nano.part", out / "nano-base.part"
    for folder in (part, part_base):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, part)
    Qwen3VLForConditionalGeneration.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(part_base)
    AutoTokenizer.from_pretrained(base).save_pretrained(part_base)
    for folder in (part, part_base):
        forget_origin(folder)
    total = weights_bytes(part, part_base)
    if total > LIMIT_BYTES:
        raise TempoError(
            f"{model}, {base}: {total} bytes of weights are over the {LIMIT_BYTES} of the package"
        )
    for new, old in ((part, target), (part_base, target_base)):
        shutil.rmtree(old, ignore_errors=True)
        new.rename(old)
        for file in old.iterdir():
            file.chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", required=True, type=Path, help="folder of the trained base")
    parser.add_argument(
        "--model", required=True, type=Path, help="folder of the trained model, tempo's own layout"
    )
    args = parser.parse_args()
    export(EMBEDDED.parent, base=args.base, model=args.model)


if __name__ == "__main__":
    main()

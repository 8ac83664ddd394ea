"""Put trained weights where the package carries them.

    python -m tempo.training.ship --base runs/base/final --model runs/tempo/long-weights

The embedded model is in the layout that needs no base; the base goes beside it, so that the embedded
model can be converted to the published layout and trained again from its start.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from tempo.engine import EMBEDDED
from tempo.errors import TempoError

LIMIT_BYTES = 40_000_000


def weights_bytes(*folders: Path) -> int:
    """Bytes of all safetensors files in `folders`."""
    return sum(file.stat().st_size for folder in folders for file in folder.glob("*.safetensors"))


def ship(base: Path, model: Path) -> None:
    """Replace the embedded model and its base by the given folders, the base in bfloat16.

    Raises:
        TempoError: together they are over the limit of what the package may carry.
    """
    target_base = EMBEDDED.with_name("nano-base")
    part, part_base = EMBEDDED.with_name("nano.part"), EMBEDDED.with_name("nano-base.part")
    for folder in (part, part_base):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, part)
    Qwen3VLForConditionalGeneration.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(part_base)
    AutoTokenizer.from_pretrained(base).save_pretrained(part_base)
    total = weights_bytes(part, part_base)
    if total > LIMIT_BYTES:
        raise TempoError(
            f"{model}, {base}: {total} bytes of weights are over the {LIMIT_BYTES} of the package"
        )
    for new, old in ((part, EMBEDDED), (part_base, target_base)):
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
    ship(args.base, args.model)


if __name__ == "__main__":
    main()

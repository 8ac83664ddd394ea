"""The mean of two models of one line: what fine-tuning gained, without most of what it made forget.

    python -m research.nano.weight_averaging src/tempo/assets/nano runs/nano/stage-3/model --out runs/averaged

Halfway between a model and what it was fine-tuned to lies, as a rule, a model that is better at both tasks
(Wortsman et al., Robust fine-tuning of zero-shot models, 2022; arXiv 2109.01903).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from tempo.errors import TempoError

from .weights import load_trained, save_weights


def average(one: str | Path, other: str | Path, out: Path) -> None:
    """Write the mean of the models in two folders, in bfloat16 and with the tokenizer of the first.

    Raises:
        TempoError: their tensors are not of the same names and shapes.
    """
    model, second = load_trained(one), load_trained(other).state_dict()
    first = model.state_dict()
    if {n: t.shape for n, t in first.items()} != {n: t.shape for n, t in second.items()}:
        raise TempoError(f"{one} and {other} are not of one line: their tensors differ in name or shape")
    # Not in place: tied tensors are there twice.
    model.load_state_dict({name: torch.lerp(tensor, second[name], 0.5) for name, tensor in first.items()})
    save_weights(model, out, one)


def average_into(out: Path, *, models: Sequence[str]) -> None:
    """Write the mean of two models into the folder model of `out`."""
    one, other = models
    average(one, other, out / "model")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs=2, type=Path, metavar="MODEL", help="folders of the two models")
    parser.add_argument("--out", required=True, type=Path, help="folder of the mean")
    args = parser.parse_args()
    one, other = args.models
    average(one, other, args.out)


if __name__ == "__main__":
    main()

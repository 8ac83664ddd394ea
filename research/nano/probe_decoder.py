"""How well a decoder reads, apart from any compressor, by how long the story is and how alike its things.

    python -m research.nano.probe_decoder --model src/tempo/assets/nano

The memory tokens are written from the script, without a doubt: sixteen of them where the thing asked about
is, one elsewhere. What is wrong is the decoder's own."""

from __future__ import annotations

import argparse
import random

import torch

from research.nano.datasets.clips import (
    phrase,
    story_row,
    story_rows,
    timeline,
)
from research.nano.objectives.decoder import read
from tempo.checkpoints.checkpoint import load_prompts
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.loading import find_checkpoint
from tempo.synthetic.questions import make_question

from .config import MEMORY_TOKENS
from .packing import PackedPrompts
from .targets import Codebook, auxiliary_targets
from .weights import load_trained

KINDS = ("shape", "when", "first", "after")
STORIES = ((8, 0.0), (8, 1.0), (32, 0.0), (32, 1.0), (128, 0.0))  # segments, and the share in few colours


@torch.no_grad()
def share_right(
    model: TempoQwenForCausalLM,
    codebook: Codebook,
    prompts: PackedPrompts,
    kind: str,
    *,
    segments: int,
    alike: float,
    stories: int,
    seed: int = 7,
) -> float:
    """The share of answers whose every token is right, of one open question of `kind` about each of `stories`
    plain stories."""
    rng = random.Random(seed)
    right: list[float] = []
    while len(right) < stories:
        script, times, window = timeline(rng, segments=segments, aspect=16 / 9, alike=alike)
        question = make_question(rng, script, kind=kind)
        asked = phrase(rng, script, question, times, window, 0.0) if question else None
        if asked is None:
            continue
        counts = [MEMORY_TOKENS if shown else 1 for shown in asked.shown]
        tables = [
            torch.from_numpy(auxiliary_targets(script, asked.expressions, moment, count))
            for moment, count in zip(times, counts, strict=True)
        ]
        stamps = [f"{float(moment[0]) + window / 2:.1f}" for moment in times]
        story = story_rows([story_row(prompts, stamps, counts, [asked])], [[asked]], prompts)
        _, figures = read(model, story, codebook.embed(Codebook.certain(torch.cat(tables))))
        right.append(figures["answers"])
    return sum(right) / len(right)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the model whose decoder reads")
    parser.add_argument(
        "--codebook",
        metavar="MODEL",
        help="the model whose words the codebook points to, if not this one",
    )
    parser.add_argument("--stories", type=int, default=30, help="of each kind and length")
    args = parser.parse_args()
    prompts = PackedPrompts(load_prompts(find_checkpoint(args.model)))
    model = load_trained(args.model).eval()
    words = model if args.codebook is None else load_trained(args.codebook)
    codebook = Codebook(words.model.embed_tokens.weight.detach().clone(), prompts.plain)
    columns = [f"{segments}{' alike' if alike else ''}" for segments, alike in STORIES]
    print("".join(text.rjust(10) for text in ("segments", *columns)))
    for kind in KINDS:
        figures = [
            share_right(model, codebook, prompts, kind, segments=segments, alike=alike, stories=args.stories)
            for segments, alike in STORIES
        ]
        print("".join(text.rjust(10) for text in (kind, *(f"{figure:.2f}" for figure in figures))))


if __name__ == "__main__":
    main()

"""Train tempo-nano's base: the small vision-language model that its compressor starts from.

    python -m tempo.training.base --out runs/base

The vision tower first learns what covers each of its cells (minutes); then tower and language model together
learn to
describe a segment, to answer questions about it, and to say Yes or No to the routing prompt, all at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, Qwen3VLForConditionalGeneration

from tempo.modeling.qwen3_vl import vision_features
from tempo.preprocess import Geometry, patches
from tempo.training.cells import CellHead
from tempo.training.nano import GEOMETRY, SYSTEM_PROMPT, base_config, build_tokenizer
from tempo.training.packing import IGNORE, Packed, Wording, read_packed
from tempo.training.run import Run, Schedule, parameter_groups
from tempo.training.samples import SegmentBatch, SegmentBatches

VISION_STEPS = 600
# How much a routing answer, one token, counts beside a token of a description.
ROUTING_WEIGHT = 3.0


def answer_losses(
    states: Tensor, output_rows: Tensor, packed: Packed, wording: Wording
) -> tuple[Tensor, dict[str, float]]:
    """Cross entropy over learnt tokens, routing answers weighted up; and the accuracies of both."""
    learnt = packed.labels_BL != IGNORE
    labels = packed.labels_BL[learnt]
    logits = F.linear(states[learnt], output_rows).float()
    routing = (labels == wording.yes_id) | (labels == wording.no_id)
    weight = torch.where(routing, ROUTING_WEIGHT, 1.0)
    loss = (F.cross_entropy(logits, labels, reduction="none") * weight).sum() / weight.sum()
    right = logits.argmax(-1) == labels
    return loss, {
        "words": right[~routing].float().mean().item(),
        "routing": right[routing].float().mean().item(),
    }


def batches(
    wording: Wording, *, seed: int, start: int, steps: int, batch: int, routings: int, questions: int
) -> DataLoader[SegmentBatch]:
    """Batches `start` … `steps` of the seed, made ahead by one worker."""
    data = SegmentBatches(
        wording, steps=steps, batch=batch, seed=seed, routings=routings, questions=questions
    )
    return DataLoader(
        data,
        batch_size=None,
        sampler=range(start, steps),
        num_workers=1,
        prefetch_factor=3,
        multiprocessing_context="fork",
    )


def train(args: argparse.Namespace) -> None:
    out = Path(args.out)
    torch.manual_seed(args.seed)
    tokenizer: PreTrainedTokenizerBase = build_tokenizer()
    wording = Wording(tokenizer, SYSTEM_PROMPT)
    model = Qwen3VLForConditionalGeneration(base_config(tokenizer))
    geometry = Geometry.from_dict({"patch_size": 8, **GEOMETRY})
    head = CellHead(model.config.text_config.hidden_size)
    deep_head = CellHead(model.config.text_config.hidden_size)

    tower = nn.ModuleList([model.model.visual, head, deep_head])
    with Run(
        out / "vision", tower, parameter_groups(tower, 2e-3, decay=0.05), Schedule(args.vision_steps, 60)
    ) as run:
        loader = batches(
            wording, seed=args.seed, start=run.step, steps=run.steps, batch=64, routings=0, questions=0
        )
        for sample in loader:
            with torch.autocast("cpu", torch.bfloat16):
                visual, deep = vision_features(model.model.visual, *patches(sample.frames, geometry))
                loss, right = head(visual.flatten(0, 1), sample.cells)
                deep_loss, _ = deep_head(deep[0].flatten(0, 1), sample.cells)
            shape, colour, size, motion = right.tolist()
            run.update(
                loss + 0.5 * deep_loss, {"shape": shape, "colour": colour, "size": size, "motion": motion}
            )

    groups = parameter_groups(model, args.lr, decay=0.05)
    with Run(out / "language", model, groups, Schedule(args.steps, 300)) as run:
        loader = batches(
            wording,
            seed=args.seed + 1,
            start=run.step,
            steps=run.steps,
            batch=args.batch,
            routings=4,
            questions=2,
        )
        for sample in loader:
            with torch.autocast("cpu", torch.bfloat16):
                visual, deep = vision_features(model.model.visual, *patches(sample.frames, geometry))
                states = read_packed(model.model, sample.packed, visual, deep)
                loss, seen = answer_losses(states, model.lm_head.weight, sample.packed, wording)
            run.update(loss, seen)
    model.save_pretrained(out / "final")
    tokenizer.save_pretrained(out / "final")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of the run: logs, checkpoints, final weights")
    parser.add_argument("--vision-steps", type=int, default=VISION_STEPS)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32, help="segments a step")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()

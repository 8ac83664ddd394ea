"""Train tempo-nano's base: the small vision-language model that its compressor starts from.

    python -m research.nano.stages.base --out runs/base

The vision tower first learns what covers each of its cells (minutes); then tower and language model together
learn to describe a segment, to answer questions about it, and to say Yes or No to the routing prompt, all at
once; last, both tasks together.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from research.nano.config import (
    GEOMETRY,
    SYSTEM_PROMPT,
    base_config,
    build_tokenizer,
)
from research.nano.datasets.segments import SegmentBatch, SegmentBatches
from research.nano.packing import (
    IGNORE,
    Packed,
    Wording,
    read_packed,
)
from research.nano.patch_labels import CellHead
from research.nano.run import (
    Run,
    autocast,
    device_of,
    parameter_groups,
)
from tempo.modeling.qwen3_vl import vision_features
from tempo.processing.image_processor import Geometry, patches
from tempo.training.data.loader import ahead
from tempo.training.lr_schedule import LRSchedule


@dataclass(frozen=True)
class Leg:
    """A part of the run: how many segments with text and how many without make a step, and how fast it
    learns."""

    name: str
    steps: int
    batch: int
    extra: int
    lr: float


LEGS = (
    Leg("vision", 440, 0, 64, 2e-3),
    Leg("language", 600, 32, 0, 1e-3),
    Leg("joint", 200, 32, 64, 6e-4),
)
# How much a routing answer, one token, counts beside a token of a description.
ROUTING_WEIGHT = 3.0


def answer_losses(
    states: Tensor, output_rows: Tensor, packed: Packed, wording: Wording
) -> tuple[Tensor, dict[str, float]]:
    """Cross entropy over learnt tokens, routing answers weighted up; and the accuracies of both."""
    learnt = packed.labels_T != IGNORE
    labels = packed.labels_T[learnt]
    logits = F.linear(states[learnt], output_rows).float()
    routing = (labels == wording.yes_id) | (labels == wording.no_id)
    weight = torch.where(routing, ROUTING_WEIGHT, 1.0)
    loss = (F.cross_entropy(logits, labels, reduction="none") * weight).sum() / weight.sum()
    right = logits.argmax(-1) == labels
    return loss, {
        "words": right[~routing].float().mean().item(),
        "routing": right[routing].float().mean().item(),
    }


class Student(nn.Module):
    """The base in training, with the heads that its vision tower starts with and that are thrown away."""

    def __init__(self, model: Qwen3VLForConditionalGeneration, wording: Wording) -> None:
        super().__init__()
        self.model: Any = model
        self.wording = wording
        width = model.config.text_config.hidden_size
        self.heads = nn.ModuleList([CellHead(width), CellHead(width)])
        self.geometry = Geometry.from_dict({"patch_size": 8, **GEOMETRY})

    def forward(self, sample: SegmentBatch, *, cells: bool) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch, and figures for the log."""
        vlm = self.model.model
        visual, deep = vision_features(vlm.visual, *patches(sample.frames, self.geometry))
        loss = visual.new_zeros(())
        figures: dict[str, float] = {}
        if sample.packed is not None:
            rows = sample.packed.rows
            states = read_packed(vlm, sample.packed, visual[:rows], [features[:rows] for features in deep])
            loss, figures = answer_losses(states, self.model.lm_head.weight, sample.packed, self.wording)
        if cells:
            final, right = self.heads[0](visual.flatten(0, 1), sample.cells)
            early, _ = self.heads[1](deep[0].flatten(0, 1), sample.cells)
            loss = loss + final + 0.5 * early
            figures |= right
        return loss, figures


def train(args: argparse.Namespace) -> None:
    out = Path(args.out)
    torch.manual_seed(args.seed)
    device = device_of(args.device)
    if not (out / "tokenizer").exists():
        build_tokenizer().save_pretrained(out / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    wording = Wording(tokenizer, SYSTEM_PROMPT)
    model = Qwen3VLForConditionalGeneration(base_config(tokenizer))
    student = Student(model, wording).to(device)
    for number, leg in enumerate(LEGS):
        groups = parameter_groups(student, leg.lr, decay=0.05)
        with Run(out / leg.name, student, groups, LRSchedule(leg.steps, 60)) as run:
            data = SegmentBatches(
                wording, steps=leg.steps, seed=args.seed + number, batch=leg.batch, extra=leg.extra
            )
            for sample in ahead(data, run.step, device):
                with autocast(device):
                    loss, figures = student(sample, cells=leg.extra > 0)
                run.update(loss, figures)
    model.save_pretrained(out / "final")
    tokenizer.save_pretrained(out / "final")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of the run: logs, checkpoints, final weights")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train(parser.parse_args())


if __name__ == "__main__":
    main()

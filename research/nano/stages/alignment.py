"""Join the halves: the decoder learns to read what the compressor writes, as much of it as answering keeps.

    python -m research.nano.stages.alignment --model src/tempo/assets/nano \\
        --writing runs/writing --reading runs/reading --out runs/joining

The compressor stays as it is, so a clip costs its forward pass alone, and several questions about one thing
share its memory tokens. Relevance, allocation and the storyline are those of an answer."""

from __future__ import annotations

import argparse
import random
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import AutoTokenizer

from research.nano.checkpoints import load_trained, restore
from research.nano.config import FRAME_SIZES, MEMORY_TOKENS, SYSTEM_PROMPT
from research.nano.datasets.clips import (
    LONG,
    Plan,
    StoryRows,
    draw,
    plan_clip,
    story_row,
    story_rows,
)
from research.nano.packing import (
    IGNORE,
    Packed,
    Row,
    Wording,
    pack,
    read_packed,
)
from research.nano.patch_labels import CELL
from research.nano.run import (
    Run,
    autocast,
    device_of,
    parameter_groups,
)
from tempo.inference import allocation
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.qwen3_vl import vision_features
from tempo.modeling.saving import save_model
from tempo.processing.image_processor import patches
from tempo.training.data.loader import ahead, moved
from tempo.training.lr_schedule import LRSchedule
from tempo.training.token_dropout import random_tokens

from . import decoder

SEGMENTS = (1, 2, 4, 8, 12, 15, 32, 64, 128, 160, 160)  # of a clip, drawn anew for every batch
ROWS = 96  # segments a batch, in clips of eight or more: a dozen of them at most
GROUPS = 6  # of questions about one thing, for each clip
TOGETHER = 5  # questions of a group; of long clips twice as many
WEIGHTS = (1.5, 3, 1, 1, 0.5, 2, 4, 4)  # of KINDS
RANDOM_SHARE = (
    0.15  # of the storylines: numbers of tokens that no relevance gave, so that the decoder reads any
)


@dataclass(frozen=True)
class ClipBatch:
    """Clips of one length and frame size. Legend: R segments of all clips, P frame pairs of all of them."""

    step: int
    plans: list[Plan]
    pairs: Tensor  # uint8 [P, 2, H, W, 3]
    packed: Packed  # R rows; a branch for every group of questions, with all memory tokens


class ClipBatches(Dataset[ClipBatch]):
    """Batch number i, always the same for the same seed: up to `rows` segments, in clips as many as if none
    had less than eight."""

    def __init__(self, wording: Wording, *, steps: int, seed: int, rows: int, wide: float = 0.0) -> None:
        self.wording, self.steps, self.seed, self.rows = wording, steps, seed, rows
        self.wide = wide

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> ClipBatch:
        rng = random.Random(f"joining/{self.seed}/{step}")
        aspect = rng.choices(tuple(FRAME_SIZES), (0.6, 0.2, 0.2))[0]
        segments = rng.choice(SEGMENTS)
        plans: list[Plan] = []
        while not plans:
            drafts = [
                plan_clip(
                    rng,
                    segments=segments,
                    questions=GROUPS,
                    aspect=aspect,
                    describing=False,
                    together=2 * TOGETHER if segments >= LONG else TOGETHER,
                    weights=WEIGHTS,
                    wide=self.wide,
                )
                for _ in range(max(1, self.rows // max(8, segments)))
            ]
            plans = [plan for plan in drafts if plan.groups]
        width, height = FRAME_SIZES[aspect]
        grid = (height // CELL, width // CELL)
        rows: list[Row] = []
        for plan in plans:
            # Memory tokens that several questions share are written with one of them in mind.
            readers = [rng.choice(group) for group in plan.groups]
            for index, times in enumerate(plan.times):
                row = Row(self.wording.prefix(((times[::2] + times[1::2]) / 2).tolist(), grid[0] * grid[1]))
                row.branches = [
                    replace(
                        self.wording.routing(asked.text, asked.shown[index], asked.earlier),
                        memory=MEMORY_TOKENS,
                    )
                    for asked in readers
                ]
                rows.append(row)
        frames = np.concatenate([segment for plan in plans for segment in draw(plan)])
        pairs = torch.from_numpy(frames).view(-1, 2, height, width, 3)
        return ClipBatch(step, plans, pairs, pack(rows, self.wording, grid))


def written(model: TempoQwenForCausalLM, batch: ClipBatch) -> tuple[Tensor, Tensor]:
    """Relevance [N] and memory tokens [N, M, D] of the N groups of all segments of a batch, row by row."""
    compressor: Any = model.compressor
    visual, deep = vision_features(compressor.vlm.visual, *patches(batch.pairs, model.config.make_geometry()))
    states = read_packed(compressor.vlm, batch.packed, visual, deep, compressor.compression_tokens[0])
    yes, no = compressor.relevance_rows
    relevance_N = (states[batch.packed.labels_T != IGNORE].float() @ (yes - no)).sigmoid()
    memory = states[batch.packed.memory_T >= 0]
    return relevance_N, memory.unflatten(0, (len(relevance_N), MEMORY_TOKENS))


def storylines(
    model: TempoQwenForCausalLM,
    batch: ClipBatch,
    relevance_N: Tensor,
    wording: Wording,
    *,
    random_share: float = RANDOM_SHARE,
) -> tuple[StoryRows, Tensor]:
    """What the decoder reads of each clip for each group, by the allocation that its relevance gives, and
    which of all memory tokens (N·M, numbered through) stand there."""
    config, rng = model.config, random.Random(f"allocation/{batch.step}")
    limits = {
        "budget": config.visual_token_budget,
        "k_min": config.min_tokens,
        "k_max": config.num_compression_tokens,
    }
    rows: list[Row] = []
    taken: list[int] = []
    start = 0
    for plan in batch.plans:
        segments, groups = len(plan.times), len(plan.groups)
        for number, group in enumerate(plan.groups):
            places = [start + index * groups + number for index in range(segments)]
            if rng.random() < random_share:
                counts = random_tokens(segments, rng=rng, **limits)
            else:
                counts = allocation.adaptive(relevance_N[places].tolist(), **limits)
            for place, count in zip(places, counts, strict=True):
                taken += range(place * MEMORY_TOKENS, place * MEMORY_TOKENS + count)
            rows.append(story_row(wording, plan.stamps, counts, group))
        start += segments * groups
    return story_rows(rows, [g for plan in batch.plans for g in plan.groups], wording), torch.tensor(taken)


def learn(
    model: TempoQwenForCausalLM,
    wording: Wording,
    out: Path,
    *,
    steps: int = 600,
    rows: int = ROWS,
    lr: float = 1e-3,
    seed: int,
    wide: float = 0.0,
) -> None:
    """Train projector and decoder of `model` in the run in `out`."""
    learning = nn.ModuleList([model.projector, model.model])
    data = ClipBatches(wording, steps=steps, seed=seed, rows=rows, wide=wide)
    with Run(
        out, learning, parameter_groups(learning, lr, decay=0.05, muon=True), LRSchedule(steps, 30)
    ) as run:
        for batch in ahead(data, run.step, model.device):
            with autocast(model.device):
                with torch.no_grad():
                    relevance_N, memory_NMD = written(model, batch)
                told = storylines(model, batch, relevance_N, wording)
                story, taken = moved(told, model.device)
                tokens = model.projector(memory_NMD.flatten(0, 1)[taken])
                loss, figures = decoder.read(model, story, tokens)
            length = "long" if len(batch.plans[0].times) >= LONG else "short"
            run.update(loss, figures | {length: figures["answers"]})


def save(model: TempoQwenForCausalLM, folder: Path, tokenizer: str | Path) -> None:
    """Write `model` as it answers: in bfloat16, in one folder."""
    save_model(deepcopy(model).to("cpu", torch.bfloat16), folder, tokenizer=tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the model whose halves were taught")
    parser.add_argument("--writing", type=Path, help="run in which its compressor learnt")
    parser.add_argument("--reading", type=Path, help="run in which its decoder learnt")
    parser.add_argument(
        "--start", type=Path, metavar="RUN", help="where they were joined before: they go on from there"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the run and of the weights")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rows", type=int, default=ROWS, help="segments a batch, about")
    parser.add_argument("--lr", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument(
        "--wide", type=float, default=0.0, metavar="SHARE", help="of the films that are of the wide world"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    wording = Wording(AutoTokenizer.from_pretrained(args.model), SYSTEM_PROMPT)
    model = load_trained(args.model, device_of(args.device))
    if args.writing is not None:
        restore(nn.ModuleList([model.compressor, model.projector]), args.writing)
    if args.reading is not None:
        restore(model.model, args.reading)
    if args.start is not None:
        restore(nn.ModuleList([model.projector, model.model]), args.start)
    learn(
        model,
        wording,
        args.out,
        steps=args.steps,
        rows=args.rows,
        lr=args.lr,
        seed=args.seed,
        wide=args.wide,
    )
    save(model, args.out / "weights", args.model)


if __name__ == "__main__":
    main()

"""Teach the compressor to write: memory tokens that tell the facts of their segment, in the code that
decoders read.

    python -m research.nano.stages.compressor --model src/tempo/assets/nano --out runs/writing

Segments stand alone here, and every memory token has its own truth, so nothing has to be found out through a
decoder. The tower learns first, alone, because what it does not see cannot be written and a segment without
words costs a quarter; it stays as it then is while the rest learns. The router's Yes or No, what the base
began with, goes on being learnt."""

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
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers import AutoTokenizer

from research.nano.checkpoints import load_trained, restore
from research.nano.config import (
    DESCRIBE_PROMPT,
    FRAME_SIZES,
    MEMORY_TOKENS,
    SYSTEM_PROMPT,
)
from research.nano.datasets.clips import kept
from research.nano.datasets.segments import (
    SegmentBatches,
    relevant,
    routing_questions,
    scene_somewhere,
)
from research.nano.packing import (
    IGNORE,
    Packed,
    Row,
    Wording,
    pack,
    read_packed,
)
from research.nano.patch_labels import CELL, CellHead
from research.nano.run import (
    Run,
    autocast,
    device_of,
    parameter_groups,
)
from research.nano.targets import FACTS, Code, facts
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.qwen3_vl import vision_features
from tempo.processing.image_processor import patches
from tempo.synthetic.questions import make_question
from tempo.synthetic.render import render
from tempo.synthetic.script import Script
from tempo.training.data.loader import ahead
from tempo.training.lr_schedule import LRSchedule

# Of the memory tokens behind the first, beside it: of those that tell of a thing, and of those that are left.
LISTED_WEIGHT, EMPTY_WEIGHT = 0.5, 0.1
SEGMENTS = 32  # a batch
DESCRIBED = 0.15  # of the segments; of the others a summary is asked


@dataclass(frozen=True)
class SegmentFacts:
    frames: Tensor  # uint8 [B, 8, H, W, 3]
    packed: Packed
    facts_NF: Tensor  # of every memory token, in the order of `packed`


class SegmentFactsBatches(Dataset[SegmentFacts]):
    """Batch number i, always the same for the same seed: `rows` segments with `questions` questions each."""

    def __init__(
        self, wording: Wording, *, steps: int, seed: int, rows: int, questions: int, wide: float = 0.0
    ) -> None:
        self.wording, self.steps, self.seed, self.wide = wording, steps, seed, wide
        self.rows, self.questions = rows, questions

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> SegmentFacts:
        rng = random.Random(f"writing/{self.seed}/{step}")
        aspect = rng.choices(tuple(FRAME_SIZES), (0.6, 0.2, 0.2))[0]
        size = FRAME_SIZES[aspect]
        tokens = (size[0] // CELL) * (size[1] // CELL)
        frames, rows, tables = [], [], []
        for _ in range(self.rows):
            script, times = scene_somewhere(rng, aspect, self.wide)
            frames.append(render(script, times, size))
            row = Row(self.wording.prefix(((times[::2] + times[1::2]) / 2).tolist(), tokens))
            for question, shown in routing_questions(rng, script, times, self.questions):
                count = kept(rng, shown)
                branch = self.wording.routing(question.text, shown, question.earlier)
                row.branches.append(replace(branch, memory=count))
                tables.append(facts(script, question.expressions, times, count))
            text, shown = self._listing(rng, script, times)
            row.branches.append(replace(self.wording.routing(text, shown), memory=MEMORY_TOKENS))
            tables.append(facts(script, (), times, MEMORY_TOKENS))
            rows.append(row)
        return SegmentFacts(
            torch.from_numpy(np.stack(frames)),
            pack(rows, self.wording, (size[1] // CELL, size[0] // CELL)),
            torch.from_numpy(np.concatenate(tables)),
        )

    @staticmethod
    def _listing(rng: random.Random, script: Script, times: np.ndarray) -> tuple[str, bool]:
        """A question about all that is seen, and whether it is relevant here: a summary, now and then a
        description."""
        question = make_question(rng, script, kind="summary") if rng.random() > DESCRIBED else None
        if question is None:
            return DESCRIBE_PROMPT, True
        return question.text, relevant(script, question, times)


def written(model: TempoQwenForCausalLM, batch: SegmentFacts) -> tuple[Tensor, Tensor]:
    """The states [T, D] of all tokens of a batch, and what is written into its memory tokens [N, D]."""
    compressor: Any = model.compressor
    with autocast(batch.frames.device):
        visual, deep = vision_features(
            compressor.vlm.visual, *patches(batch.frames, model.config.make_geometry())
        )
        states = read_packed(compressor.vlm, batch.packed, visual, deep, compressor.compression_tokens[0])
        return states, model.projector(states[batch.packed.memory_T >= 0])


def write(
    model: TempoQwenForCausalLM, batch: SegmentFacts, code: Code, wording: Wording, like: Tensor | None = None
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one batch, and how much of it is told right.

    Args:
        like: memory tokens [N, D] to which those of the batch are held, instead of to the facts.
    """
    compressor: Any = model.compressor
    packed = batch.packed
    states, tokens = written(model, batch)
    here = packed.memory_T >= 0
    first_N = packed.memory_T[here] == 0
    listed_N = batch.facts_NF.any(1)
    others_N = torch.where(listed_N, LISTED_WEIGHT, EMPTY_WEIGHT)
    telling, right_NF = code.loss(tokens, batch.facts_NF, torch.where(first_N, 1.0, others_N))
    if like is not None:
        telling = (tokens - like).float().square().sum(1).mean() / code.norm**2
    asked = packed.labels_T != IGNORE
    yes, no = compressor.relevance_rows
    logits = states[asked].float() @ (yes - no)
    truth = (packed.labels_T[asked] == wording.yes_id).float()
    routed = F.binary_cross_entropy_with_logits(logits, truth)
    first, right, table = (x.cpu() for x in (first_N, right_NF, batch.facts_NF))
    lead, table = right[first], table[first]
    matched = table[:, 0] > 0
    called = [place for place, fact in enumerate(FACTS) if fact in ("shape", "colour", "sort", "name")]
    figures = {
        "told": telling.item(),
        "routing": ((logits > 0) == (truth > 0.5)).float().mean().item(),
        "called": lead[matched][:, called].all(1).float().mean().item(),
        "listed": right[~first & listed_N.cpu()][:, called].all(1).float().mean().item(),
    }
    for place, fact in enumerate(FACTS):
        applies = matched & (table[:, place] > 0)
        figures[fact] = lead[applies][:, place].float().mean().item()
    figures["match"] = lead[:, 0].float().mean().item()
    return telling + routed, figures


def see(
    model: TempoQwenForCausalLM,
    wording: Wording,
    out: Path,
    *,
    steps: int = 1500,
    rows: int = SEGMENTS,
    lr: float = 2e-3,
    seed: int,
    wide: float = 0.0,
    sight: Path | None = None,
) -> None:
    """Train the vision tower of `model` alone, on what covers each of its cells, in the run in `out`.

    Args:
        rows: segments a batch, each of four pairs of frames from four films.
        sight: a run of this function in which the tower learnt before; its heads go on from there.
    """
    visual: Any = model.compressor.vlm.visual
    width = model.compressor.vlm.config.text_config.hidden_size
    learning = nn.ModuleList([visual, CellHead(width), CellHead(width)]).to(model.device)
    if sight is not None:
        restore(learning, sight)
    data = SegmentBatches(wording, steps=steps, seed=seed, batch=0, extra=rows, wide=wide)
    groups = parameter_groups(learning, lr, decay=0.05, muon=True)
    with Run(out, learning, groups, LRSchedule(steps, 40)) as run:
        for batch in ahead(data, run.step, model.device):
            with autocast(model.device):
                tokens, deep = vision_features(visual, *patches(batch.frames, model.config.make_geometry()))
                loss, right = learning[1](tokens.flatten(0, 1), batch.cells)
                loss = loss + 0.5 * learning[2](deep[0].flatten(0, 1), batch.cells)[0]
            run.update(loss, right)


def learn(
    model: TempoQwenForCausalLM,
    code: Code,
    wording: Wording,
    out: Path,
    *,
    steps: int = 440,
    rows: int = SEGMENTS,
    lr: float = 2e-3,
    seed: int,
    wide: float = 0.0,
    routing: bool = False,
) -> None:
    """Train compressor and projector of `model`, but for the tower, in the run in `out`; `routing`: the
    router alone, while what is written stays as `model` wrote it at first."""
    before = deepcopy(model).eval() if routing else None
    learning = nn.ModuleList([model.compressor, model.projector])
    model.compressor.vlm.visual.requires_grad_(False)
    groups = parameter_groups(learning, lr, decay=0.05, muon=True)
    data = SegmentFactsBatches(wording, steps=steps, seed=seed, rows=rows, questions=6, wide=wide)
    with Run(out, learning, groups, LRSchedule(steps, 40)) as run:
        for batch in ahead(data, run.step, model.device):
            with torch.no_grad():
                like = written(before, batch)[1] if before is not None else None
            run.update(*write(model, batch, code, wording, like))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the model whose compressor learns")
    parser.add_argument("--out", required=True, help="folder of the runs")
    parser.add_argument(
        "--seeing", type=int, default=1500, metavar="STEPS", help="of the tower; 0: it stays as it is"
    )
    parser.add_argument(
        "--sight",
        type=Path,
        metavar="RUN",
        help="where the tower learnt to see before (the run, not its parent): it goes on from there",
    )
    parser.add_argument("--steps", type=int, default=440, help="of the rest")
    parser.add_argument(
        "--routing",
        action="store_true",
        help="learn the router alone, of a model that was joined: what it writes stays as it is",
    )
    parser.add_argument("--rows", type=int, default=SEGMENTS, help="segments a batch, of both")
    parser.add_argument("--lr", type=float, default=2e-3, help="highest learning rate of both")
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument(
        "--wide", type=float, default=0.0, metavar="SHARE", help="of the films that are of the wide world"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    args = parser.parse_args()
    if args.sight is not None and not args.seeing:
        parser.error("--sight is where seeing goes on from; give --seeing STEPS with it")
    if args.routing and args.seeing:
        parser.error(
            "--routing keeps what is written, which a tower that learns would change; give --seeing 0"
        )
    torch.manual_seed(args.seed)
    wording = Wording(AutoTokenizer.from_pretrained(args.model), SYSTEM_PROMPT)
    model = load_trained(args.model, device_of(args.device))
    code = Code(model.model.embed_tokens.weight.detach().clone(), wording.plain)
    out = Path(args.out)
    shared: dict[str, Any] = {"rows": args.rows, "lr": args.lr, "seed": args.seed, "wide": args.wide}
    if args.seeing:
        see(model, wording, out / "seeing", steps=args.seeing, sight=args.sight, **shared)
    if args.steps:
        learn(model, code, wording, out / "writing", steps=args.steps, routing=args.routing, **shared)


if __name__ == "__main__":
    main()

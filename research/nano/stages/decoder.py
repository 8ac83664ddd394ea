"""Teach the decoder to read storylines whose memory tokens are written from the script, with no compressor at
all.

    python -m research.nano.stages.decoder --model src/tempo/assets/nano --out runs/reading

A storyline costs far less than the video that it stands for, so the skills that need many examples (finding
the one segment that matters, copying its time, choosing a letter) are learnt here, from `stories`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer

from research.nano.checkpoints import load_trained, restore
from research.nano.config import SYSTEM_PROMPT
from research.nano.datasets.clips import StoryRows
from research.nano.datasets.storylines import (
    ALONE_SEGMENTS,
    QUESTIONS,
    SEGMENTS,
    TOKENS,
    StoryBatches,
)
from research.nano.packing import IGNORE, Wording
from research.nano.run import (
    Run,
    autocast,
    device_of,
    parameter_groups,
)
from research.nano.targets import Code
from tempo.modeling import TempoQwenForCausalLM
from tempo.training.data.loader import ahead
from tempo.training.lr_schedule import LRSchedule


def read(model: TempoQwenForCausalLM, story: StoryRows, memory_ND: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The loss of the questions behind storylines with these memory tokens, and the share of answers whose
    every token is right, by kind."""
    packed = story.packed
    embeds_TD = model.model.embed_tokens(packed.ids_T)
    embeds_TD = embeds_TD.masked_scatter(packed.video_T[:, None], memory_ND.to(embeds_TD.dtype))
    hidden = packed.read(model.model, embeds_TD, position_ids=packed.positions_3T[:1])
    learnt = packed.labels_T != IGNORE
    labels = packed.labels_T[learnt]
    logits = model.lm_head(hidden[learnt]).float()
    wrong = logits.new_zeros(len(story.kinds))
    wrong.index_add_(0, story.owner_T[learnt], (logits.argmax(-1) != labels).float())
    whole = (wrong == 0).cpu()
    asked = torch.tensor(
        [kind.split()[0] not in ("describe", "naming", "drill", "letters") for kind in story.kinds]
    )
    letters = asked & torch.tensor([kind.endswith("letter") for kind in story.kinds])
    figures = {"answers": whole[asked].float().mean().item(), "letters": whole[letters].float().mean().item()}
    for kind in sorted(set(story.kinds)):
        figures[kind] = whole[torch.tensor([k == kind for k in story.kinds])].float().mean().item()
    # Every question counts alike, however long its answer.
    length = torch.bincount(story.owner_T[learnt], minlength=len(story.kinds))
    weight = 1 / length[story.owner_T[learnt]].float() ** 0.75
    return (F.cross_entropy(logits, labels, reduction="none") * weight).sum() / weight.sum(), figures


def learn(
    model: TempoQwenForCausalLM,
    code: Code,
    wording: Wording,
    out: Path,
    *,
    steps: int = 1200,
    naming: int = 240,
    alone: str = "",
    tokens: int = TOKENS,
    lr: float = 2e-3,
    seed: int,
    wide: float = 0.0,
    segments: tuple[int, ...] = SEGMENTS,
    start: Path | None = None,
) -> None:
    """Train the decoder of `model` in the run in `out`.

    Args:
        naming: for so many steps, in a wide world, on names alone.
        alone: the one kind of question that is asked, of `ALONE_SEGMENTS`; "": all.
        tokens: about so many a batch.
        segments: the lengths of stories; the first ones come first.
        start: a run of this function in which the decoder learnt before.
    """
    if start is not None:
        restore(model.model, start)
    groups = parameter_groups(model.model, lr, decay=0.05, muon=True)
    data = StoryBatches(
        wording,
        steps=steps,
        seed=seed,
        segments=segments,
        questions=QUESTIONS,
        wide=wide,
        naming=naming,
        alone=alone,
        tokens=tokens,
    )
    with Run(out, model.model, groups, LRSchedule(steps, 40)) as run:
        for batch in ahead(data, run.step, model.device):
            memory_ND = code.embed(batch.weights_NV)
            memory_ND = memory_ND + torch.randn_like(memory_ND) * code.norm * 0.03
            with autocast(model.device):
                loss, figures = read(model, batch.story, memory_ND)
            run.update(loss, figures)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the model whose decoder learns")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument(
        "--start", type=Path, metavar="RUN", help="where the decoder learnt before: it goes on from there"
    )
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument(
        "--naming",
        type=int,
        default=240,
        metavar="STEPS",
        help="of these, the first ones in a wide world, on names alone; 0: it reads names already",
    )
    parser.add_argument(
        "--alone",
        choices=tuple(ALONE_SEGMENTS),
        default="",
        help="ask nothing but this kind, in stories that show what is hard in it",
    )
    parser.add_argument(
        "--segments",
        type=int,
        nargs="+",
        default=SEGMENTS,
        metavar="N",
        help="lengths of stories, the first of them first; for a decoder that reads short ones already",
    )
    parser.add_argument("--lr", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--tokens", type=int, default=TOKENS, metavar="N", help="a batch, about")
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument(
        "--wide", type=float, default=0.0, metavar="SHARE", help="of the films that are of the wide world"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    wording = Wording(AutoTokenizer.from_pretrained(args.model), SYSTEM_PROMPT)
    model = load_trained(args.model, device_of(args.device))
    code = Code(model.model.embed_tokens.weight.detach().clone(), wording.plain)
    learn(
        model,
        code,
        wording,
        Path(args.out),
        steps=args.steps,
        naming=args.naming,
        alone=args.alone,
        tokens=args.tokens,
        lr=args.lr,
        seed=args.seed,
        wide=args.wide,
        segments=tuple(args.segments),
        start=args.start,
    )


if __name__ == "__main__":
    main()

"""Teach the decoder to read storylines whose memory tokens are written from the script, with no compressor at
all.

    python -m tempo.training.reading --model src/tempo/assets/nano --out runs/reading

A storyline costs a thousandth of the video that it stands for, so the skills that need many examples (finding
the one segment that matters, copying its time, choosing a letter) are learnt here. Several questions about
one thing share its storyline: a row holds the storyline once and the questions behind it (`packing`)."""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers import AutoTokenizer

from tempo.modeling import TempoQwenForCausalLM
from tempo.training.checkpoints import load_trained
from tempo.training.clips import Asked, kept, phrase, timeline
from tempo.training.facts import FACTS, Code, facts
from tempo.training.loader import ahead
from tempo.training.nano import DESCRIBE_PROMPT, FRAME_SIZES, MEMORY_TOKENS, SYSTEM_PROMPT
from tempo.training.packing import IGNORE, Packed, Row, Wording, pack
from tempo.training.run import Run, Schedule, parameter_groups
from tempo.world.describe import describe
from tempo.world.questions import LETTERS, ask, related
from tempo.world.vocabulary import COLOURS, SHAPES
from tempo.world.wording import KINDS

LIST_PROMPTS = ("List what appears, with times.", "What appears, and when?", "Tell me what appears and when.")
TOKENS_A_BATCH = 8000
SEGMENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
# How often each of KINDS is asked first; the others of the same thing come with it.
KIND_WEIGHTS = (1, 1, 1, 1, 1, 1.5, 2, 2)


@dataclass(frozen=True)
class StoryBatch:
    """Storylines with questions behind them, and the facts that their memory tokens tell, in order."""

    packed: Packed
    weights_NV: Tensor  # of the values of each memory token's facts, see facts.Code.embed
    owner_BL: Tensor  # which question a learnt token belongs to; -1 elsewhere
    kinds: list[str]


def doubtful(rng: random.Random, facts_NF: Tensor) -> Tensor:
    """Weights [N, VALUES] of facts as a compressor would tell them: mostly certain, now and then torn between
    two."""
    weights_NV = Code.certain(facts_NF)
    generator = torch.Generator().manual_seed(rng.getrandbits(62))
    count = len(facts_NF)
    other_NF = torch.stack([torch.randint(n, (count,), generator=generator) for n in FACTS.values()], 1)
    doubt_NF = torch.rand(count, len(FACTS), generator=generator)
    unsure_NF = torch.rand(count, len(FACTS), generator=generator) < 0.12
    share_NF = torch.where(unsure_NF, 0.5 * doubt_NF, 0.04 * doubt_NF)
    # A match that is not there is seldom half seen: there are a hundred segments for every one that matters.
    absent_N = facts_NF[:, 0] == 0
    share_NF[absent_N, 0] *= torch.where(torch.rand(int(absent_N.sum()), generator=generator) < 0.2, 1.0, 0.1)
    other_NV = Code.certain(other_NF)
    share_NV = torch.cat([share_NF[:, [f]].expand(-1, n) for f, n in enumerate(FACTS.values())], 1)
    return weights_NV * (1 - share_NV) + other_NV * share_NV


def _listed(tables: list[np.ndarray], stamps: list[str]) -> str:
    """The first thing of every segment with its time, from the facts of its first memory token."""
    parts = []
    for table, stamp in zip(tables, stamps, strict=True):
        shape, colour = int(table[0, 2]), int(table[0, 3])
        name = f"{tuple(COLOURS)[colour - 1]} {SHAPES[shape - 1]}" if shape else "nothing"
        parts.append(f"{stamp} seconds: {name}.")
    return " ".join(parts)


def story(
    rng: random.Random, wording: Wording, *, segments: int, questions: int
) -> tuple[Row, Tensor, list[str]] | None:
    """One storyline with up to `questions` questions about one thing, the facts of its memory tokens, and the
    kinds of the questions."""
    script, times, window = timeline(rng, segments=segments, aspect=rng.choice(tuple(FRAME_SIZES)))
    stamps = [f"{float(t[0]) + window / 2:.1f}" for t in times]
    everywhere = (True,) * segments
    asked: list[Asked] = []
    luck = rng.random()
    if luck < 0.1 and segments <= 2:
        asked.append(Asked("describe", DESCRIBE_PROMPT, describe(script, np.concatenate(times)), everywhere))
    elif luck < 0.2 and segments <= 8:
        listed = _listed([facts(script, (), t, 1) for t in times], stamps)
        asked.append(Asked("list", rng.choice(LIST_PROMPTS), listed, everywhere))
    else:
        question = ask(rng, script, kind=rng.choices(KINDS, KIND_WEIGHTS)[0])
        if question is None:
            return None
        group = [question] * 3 + related(rng, script, question)
        for _ in range(questions):
            found = phrase(rng, script, rng.choice(group), times, window, 0.5)
            if found:
                asked.append(found)
    if not asked:
        return None
    ids, tables = list(wording.decoder_open), []
    for shown, moment, stamp in zip(asked[0].shown, times, stamps, strict=True):
        count = MEMORY_TOKENS if asked[0].kind == "describe" else kept(rng, shown)
        ids += wording.plain(f"<{stamp} seconds>") + [wording.video_id] * count
        tables.append(torch.from_numpy(facts(script, asked[0].looks, moment, MEMORY_TOKENS)[:count]))
    row = Row(ids, [wording.asking(a.text, a.answer) for a in asked])
    return row, torch.cat(tables), [f"{a.kind} letter" if a.answer in LETTERS else a.kind for a in asked]


class StoryBatches(Dataset[StoryBatch]):
    """Batch number i, always the same for the same seed; about as many tokens in each."""

    def __init__(
        self, wording: Wording, *, steps: int, seed: int, segments: tuple[int, ...], questions: int
    ) -> None:
        self.wording, self.steps, self.seed = wording, steps, seed
        self.segments, self.questions = segments, questions

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> StoryBatch:
        rng = random.Random(f"reading/{self.seed}/{step}")
        # Short ones first: what the tokens say is learnt before where to look for it.
        known = 1 + round((len(self.segments) - 1) * min(1.0, step / (0.35 * self.steps)))
        segments = rng.choice(self.segments[:known])
        rows, tables, kinds, size = [], [], [], 0
        while size < TOKENS_A_BATCH:
            found = story(rng, self.wording, segments=segments, questions=self.questions)
            if found:
                rows.append(found[0])
                tables.append(found[1])
                kinds += found[2]
                size += len(found[0].prefix) + sum(len(b.ids) for b in found[0].branches)
        packed = pack(rows, self.wording, (1, 1))
        owner = torch.full_like(packed.ids_BL, -1)
        number = 0
        for index, row in enumerate(rows):
            at = len(row.prefix)
            for branch in row.branches:
                owner[index, at : at + len(branch.ids)] = number
                at, number = at + len(branch.ids), number + 1
        owner[packed.labels_BL == IGNORE] = -1
        return StoryBatch(packed, doubtful(rng, torch.cat(tables)), owner, kinds)


def read(model: TempoQwenForCausalLM, batch: StoryBatch, code: Code) -> tuple[Tensor, dict[str, float]]:
    """The loss of one batch, and the share of answers whose every token is right, by kind."""
    packed = batch.packed
    embeds = model.model.embed_tokens(packed.ids_BL)
    tokens = code.embed(batch.weights_NV)
    tokens = tokens + torch.randn_like(tokens) * code.norm * 0.03
    embeds = embeds.masked_scatter(packed.video_BL[..., None], tokens.to(embeds.dtype))
    hidden = model.model(
        inputs_embeds=embeds,
        attention_mask=packed.mask_B1LL,
        position_ids=packed.positions_3BL[0],
        use_cache=False,
    ).last_hidden_state
    learnt = packed.labels_BL != IGNORE
    labels = packed.labels_BL[learnt]
    logits = model.lm_head(hidden[learnt]).float()
    wrong = torch.zeros(len(batch.kinds))
    wrong.index_add_(0, batch.owner_BL[learnt], (logits.argmax(-1) != labels).float())
    whole = wrong == 0
    asked = torch.tensor([kind not in ("describe", "list") for kind in batch.kinds])
    letters = torch.tensor([kind.endswith("letter") for kind in batch.kinds])
    figures = {"answers": whole[asked].float().mean().item(), "letters": whole[letters].float().mean().item()}
    for kind in sorted(set(batch.kinds)):
        figures[kind] = whole[torch.tensor([k == kind for k in batch.kinds])].float().mean().item()
    return F.cross_entropy(logits, labels), figures


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    wording = Wording(AutoTokenizer.from_pretrained(args.model), SYSTEM_PROMPT)
    model = load_trained(args.model)
    model.compressor.requires_grad_(False)
    code = Code(model.model.embed_tokens.weight.detach(), wording.plain)
    groups = parameter_groups(model.model, args.lr, decay=0.05)
    data = StoryBatches(wording, steps=args.steps, seed=args.seed, segments=SEGMENTS, questions=8)
    with Run(Path(args.out), model.model, groups, Schedule(args.steps, 40)) as run:
        for batch in ahead(data, run.step):
            with torch.autocast("cpu", torch.bfloat16):
                loss, figures = read(model, batch, code)
            run.update(loss, figures)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the model whose decoder learns")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=21)
    train(parser.parse_args())


if __name__ == "__main__":
    main()

"""Teach the decoder to read storylines whose memory tokens are written from the script, with no compressor at
all.

    python -m tempo.training.reading --model src/tempo/assets/nano --out runs/reading

A storyline costs far less than the video that it stands for, so the skills that need many examples (finding
the one segment that matters, copying its time, choosing a letter) are learnt here. Several questions about
one thing share its storyline: a row holds the storyline once and the questions behind it (`packing`)."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
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
from tempo.training.clips import (
    KIND_WEIGHTS,
    LONG,
    Asked,
    StoryRows,
    group_of,
    kept,
    story_row,
    story_rows,
    timeline,
)
from tempo.training.facts import FACTS, Code, facts, name_told
from tempo.training.loader import ahead
from tempo.training.nano import DESCRIBE_PROMPT, FRAME_SIZES, MEMORY_TOKENS, SYSTEM_PROMPT
from tempo.training.packing import IGNORE, Branch, Row, Wording
from tempo.training.run import Run, Schedule, autocast, parameter_groups
from tempo.world.describe import describe
from tempo.world.looks import Question
from tempo.world.questions import LETTERS, ask
from tempo.world.script import make_script
from tempo.world.templates import KINDS, WIDE_KINDS

NAMING_PROMPTS = (
    "What is there at {} seconds?",
    "What can you see at {} seconds?",
    "At {} seconds: what is it?",
)
TOKENS_A_BATCH = 5000
DRILLS = 0.06  # of the rows
# Another share of the rows: short stories with nothing but options, about what letters are learnt for last.
LETTERS_FIRST = 0.2
# And another: stories whose things are alike, mostly about what comes after. Which of many places an answer
# is at is learnt here, in stories that are cheap.
ALIKE = 0.35
ALIKE_SEGMENTS = (4, 6, 8, 12, 16, 24, 32)
ALIKE_WEIGHTS = (0.5, 1, 0.3, 0.3, 0.2, 1, 3, 8)  # of KINDS
# And another: what is there at a time, which practises hundreds of names more densely than other questions
# do. Where the world is wide nothing else comes first: names are not learnt one by one but all at once, when
# the directions that they share are found, and among other questions that took longer than there was time.
NAMING = 0.1
HARD_LETTERS = (0.3, 3, 0.3, 0.2, 0.3, 1.5, 2, 2)  # of KINDS
SEGMENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 96, 128)
QUESTIONS = 6  # behind a storyline; behind a long one thrice as many


@dataclass(frozen=True)
class StoryBatch:
    """Storylines with questions behind them, and weights [N, VALUES] of the facts that their memory tokens
    tell, in order (facts.Code.embed)."""

    story: StoryRows
    weights_NV: Tensor


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


def _named(rng: random.Random, tables: list[np.ndarray], stamps: list[str], count: int) -> list[Asked]:
    """What the first token of one segment or another tells of, asked for by its time."""
    found = []
    for _ in range(count):
        table, stamp = rng.choice(list(zip(tables, stamps, strict=True)))
        name = name_told(table[0])
        text = rng.choice(NAMING_PROMPTS).format(stamp)
        found.append(Asked("naming", text, name, (True,) * len(stamps)))
    return found


def drill(rng: random.Random, wording: Wording, question: Question) -> tuple[Branch, Asked]:
    """A multiple choice question without its question: which letter stands for one of the options, or, right
    behind every option, for each of them.

    A letter stands before its option, so finding it is not what attention does of itself. The second form
    asks for nothing else, four times in a row.
    """
    _, *lines = question.text.split("\n")
    pairs = list(zip(LETTERS, question.options, strict=False))
    if rng.random() < 0.4:
        letter, said = rng.choice(pairs)
        asked = Asked("drill", "\n".join([f"Which letter stands for {said}?", *lines]), letter, ())
        return wording.asking(asked.text, letter), asked
    rng.shuffle(pairs)
    asked = Asked("letters", "\n".join(["Give the letter of each.", *lines[:-1]]), "", ())
    branch = wording.asking(asked.text, "")
    ids, labels = branch.ids, [*branch.labels[:-1], IGNORE]
    for letter, said in pairs:
        option, stands = wording.plain(f" {said}"), wording.plain(letter)
        ids += option + stands
        labels += [IGNORE] * (len(option) - 1) + stands + [IGNORE] * len(stands)
    return Branch(ids, labels), asked


def drills(
    rng: random.Random, wording: Wording, *, questions: int, wide: float = 0.0
) -> tuple[Row, Tensor, list[Asked]]:
    """Questions that need no storyline."""
    found: list[tuple[Branch, Asked]] = []
    while len(found) < questions:
        script = make_script(rng, duration=30, wide=rng.random() < wide)
        kinds = (*KINDS, *WIDE_KINDS) if script.wide else KINDS
        question = ask(rng, script, kind=rng.choice(kinds), choice=True)
        if question:
            found.append(drill(rng, wording, question))
    row = Row(list(wording.decoder_open), [branch for branch, _ in found])
    return row, torch.zeros(0, len(FACTS), dtype=torch.long), [asked for _, asked in found]


def story(
    rng: random.Random,
    wording: Wording,
    *,
    segments: int,
    questions: int,
    choice: float,
    weights: Sequence[float] = KIND_WEIGHTS,
    naming: bool = False,
    wide: float = 0.0,
    alike: float = 0.0,
) -> tuple[Row, Tensor, list[Asked]] | None:
    """One storyline with questions about one thing, the facts of its memory tokens, and the questions."""
    aspect = rng.choice(tuple(FRAME_SIZES))
    script, times, window = timeline(rng, segments=segments, aspect=aspect, wide=wide, alike=alike)
    stamps = [f"{float(t[0]) + window / 2:.1f}" for t in times]
    everywhere = (True,) * segments
    whole = segments <= 2 and rng.random() < 0.5  # every memory token is there, so all can be told
    if naming:
        group = _named(rng, [facts(script, (), t, 1) for t in times], stamps, questions)
    else:
        group = group_of(rng, script, times, window, questions=questions, choice=choice, weights=weights)
    if not group:
        return None
    counts = [MEMORY_TOKENS if whole else kept(rng, shown) for shown in group[0].shown]
    tables = [
        torch.from_numpy(facts(script, group[0].looks, moment, MEMORY_TOKENS)[:count])
        for moment, count in zip(times, counts, strict=True)
    ]
    if whole:
        group.append(Asked("describe", DESCRIBE_PROMPT, describe(script, np.concatenate(times)), everywhere))
    return story_row(wording, stamps, counts, group), torch.cat(tables), group


class StoryBatches(Dataset[StoryBatch]):
    """Batch number i, always the same for the same seed; about as many tokens in each.

    Short stories and open questions come first: what the tokens say is learnt before where to look for it.
    """

    def __init__(
        self,
        wording: Wording,
        *,
        steps: int,
        seed: int,
        segments: tuple[int, ...],
        questions: int,
        wide: float = 0.0,
        naming: int = 0,
    ) -> None:
        self.wording, self.steps, self.seed, self.wide = wording, steps, seed, wide
        self.segments, self.questions, self.naming = segments, questions, naming

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> StoryBatch:
        rng = random.Random(f"reading/{self.seed}/{step}")
        progress = min(1.0, step / (0.3 * self.steps))
        names_first = self.wide > 0 and step < self.naming
        segments = rng.choice(self.segments[: 1 + round((len(self.segments) - 1) * progress)])
        rows, tables, groups, size = [], [], [], 0
        found: tuple[Row, Tensor, list[Asked]] | None
        while size < TOKENS_A_BATCH:
            luck = rng.random()
            if names_first or luck < NAMING:
                found = story(
                    rng,
                    self.wording,
                    segments=rng.choice((1, 1, 2, 4)),
                    questions=4,
                    choice=0.0,
                    naming=True,
                    wide=1.0 if self.wide else 0.0,
                )
            elif luck < NAMING + DRILLS:
                found = drills(rng, self.wording, questions=self.questions, wide=self.wide)
            elif luck < NAMING + DRILLS + LETTERS_FIRST:
                found = story(
                    rng,
                    self.wording,
                    segments=rng.choice((1, 1, 2, 3, 4)),
                    questions=self.questions,
                    choice=1.0,
                    weights=HARD_LETTERS,
                    wide=self.wide,
                )
            elif luck < NAMING + DRILLS + LETTERS_FIRST + ALIKE:
                found = story(
                    rng,
                    self.wording,
                    segments=rng.choice(ALIKE_SEGMENTS),
                    questions=self.questions,
                    choice=0.2,
                    weights=ALIKE_WEIGHTS,
                    wide=self.wide / 2,
                    alike=1.0,
                )
            else:
                choice = 0.1 + 0.4 * progress
                found = story(
                    rng,
                    self.wording,
                    segments=segments,
                    questions=self.questions * (3 if segments >= LONG else 1),
                    choice=choice,
                    wide=self.wide,
                )
            if found:
                rows.append(found[0])
                tables.append(found[1])
                groups.append(found[2])
                size += len(found[0].prefix) + sum(len(b.ids) for b in found[0].branches)
        return StoryBatch(story_rows(rows, groups, self.wording), doubtful(rng, torch.cat(tables)))


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
    wrong = torch.zeros(len(story.kinds))
    wrong.index_add_(0, story.owner_T[learnt], (logits.argmax(-1) != labels).float())
    whole = wrong == 0
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
    lr: float = 2e-3,
    seed: int,
    wide: float = 0.0,
    segments: tuple[int, ...] = SEGMENTS,
) -> None:
    """Train the decoder of `model` in the run in `out`, in a wide world for the first `naming` steps on names
    alone. `segments` are the lengths of stories, the first of which come first."""
    groups = parameter_groups(model.model, lr, decay=0.05, muon=True)
    data = StoryBatches(
        wording,
        steps=steps,
        seed=seed,
        segments=segments,
        questions=QUESTIONS,
        wide=wide,
        naming=naming,
    )
    with Run(out, model.model, groups, Schedule(steps, 40)) as run:
        for batch in ahead(data, run.step):
            memory_ND = code.embed(batch.weights_NV)
            memory_ND = memory_ND + torch.randn_like(memory_ND) * code.norm * 0.03
            with autocast():
                loss, figures = read(model, batch.story, memory_ND)
            run.update(loss, figures)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the model whose decoder learns")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument(
        "--naming",
        type=int,
        default=240,
        metavar="STEPS",
        help="of these, the first ones in a wide world, on names alone; 0: it reads names already",
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
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument(
        "--wide", type=float, default=0.0, metavar="SHARE", help="of the films that are of the wide world"
    )
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    wording = Wording(AutoTokenizer.from_pretrained(args.model), SYSTEM_PROMPT)
    model = load_trained(args.model)
    code = Code(model.model.embed_tokens.weight.detach().clone(), wording.plain)
    learn(
        model,
        code,
        wording,
        Path(args.out),
        steps=args.steps,
        naming=args.naming,
        lr=args.lr,
        seed=args.seed,
        wide=args.wide,
        segments=tuple(args.segments),
    )


if __name__ == "__main__":
    main()

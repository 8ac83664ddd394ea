"""Storylines whose memory tokens are written from the script, with questions about them: what the decoder
learns to read from, made on the fly.

Several questions about one thing share its storyline: a row holds the storyline once and the questions behind
it (`packing`)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from research.nano.config import DESCRIBE_PROMPT, FRAME_SIZES, MEMORY_TOKENS
from research.nano.packing import (
    IGNORE,
    Branch,
    PackedPrompts,
    Row,
)
from research.nano.targets import (
    TARGETS,
    Codebook,
    auxiliary_targets,
    name_told,
    told,
)
from tempo.errors import UsageError
from tempo.synthetic.captions import caption
from tempo.synthetic.expressions import SyntheticQuestion
from tempo.synthetic.questions import LETTERS, make_question, related
from tempo.synthetic.script import Script, make_script
from tempo.synthetic.templates import KINDS, WIDE_KINDS
from tempo.training.data.sources import SourceContext

from .clips import (
    KIND_WEIGHTS,
    LONG,
    Asked,
    StoryRows,
    group_of,
    kept,
    phrase,
    story_row,
    story_rows,
    timeline,
)
from .packed_batches import PackedBatches

NAMING_PROMPTS = (
    "What is there at {} seconds?",
    "What can you see at {} seconds?",
    "At {} seconds: what is it?",
)
READING_PROMPT = "Read everything."
READ_SEGMENTS = (2, 3, 4, 6, 8, 12, 16)
TOKENS = 5000  # a batch, about
DRILLS = 0.05  # of the rows
CURRICULUM = 0.3  # of the steps behind names and basics, until everything is as hard as it gets
BASICS = (0.15, 0.45, 0.4)  # of the rows, while nothing else is learnt: names, stories read out, drills
# Another share of the rows: short stories with nothing but options, about what letters are learnt for last.
LETTERS_FIRST = 0.1
# And another: stories whose things are alike, mostly about what comes after. Which of many places an answer
# is at is learnt here, in stories that are cheap.
ALIKE = 0.35
ALIKE_SEGMENTS = (4, 6, 8, 12, 16, 24, 32, 48)
# And another: stories about which nothing but one kind is asked, which can be a leg of its own too. These are
# the lengths of those that show what is hard in it at the least cost.
# What comes after has a second word, hard where things are alike; a time has later digits, hard where times
# are many; appearances are counted over all of a story; a summary says what is alike again and again, and
# goes on behind what was said last.
ALONE = 0.2
ALONE_SEGMENTS = {
    "after": (3, 4, 6, 8, 12),
    "when": (24, 32, 48, 64, 96),
    "times": (12, 16, 24, 32, 48, 64, 96, 128),
    "summary": (2, 3, 4, 5, 6, 7, 8),
}
ALIKE_WEIGHTS = (0.5, 1, 0.3, 0.3, 0.2, 3, 4, 8)  # of KINDS
# And another: what is there at a time, which practises hundreds of names more densely than other questions
# do. Where the world is wide nothing else comes first: names are not learnt one by one but all at once, when
# the directions that they share are found, and among other questions that took longer than there was time.
NAMING = 0.08
# And another: stories that are read out, segment by segment. Seven times as many words are learnt of a batch
# as of one with questions alone, and each of them hangs on one token.
READING = 0.1
HARD_LETTERS = (0.3, 3, 0.3, 0.2, 0.3, 1.5, 2, 2)  # of KINDS
SEGMENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 96, 128)
QUESTIONS = 6  # behind a storyline; behind a long one thrice as many


# A storyline with the questions behind it, the facts of its memory tokens, and the questions.
Told: TypeAlias = tuple[Row, Tensor, list[Asked]]


@dataclass(frozen=True)
class StoryBatch:
    """Storylines with questions behind them, and weights [N, VALUES] of the facts that their memory tokens
    tell, in order (Codebook.embed)."""

    story: StoryRows
    weights_NV: Tensor


def doubtful(rng: random.Random, targets_NF: Tensor) -> Tensor:
    """Weights [N, VALUES] of facts as a compressor would tell them: mostly certain, now and then torn between
    two."""
    weights_NV = Codebook.certain(targets_NF)
    generator = torch.Generator().manual_seed(rng.getrandbits(62))
    count = len(targets_NF)
    other_NF = torch.stack([torch.randint(n, (count,), generator=generator) for n in TARGETS.values()], 1)
    doubt_NF = torch.rand(count, len(TARGETS), generator=generator)
    unsure_NF = torch.rand(count, len(TARGETS), generator=generator) < 0.12
    share_NF = torch.where(unsure_NF, 0.5 * doubt_NF, 0.04 * doubt_NF)
    # A match that is not there is seldom half seen: there are a hundred segments for every one that matters.
    absent_N = targets_NF[:, 0] == 0
    share_NF[absent_N, 0] *= torch.where(torch.rand(int(absent_N.sum()), generator=generator) < 0.2, 1.0, 0.1)
    other_NV = Codebook.certain(other_NF)
    share_NV = torch.cat([share_NF[:, [f]].expand(-1, n) for f, n in enumerate(TARGETS.values())], 1)
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


def _read(tables: list[Tensor], stamps: list[str]) -> Asked:
    """The whole storyline in words, a segment after the other: what the first token of each tells, and
    whether it was asked about."""
    text = "; ".join(f"{stamp} {told(table[0].numpy())}" for table, stamp in zip(tables, stamps, strict=True))
    return Asked("reading", READING_PROMPT, text, (True,) * len(stamps))


def _of_one_kind(
    rng: random.Random, script: Script, times: list[np.ndarray], window: float, kind: str, count: int
) -> list[Asked]:
    """Open questions of one kind about one thing, in different words."""
    question = make_question(rng, script, kind=kind)
    if question is None:
        return []
    others = (other for _ in range(count - 1) for other in related(rng, script, question))
    pool = [question, *(other for other in others if other.kind == kind)]
    found = (phrase(rng, script, each, times, window, 0.0) for each in pool)
    return [asked for asked in found if asked]


def drill(rng: random.Random, prompts: PackedPrompts, question: SyntheticQuestion) -> tuple[Branch, Asked]:
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
        return prompts.answering(asked.text, letter), asked
    rng.shuffle(pairs)
    asked = Asked("letters", "\n".join(["Give the letter of each.", *lines[:-1]]), "", ())
    branch = prompts.answering(asked.text, "")
    ids, labels = branch.ids, [*branch.labels[:-1], IGNORE]
    for letter, said in pairs:
        option, stands = prompts.plain(f" {said}"), prompts.plain(letter)
        ids += option + stands
        labels += [IGNORE] * (len(option) - 1) + stands + [IGNORE] * len(stands)
    return Branch(ids, labels), asked


def drills(rng: random.Random, prompts: PackedPrompts, *, questions: int, wide: float = 0.0) -> Told:
    """Questions that need no storyline."""
    found: list[tuple[Branch, Asked]] = []
    while len(found) < questions:
        script = make_script(rng, duration=30, wide=rng.random() < wide)
        kinds = (*KINDS, *WIDE_KINDS) if script.wide else KINDS
        question = make_question(rng, script, kind=rng.choice(kinds), choice=True)
        if question:
            found.append(drill(rng, prompts, question))
    row = Row(list(prompts.decoder_open), [branch for branch, _ in found])
    return row, torch.zeros(0, len(TARGETS), dtype=torch.long), [asked for _, asked in found]


def story(
    rng: random.Random,
    prompts: PackedPrompts,
    *,
    segments: int,
    questions: int,
    choice: float,
    weights: Sequence[float] = KIND_WEIGHTS,
    alone: str = "",
    wide: float = 0.0,
    alike: float = 0.0,
    reading: bool = False,
) -> Told | None:
    """One storyline with questions about one thing, the facts of its memory tokens, and the questions.

    `alone`: nothing but "naming" or this kind is asked. `reading`: all of it is read out beside that."""
    aspect = rng.choice(tuple(FRAME_SIZES))
    script, times, window = timeline(rng, segments=segments, aspect=aspect, wide=wide, alike=alike)
    stamps = [f"{float(t[0]) + window / 2:.1f}" for t in times]
    everywhere = (True,) * segments
    whole = segments <= 2 and rng.random() < 0.5  # every memory token is there, so all can be told
    if alone == "naming":
        group = _named(rng, [auxiliary_targets(script, (), t, 1) for t in times], stamps, questions)
    elif alone:
        group = _of_one_kind(rng, script, times, window, alone, questions)
    else:
        group = group_of(rng, script, times, window, questions=questions, choice=choice, weights=weights)
    if not group:
        return None
    counts = [MEMORY_TOKENS if whole else kept(rng, shown) for shown in group[0].shown]
    tables = [
        torch.from_numpy(auxiliary_targets(script, group[0].expressions, moment, MEMORY_TOKENS)[:count])
        for moment, count in zip(times, counts, strict=True)
    ]
    if whole:
        group.append(Asked("describe", DESCRIBE_PROMPT, caption(script, np.concatenate(times)), everywhere))
    if reading:
        group.append(_read(tables, stamps))
    return story_row(prompts, stamps, counts, group), torch.cat(tables), group


class StoryBatches(PackedBatches):
    """Storylines with questions behind them, about as many tokens in each batch.

    Names come first, then what every token says, and letters; then questions, about short stories before long
    ones: what the tokens say is learnt before where to look for it.

    Args:
        segments: the lengths of stories; the first ones come first.
        questions: behind a storyline; behind a long one thrice as many.
        wide: the share of the scripts that is of the wide world.
        naming: for so many steps, in a wide world, names alone.
        basics: for so many steps behind them names, stories that are read out, and drills, in turn.
        alone: the one kind of question that is asked, of `ALONE_SEGMENTS`; "": all.
        tokens: about so many a batch.
        curriculum: whether easy ones come first; held-out data are as hard as the last ones.
    """

    def __init__(
        self,
        context: SourceContext,
        *,
        segments: Sequence[int] = SEGMENTS,
        questions: int = QUESTIONS,
        wide: float = 0.0,
        naming: int = 0,
        basics: int = 0,
        alone: str = "",
        tokens: int = TOKENS,
        curriculum: bool = True,
    ) -> None:
        if alone and alone not in ALONE_SEGMENTS:
            raise UsageError(f"alone must be one of {', '.join(ALONE_SEGMENTS)}, not {alone!r}")
        if curriculum and context.steps is None:
            raise UsageError("the curriculum needs schedule.steps")
        super().__init__(context)
        self.wide, self.segments, self.questions = wide, tuple(segments), questions
        self.naming, self.basics, self.alone = naming if wide else 0, basics, alone
        self.tokens, self.curriculum = tokens, curriculum

    def __getitem__(self, step: int) -> StoryBatch:
        rng = random.Random(f"reading/{self.seed}/{step}")
        progress = self._progress(step) if self.curriculum else 1.0
        segments = rng.choice(self.segments[: 1 + round((len(self.segments) - 1) * progress)])
        make: Callable[[random.Random], Told | None]
        if self.alone:
            make = partial(self._of_one_kind, kind=self.alone)
        elif self.curriculum and step < self.naming:
            make = self._names
        elif self.curriculum and step < self.naming + self.basics:
            make = self._basics
        else:
            make = partial(self._mixed, segments=segments, progress=progress)
        rows, tables, groups, size = [], [], [], 0
        while size < self.tokens:
            found = make(rng)
            if found:
                rows.append(found[0])
                tables.append(found[1])
                groups.append(found[2])
                size += len(found[0].prefix) + sum(len(b.ids) for b in found[0].branches)
        return StoryBatch(story_rows(rows, groups, self.prompts), doubtful(rng, torch.cat(tables)))

    def _progress(self, step: int) -> float:
        """How far the curriculum has come: from 0, behind names and basics, to 1, when all is as hard as it
        gets."""
        first = self.naming + self.basics
        return min(1.0, max(0.0, (step - first) / (CURRICULUM * max(1, (self.steps or 1) - first))))

    def _mixed(self, rng: random.Random, *, segments: int, progress: float) -> Told | None:
        of_one_kind = partial(self._of_one_kind, kind=rng.choice(tuple(ALONE_SEGMENTS)))
        makers = (self._names, self._reading, self._drills, self._letters, self._alike, of_one_kind)
        # What is hard is learnt by those who know what the tokens say.
        shares = (NAMING, READING, DRILLS, LETTERS_FIRST, ALIKE * progress, ALONE * progress)
        make = rng.choices((*makers, None), (*shares, 1 - sum(shares)))[0]
        if make is not None:
            return make(rng)
        questions = self.questions * (3 if segments >= LONG else 1)
        choice = 0.1 + 0.4 * progress
        return story(rng, self.prompts, segments=segments, questions=questions, choice=choice, wide=self.wide)

    def _names(self, rng: random.Random) -> Told | None:
        wide = 1.0 if self.wide else 0.0
        segments = rng.choice((1, 1, 2, 4))
        return story(rng, self.prompts, segments=segments, questions=4, choice=0.0, alone="naming", wide=wide)

    def _reading(self, rng: random.Random) -> Told | None:
        segments = rng.choice(READ_SEGMENTS)
        return story(
            rng, self.prompts, segments=segments, questions=2, choice=0.0, wide=self.wide, reading=True
        )

    def _basics(self, rng: random.Random) -> Told | None:
        return rng.choices((self._names, self._reading, self._drills), BASICS)[0](rng)

    def _of_one_kind(self, rng: random.Random, *, kind: str) -> Told | None:
        segments = rng.choice(ALONE_SEGMENTS[kind])
        return story(
            rng,
            self.prompts,
            segments=segments,
            questions=2,
            choice=0.0,
            alone=kind,
            wide=self.wide / 2,
            alike=1.0,
        )

    def _drills(self, rng: random.Random) -> Told | None:
        return drills(rng, self.prompts, questions=self.questions, wide=self.wide)

    def _letters(self, rng: random.Random) -> Told | None:
        return story(
            rng,
            self.prompts,
            segments=rng.choice((1, 1, 2, 3, 4)),
            questions=self.questions,
            choice=1.0,
            weights=HARD_LETTERS,
            wide=self.wide,
        )

    def _alike(self, rng: random.Random) -> Told | None:
        segments = rng.choice(ALIKE_SEGMENTS)
        return story(
            rng,
            self.prompts,
            segments=segments,
            questions=self.questions * (2 if segments >= LONG else 1),
            choice=0.2,
            weights=ALIKE_WEIGHTS,
            wide=self.wide / 2,
            alike=1.0,
        )

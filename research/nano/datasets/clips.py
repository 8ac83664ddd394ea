"""Clips of several segments with questions about them: what the whole model learns from, made on the fly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from research.nano.config import DESCRIBE_PROMPT, FRAME_SIZES, MEMORY_TOKENS
from research.nano.packing import (
    IGNORE,
    Packed,
    PackedPrompts,
    Row,
    pack,
)
from tempo.synthetic.captions import caption
from tempo.synthetic.expressions import ReferringExpression, SyntheticQuestion
from tempo.synthetic.follow_ups import random_follow_ups
from tempo.synthetic.global_questions import summary
from tempo.synthetic.questions import (
    LETTERS,
    as_choice,
    make_question,
    related,
)
from tempo.synthetic.render import render
from tempo.synthetic.script import Script, make_script, shift
from tempo.synthetic.templates import GLOBAL_KINDS, KINDS, WIDE_KINDS
from tempo.synthetic.vocabulary import COLOURS

from .rephrasing import STANDING, STILL, rephrase, standing_still
from .segments import relevant, sampling_of, within

SEGMENT_FRAMES = 8
LONG = 16  # segments: a storyline of so many and more costs more than the questions behind it
# How often each of KINDS is asked: colour, shape, direction, exists, count, when, first, after. Other kinds
# about the same thing come with it, but colour and shape only where the question does not give them away.
KIND_WEIGHTS = (2, 2.5, 0.7, 1, 0.5, 2, 3, 4)
# How often of all groups: of GLOBAL_KINDS (times, never, summary), and of questions that follow another.
WHOLE_SHARES = (0.12, 0.18, 0.15)
FOLLOWING_SHARE = 0.15
WIDE_SHARE = 0.4  # of the other groups about a wide script: of WIDE_KINDS, as often as these weights say
# Few scripts have a sign that can be told from others, or a thing with one other beside it; all have actions.
WIDE_WEIGHTS = (8, 1, 4)
# Of the clips, those whose things are alike: in a short story the second word of an answer is mostly found by
# the first, where a thing of that colour is; in a long one, or in one of few colours, that is another thing.
ALIKE_SHARE = 0.3
MOST_COLOURS = 4  # of things that are alike
# How much likelier a group repeats its own question than one of the others about the same thing; of kinds
# that few scripts afford, thrice as much.
ITSELF, ITSELF_WIDE = 3, 9


@dataclass(frozen=True)
class Asked:
    """A question about a clip, as it is trained: its kind, text and answer, the segments that show what
    it names, the expressions by which it names it, and the turns of the conversation before it."""

    kind: str
    text: str
    answer: str
    shown: tuple[bool, ...]
    expressions: tuple[ReferringExpression, ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Plan:
    """A clip before it is drawn: its script, when its frames are taken, and what is asked about it, in groups
    of questions that name the same things."""

    script: Script
    times: list[np.ndarray]  # seconds of the frames of each segment
    window: float  # seconds of a full segment
    groups: list[list[Asked]]

    @property
    def asked(self) -> list[Asked]:
        """All questions."""
        return [asked for group in self.groups for asked in group]

    @property
    def stamps(self) -> list[str]:
        """The time that the storyline gives each segment."""
        return [f"{float(times[0]) + self.window / 2:.1f}" for times in self.times]


@dataclass(frozen=True)
class StoryRows:
    """What the decoder reads: a storyline a row, behind it the questions that share it."""

    packed: Packed  # memory tokens go where it has visual tokens
    owner_T: Tensor  # which question a learnt token belongs to; -1 elsewhere
    kinds: list[str]  # of the questions; with " letter" behind it where the answer is one


def kept(rng: random.Random, shown: bool) -> int:
    """How many memory tokens a segment keeps in training: many where it matters, few elsewhere, now and then
    any
    number, so that the first ones come to carry the most."""
    luck = rng.random()
    if shown:
        return MEMORY_TOKENS if luck < 0.55 else rng.randint(1, MEMORY_TOKENS)
    if luck < 0.6:
        return 1
    return rng.randint(1, 4) if luck < 0.9 else rng.randint(1, MEMORY_TOKENS)


def phrase(
    rng: random.Random,
    script: Script,
    question: SyntheticQuestion,
    times: list[np.ndarray],
    window: float,
    choice: float,
) -> Asked | None:
    """`question` as it is trained, a share of `choice` as multiple choice; None where no segment shows what
    it names."""
    shown = tuple(relevant(script, question, t) for t in times)
    if question.expressions and question.answer != "no" and not any(shown):
        return None
    chosen: SyntheticQuestion | None = question
    # The storyline carries the times of segments, so that is the precision that can be asked for.
    middles = [float(t[0]) + window / 2 for t in times]
    if question.options:
        pass
    elif question.kind == "summary":
        firsts = [
            next(
                (m for m, t in zip(middles, times, strict=True) if within(scene, t)),
                None,
            )
            for scene in script.scenes
        ]
        if None in firsts:  # a scene between two frames
            return None
        chosen = replace(question, answer=summary(script, [m for m in firsts if m is not None]))
    elif rng.random() < choice and question.answer != STILL:
        chosen = as_choice(rng, script, question)
    elif question.kind == "when":
        chosen = replace(question, answer=f"{middles[shown.index(True)]:.1f} seconds")
    if chosen is None:
        return None
    chosen = rephrase(rng, script, chosen)
    kind = "follow-up" if chosen.earlier else chosen.kind
    return Asked(kind, chosen.text, chosen.answer, shown, chosen.expressions, chosen.earlier)


def group_of(
    rng: random.Random,
    script: Script,
    times: list[np.ndarray],
    window: float,
    *,
    questions: int,
    choice: float,
    weights: Sequence[float] = KIND_WEIGHTS,
    whole_shares: Sequence[float] = WHOLE_SHARES,
) -> list[Asked]:
    """Up to `questions` questions that name the same thing, or the same two: they share memory tokens.

    `weights` say how often the first of them is of each of KINDS, `whole_shares` how often it is of each of
    GLOBAL_KINDS."""
    whole = rng.choices((*GLOBAL_KINDS, None), (*whole_shares, 1 - sum(whole_shares)))[0]
    if whole is None and rng.random() < FOLLOWING_SHARE:
        pool = random_follow_ups(rng, script)
    else:
        kind = whole or rng.choices(KINDS, weights)[0]
        if whole is None and script.wide and rng.random() < WIDE_SHARE:
            kind = rng.choices(WIDE_KINDS, WIDE_WEIGHTS)[0]
        still = standing_still(rng, script) if whole is None and rng.random() < STANDING else None
        question = still or make_question(rng, script, kind=kind)
        pool = [question] if question else []
        if question and questions > 1 and whole is None:
            times_itself = ITSELF_WIDE if kind in WIDE_KINDS else ITSELF
            pool = [*pool * times_itself, *related(rng, script, question)]
    if not pool:
        return []
    wanted = min(questions, 2) if whole else questions  # there is but one way to ask for these
    found = (phrase(rng, script, rng.choice(pool), times, window, choice) for _ in range(wanted))
    return [asked for asked in found if asked]


def _alike(rng: random.Random, script: Script) -> Script:
    """The script with its things in a few colours; still no two of one look in a scene."""
    colours = rng.sample(tuple(COLOURS), rng.randint(1, MOST_COLOURS))
    scenes = []
    for scene in script.scenes:
        things = tuple(replace(t, colour=rng.choice(colours)) if t.colour else t for t in scene.things)
        distinct = len({thing.name for thing in things}) == len(things)
        scenes.append(replace(scene, things=things) if distinct else scene)
    return replace(script, scenes=tuple(scenes))


def timeline(
    rng: random.Random, *, segments: int, aspect: float, wide: float = 0.0, alike: float = 0.0
) -> tuple[Script, list[np.ndarray], float]:
    """A script of `segments` segments (the last may be short), the times of each one's frames, and the
    seconds of a full segment. A share of `wide` is of the wide world, of `alike` in few colours."""
    fps, pace = sampling_of(rng)
    tail = rng.choice((8, 8, 8, 8, 2, 4, 6)) if segments > 1 else 8
    count = SEGMENT_FRAMES * (segments - 1) + tail
    duration = max(count / fps, 3.5 * pace)
    script = make_script(rng, duration=duration, aspect=aspect, pace=pace, wide=rng.random() < wide)
    if rng.random() < alike:
        script = _alike(rng, script)
    stamps = np.arange(count) / fps
    if rng.random() < 0.5:
        later = 10 ** rng.uniform(0.5, 3.5) if rng.random() < 0.5 else rng.uniform(0, 3600)
        script, stamps = shift(script, later), stamps + later
    return script, np.split(stamps, range(SEGMENT_FRAMES, count, SEGMENT_FRAMES)), SEGMENT_FRAMES / fps


def plan_clip(
    rng: random.Random,
    *,
    segments: int,
    questions: int,
    aspect: float,
    describing: bool,
    choice: float = 0.5,
    together: int = 1,
    weights: Sequence[float] = KIND_WEIGHTS,
    whole_shares: Sequence[float] = WHOLE_SHARES,
    wide: float = 0.0,
) -> Plan:
    """Plan a clip of `segments` segments with up to `questions` groups of up to `together` questions."""
    script, times, window = timeline(rng, segments=segments, aspect=aspect, wide=wide, alike=ALIKE_SHARE)
    groups: list[list[Asked]] = []
    if describing:
        text = caption(script, np.concatenate(times))
        groups.append([Asked("describe", DESCRIBE_PROMPT, text, (True,) * len(times))])
    for _ in range(questions * 3):
        if len(groups) >= questions:
            break
        group = group_of(
            rng,
            script,
            times,
            window,
            questions=together,
            choice=choice,
            weights=weights,
            whole_shares=whole_shares,
        )
        if group:
            groups.append(group)
    return Plan(script, times, window, groups)


def draw(plan: Plan) -> list[np.ndarray]:
    """Render a planned clip at the size at which the model sees it: uint8 [2n, H, W, 3] for each segment."""
    size = FRAME_SIZES[plan.script.aspect]
    stamps = np.concatenate(plan.times)
    frames = render(plan.script, stamps, size)
    cuts = np.cumsum([len(times) for times in plan.times])[:-1]
    return np.split(frames, cuts)


def story_row(prompts: PackedPrompts, stamps: list[str], counts: list[int], group: list[Asked]) -> Row:
    """A storyline with a number of memory tokens behind each timestamp, and the questions of `group`."""
    ids = list(prompts.decoder_open)
    for stamp, count in zip(stamps, counts, strict=True):
        ids += prompts.plain(f"<{stamp} seconds>") + [prompts.video_id] * count
    return Row(ids, [prompts.answering(asked.text, asked.answer, asked.earlier) for asked in group])


def story_rows(rows: list[Row], groups: list[list[Asked]], prompts: PackedPrompts) -> StoryRows:
    """Lay storylines out for the decoder, remembering which learnt token belongs to which question."""
    packed = pack(rows, prompts)
    owner: list[int] = []
    number = 0
    for row in rows:
        owner += [-1] * len(row.prefix)
        for branch in row.branches:
            owner += [number] * len(branch.ids)
            number += 1
    kinds = [f"{a.kind} letter" if a.answer in tuple(LETTERS) else a.kind for group in groups for a in group]
    return StoryRows(packed, torch.tensor(owner).masked_fill(packed.labels_T == IGNORE, -1), kinds)

"""Segments of the generated world with what the base model is taught to say about them, made on the fly."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from research.nano.config import DESCRIBE_PROMPT, FRAME_SIZES
from research.nano.packing import Packed, pack
from research.nano.patch_labels import PATCH_SIZE
from tempo.synthetic.captions import caption, seen_action
from tempo.synthetic.expressions import SyntheticQuestion
from tempo.synthetic.follow_ups import random_follow_ups
from tempo.synthetic.pictures import PICTURES
from tempo.synthetic.questions import make_question
from tempo.synthetic.render import render
from tempo.synthetic.script import (
    LONGEST_QUICK,
    Scene,
    Script,
    Thing,
    crop,
    make_script,
    pace_of,
    shift,
)
from tempo.synthetic.templates import GLOBAL_KINDS, KINDS, WIDE_KINDS
from tempo.synthetic.vocabulary import (
    COLOURS,
    DIRECTIONS,
    NUMBERS,
    SHAPES,
    SIZES,
    WORDS,
)
from tempo.training.data.sources import SourceContext

from .packed_batches import PackedBatches
from .rephrasing import STANDING, rephrase, standing_still

SPARSE = 0.33  # of the clips
# Of the routing questions: how often something appears, what happens, and, thrice as often, since four looks
# have to be told apart at once, which of four never appears.
WHOLE_SHARE = 0.25


@dataclass(frozen=True)
class SegmentBatch:
    frames: Tensor  # uint8 [B, 8, H, W, 3]
    packed: Packed


def sampling_of(rng: random.Random) -> tuple[float, float]:
    """Frames a second at which a video is watched, and the pace at which it tells its story: of one in three
    as few as of videos between ten minutes and two hours, of which 1024 frames are taken."""
    if rng.random() < SPARSE:
        duration = LONGEST_QUICK * 12 ** rng.random()
        return 1024 / duration, pace_of(duration)
    return (2.0 if rng.random() < 0.6 else rng.uniform(1.5, 2.2)), 1.0


def segment_times(rng: random.Random, duration: float, fps: float) -> np.ndarray:
    """Eight moments within `duration` seconds, `fps` a second."""
    length = 7 / fps
    return rng.uniform(0, max(duration - length, 0.0)) + np.arange(8) / fps


def relevant(script: Script, question: SyntheticQuestion, times: np.ndarray) -> bool:
    """Whether what `question` names can be seen in frames at `times`. Naming nothing it is about all, but for
    a summary, which is about where more is seen than the one thing of which a single memory token tells: were
    all moments alike to it, chance would say which of them keep tokens, since relevance is stretched to the
    whole of its range (`allocation.adaptive`)."""
    summary = question.kind == "summary"
    if not (summary or question.expressions):
        return True
    shown = (
        thing
        for scene in script.scenes
        if scene.start <= times[-1] and times[0] < scene.end
        for thing in scene.things
        if (summary or any(look.fits(thing) for look in question.expressions))
        and any(thing.seen(time) for time in times)
    )
    needed = 2 if summary else 1
    return len(list(islice(shown, needed))) == needed


def within(scene: Scene, times: np.ndarray) -> bool:
    """Whether one of these moments is of the scene."""
    return any(scene.start <= time < scene.end for time in times)


def disguise(rng: random.Random, script: Script) -> Script:
    """The script with one attribute of most things changed: a source of questions that are nearly about
    it."""

    def change(thing: Thing) -> Thing:
        kind = rng.random()
        if kind < 0.35 and thing.colour:
            return replace(thing, colour=rng.choice(tuple(COLOURS)))
        if kind < 0.7:
            if thing.text:
                return replace(thing, text=rng.choice(NUMBERS if thing.text in NUMBERS else WORDS))
            return replace(thing, shape=rng.choice(SHAPES if thing.shape in SHAPES else PICTURES))
        if kind < 0.8:
            return replace(thing, size=rng.choice(tuple(SIZES)))
        return replace(thing, action=rng.choice(tuple(DIRECTIONS))) if thing.moves else thing

    scenes = tuple(replace(scene, things=tuple(map(change, scene.things))) for scene in script.scenes)
    return replace(script, scenes=scenes)


def _question(rng: random.Random, script: Script, *, choice: float) -> SyntheticQuestion | None:
    if rng.random() < STANDING and (question := standing_still(rng, script)):
        return question
    for _ in range(4):
        kind = rng.choice(KINDS)
        if script.wide and rng.random() < 0.25:
            kind = rng.choice(WIDE_KINDS)
        question = make_question(rng, script, kind=kind, choice=rng.random() < choice)
        if question:
            return rephrase(rng, script, question)
    return None


def _whole_question(rng: random.Random, script: Script) -> SyntheticQuestion | None:
    kind = rng.choices(GLOBAL_KINDS, (1, 3, 1))[0]
    question = make_question(rng, script, kind=kind, choice=rng.random() < 0.3)
    return rephrase(rng, script, question) if question else None


def _elsewhere(rng: random.Random, script: Script, seen: Script) -> Script:
    """What questions are asked about that what is `seen` of `script` mostly does not answer."""
    luck = rng.random()
    if luck < 0.45:
        return make_script(rng, duration=12, aspect=script.aspect, wide=script.wide)
    return disguise(rng, seen) if luck < 0.85 else script


def routing_questions(
    rng: random.Random, script: Script, times: np.ndarray, count: int
) -> list[tuple[SyntheticQuestion, bool]]:
    """Questions with the truth about whether this segment shows what they name, about half of them yes."""
    seen = crop(script, times.tolist())
    found: list[tuple[SyntheticQuestion, bool]] = []
    # Were all of them about what is seen here, that a question follows another would be reason to say yes.
    source = _elsewhere(rng, script, seen) if rng.random() < 0.5 else seen
    following = random_follow_ups(rng, source) if source.scenes and rng.random() < 0.5 else []
    found += [(question, relevant(script, question, times)) for question in following[:1]]
    for index in range(len(found), count):
        if rng.random() < WHOLE_SHARE:  # a segment seldom shows the three things that have to be there
            question = _whole_question(rng, _elsewhere(rng, script, script) if index % 2 else script)
        else:
            source = _elsewhere(rng, script, seen) if index % 2 else seen
            question = _question(rng, source, choice=0.3) if source.scenes else None
        if question is not None:
            found.append((question, relevant(script, question, times)))
    return found


def direct_questions(
    rng: random.Random, script: Script, times: np.ndarray, count: int
) -> list[SyntheticQuestion]:
    """Questions about this segment alone that its frames answer."""
    seen = crop(script, times.tolist())
    found = []
    for _ in range(count):
        question = _question(rng, seen, choice=0.25) if seen.scenes else None
        if question is None or question.kind == "when":
            continue
        if question.kind in ("direction", "action") and not _acts_visibly(seen, question, times):
            continue
        if question.kind == "count" and len(seen.scenes) > 1:
            continue
        found.append(question)
    return found


def _acts_visibly(seen: Script, question: SyntheticQuestion, times: np.ndarray) -> bool:
    return all(
        seen_action(seen.scenes[index], thing, times) == thing.action
        for index, thing in seen.appearances
        if question.expressions[0].fits(thing)
    )


def scene_somewhere(rng: random.Random, aspect: float, wide: float) -> tuple[Script, np.ndarray]:
    """A short script, and eight moments of it, anywhere in a long video."""
    fps, pace = sampling_of(rng)
    duration = rng.uniform(6, 16) * pace
    script = make_script(rng, duration=duration, aspect=aspect, pace=pace, wide=rng.random() < wide)
    times = segment_times(rng, script.duration, fps)
    if rng.random() < 0.75:
        later = 10 ** rng.uniform(0.5, 3.56)
        return shift(script, later), times + later
    return script, times


class SegmentBatches(PackedBatches):
    """Segments with a description, `routings` routing questions and `questions` direct ones each.

    Args:
        batch: the number of segments.
        wide: the share of them that is of the wide world.
    """

    def __init__(
        self,
        context: SourceContext,
        *,
        batch: int,
        routings: int = 4,
        questions: int = 2,
        wide: float = 0.0,
    ) -> None:
        super().__init__(context)
        self.wide = wide
        self.batch, self.routings, self.questions = batch, routings, questions

    def __getitem__(self, step: int) -> SegmentBatch:
        rng = random.Random(f"{self.seed}/{step}")
        aspect = rng.choices(tuple(FRAME_SIZES), (0.6, 0.2, 0.2))[0]
        size = FRAME_SIZES[aspect]
        tokens = (size[0] // PATCH_SIZE) * (size[1] // PATCH_SIZE)
        frames, rows = [], []
        for _ in range(self.batch):
            script, times = scene_somewhere(rng, aspect, self.wide)
            frames.append(render(script, times, size))
            row = self.prompts.segment(times, tokens)
            row.branches.append(self.prompts.answering(DESCRIBE_PROMPT, caption(script, times)))
            for question, truth in routing_questions(rng, script, times, self.routings):
                row.branches.append(self.prompts.routing(question.text, truth, question.earlier))
            for question in direct_questions(rng, script, times, self.questions):
                row.branches.append(self.prompts.answering(question.text, question.answer))
            rows.append(row)
        packed = pack(rows, self.prompts, (size[1] // PATCH_SIZE, size[0] // PATCH_SIZE))
        return SegmentBatch(torch.from_numpy(np.stack(frames)), packed)

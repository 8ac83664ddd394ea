"""Clips of several segments with questions about them: what the whole model learns from, made on the fly."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tempo.training.cells import CELL, cell_labels
from tempo.training.nano import DESCRIBE_PROMPT, FRAME_SIZES, MEMORY_TOKENS
from tempo.training.packing import IGNORE, Packed, Row, Wording, pack
from tempo.training.samples import relevant
from tempo.world.describe import describe
from tempo.world.questions import Look, Question, as_choice, ask
from tempo.world.render import render
from tempo.world.script import Script, make_script, shift
from tempo.world.wording import KINDS

SEGMENT_FRAMES = 8


@dataclass(frozen=True)
class Asked:
    """A question about a clip, as it is trained: its name, text and answer, the segments that show what
    it names, and the looks by which it names it."""

    kind: str
    text: str
    answer: str
    shown: tuple[bool, ...]
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True)
class Clip:
    frames: list[np.ndarray]  # one uint8 [2n, H, W, 3] a segment
    times: list[np.ndarray]  # seconds of those frames
    window: float  # seconds of a full segment
    cells: np.ndarray  # what covers each visual token of each frame pair
    asked: list[Asked]


@dataclass(frozen=True)
class ClipBatch:
    """Legend: R segments of all clips, P frame pairs of all of them, N questions of all clips, L tokens."""

    pairs: np.ndarray  # uint8 [P, 2, H, W, 3]
    packed: Packed  # R rows; a branch for every question, with its memory tokens
    ids_NL: Tensor  # what the decoder reads, right-padded
    labels_NL: Tensor
    memory_NL: Tensor  # bool: where memory tokens go, row by row …
    order: Tensor  # … and which of the compressor's, in the order in which `packed` holds them
    kinds: list[str]
    cells: Tensor  # int64 [P·V, 4], see cells.cell_labels


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
    question: Question,
    times: list[np.ndarray],
    window: float,
    choice: float,
) -> Asked | None:
    """`question` as it is trained, a share of `choice` as multiple choice; None where no segment shows what
    it names."""
    shown = tuple(relevant(script, question, t) for t in times)
    if question.answer != "no" and not any(shown):
        return None
    if rng.random() < choice:
        chosen = as_choice(rng, script, question)
        return Asked(chosen.kind, chosen.text, chosen.answer, shown, chosen.looks) if chosen else None
    if question.kind == "when":
        # The storyline carries the times of segments, so that is the precision that can be asked for.
        moment = float(times[shown.index(True)][0]) + window / 2
        question = replace(question, answer=f"{moment:.1f} seconds")
    return Asked(question.kind, question.text, question.answer, shown, question.looks)


@dataclass(frozen=True)
class Plan:
    """A clip before it is drawn: its script, when its frames are taken, and what is asked about it."""

    script: Script
    times: list[np.ndarray]  # seconds of the frames of each segment
    window: float  # seconds of a full segment
    asked: list[Asked]


def timeline(rng: random.Random, *, segments: int, aspect: float) -> tuple[Script, list[np.ndarray], float]:
    """A script of `segments` segments (the last may be short), the times of each one's frames, and the
    seconds of a full segment."""
    fps = 2.0 if rng.random() < 0.6 else rng.uniform(1.5, 2.2)
    tail = rng.choice((8, 8, 8, 8, 2, 4, 6)) if segments > 1 else 8
    count = SEGMENT_FRAMES * (segments - 1) + tail
    script = make_script(rng, duration=max(count / fps, 3.5), aspect=aspect)
    stamps = np.arange(count) / fps
    if rng.random() < 0.5:
        later = 10 ** rng.uniform(0.5, 3.5)
        script, stamps = shift(script, later), stamps + later
    return script, np.split(stamps, range(SEGMENT_FRAMES, count, SEGMENT_FRAMES)), SEGMENT_FRAMES / fps


def plan_clip(
    rng: random.Random, *, segments: int, questions: int, aspect: float, describing: bool, choice: float = 0.5
) -> Plan:
    """Plan a clip of `segments` segments with up to `questions` questions."""
    script, times, window = timeline(rng, segments=segments, aspect=aspect)
    asked: list[Asked] = []
    if describing:
        text = describe(script, np.concatenate(times))
        asked.append(Asked("describe", DESCRIBE_PROMPT, text, (True,) * len(times)))
    for _ in range(questions * 3):
        if len(asked) >= questions:
            break
        question = ask(rng, script, kind=rng.choice(KINDS))
        found = phrase(rng, script, question, times, window, choice) if question else None
        if found:
            asked.append(found)
    return Plan(script, times, window, asked)


def draw(plan: Plan) -> Clip:
    """Render a planned clip at the size at which the model sees it."""
    size = FRAME_SIZES[plan.script.aspect]
    stamps = np.concatenate(plan.times)
    frames = render(plan.script, stamps, size)
    cuts = np.cumsum([len(times) for times in plan.times])[:-1]
    return Clip(
        np.split(frames, cuts), plan.times, plan.window, cell_labels(plan.script, stamps, size), plan.asked
    )


@dataclass
class Sequences:
    """What the decoder reads, one sequence a question, as it is put together."""

    wording: Wording
    ids: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    slots: list[list[bool]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def add(self, asked: Asked, stamps: list[float], counts: list[int]) -> None:
        """One question, with a number of memory tokens behind each timestamp."""
        ids, slots = list(self.wording.decoder_open), [False] * len(self.wording.decoder_open)
        for stamp, count in zip(stamps, counts, strict=True):
            tag = self.wording.plain(f"<{stamp:.1f} seconds>")
            ids += tag + [self.wording.pad_id] * count
            slots += [False] * len(tag) + [True] * count
        branch = self.wording.asking(asked.text, asked.answer)
        self.labels.append([IGNORE] * len(ids) + branch.labels)
        self.slots.append(slots + [False] * len(branch.ids))
        self.ids.append(ids + branch.ids)
        self.kinds.append(asked.kind)

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, labels and memory slots [N, L], right-padded."""
        shape = (len(self.ids), max(map(len, self.ids)))
        ids_NL = torch.full(shape, self.wording.pad_id)
        labels_NL = torch.full(shape, IGNORE)
        memory_NL = torch.zeros(shape, dtype=torch.bool)
        for n, (ids, labels, slots) in enumerate(zip(self.ids, self.labels, self.slots, strict=True)):
            ids_NL[n, : len(ids)] = torch.tensor(ids)
            labels_NL[n, : len(ids)] = torch.tensor(labels)
            memory_NL[n, : len(ids)] = torch.tensor(slots)
        return ids_NL, labels_NL, memory_NL


def collate(rng: random.Random, clips: list[Clip], wording: Wording) -> ClipBatch:
    """Lay clips of one frame size out for the compressor and for the decoder."""
    height, width = clips[0].frames[0].shape[1:3]
    grid = (height // CELL, width // CELL)
    rows: list[Row] = []
    first: dict[
        tuple[int, int, int], tuple[int, int]
    ] = {}  # (clip, segment, question) → offset and count of memory tokens
    total = 0
    for c, clip in enumerate(clips):
        for s, times in enumerate(clip.times):
            row = Row(wording.prefix(((times[::2] + times[1::2]) / 2).tolist(), grid[0] * grid[1]))
            for q, asked in enumerate(clip.asked):
                branch = wording.routing(asked.text, asked.shown[s])
                count = kept(rng, asked.shown[s])
                row.branches.append(replace(branch, memory=count))
                first[c, s, q] = total, count
                total += count
            rows.append(row)

    sequences = Sequences(wording)
    order: list[int] = []
    for c, clip in enumerate(clips):
        stamps = [float(times[0]) + clip.window / 2 for times in clip.times]
        for q, asked in enumerate(clip.asked):
            counts = []
            for s in range(len(stamps)):
                offset, count = first[c, s, q]
                order += range(offset, offset + count)
                counts.append(count)
            sequences.add(asked, stamps, counts)
    ids_NL, labels_NL, memory_NL = sequences.tensors()
    frames = np.concatenate([segment for clip in clips for segment in clip.frames])
    return ClipBatch(
        pairs=frames.reshape(-1, 2, height, width, 3),
        packed=pack(rows, wording, grid),
        ids_NL=ids_NL,
        labels_NL=labels_NL,
        memory_NL=memory_NL,
        order=torch.tensor(order),
        kinds=sequences.kinds,
        cells=torch.from_numpy(np.concatenate([clip.cells for clip in clips])).view(-1, 4),
    )


class ClipBatches(Dataset[ClipBatch]):
    """Batch number i, always the same for the same seed. `segments` are the lengths that clips may have."""

    def __init__(
        self, wording: Wording, *, steps: int, seed: int, rows: int, segments: tuple[int, ...], questions: int
    ) -> None:
        self.wording, self.steps, self.seed = wording, steps, seed
        self.rows, self.segments, self.questions = rows, segments, questions

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> ClipBatch:
        rng = random.Random(f"clips/{self.seed}/{step}")
        aspect = rng.choices(tuple(FRAME_SIZES), (0.6, 0.2, 0.2))[0]
        segments = rng.choice(self.segments)
        plans = [
            plan_clip(
                rng, segments=segments, questions=self.questions, aspect=aspect, describing=segments <= 2
            )
            for _ in range(max(1, self.rows // segments))
        ]
        return collate(rng, [draw(plan) for plan in plans if plan.asked], self.wording)

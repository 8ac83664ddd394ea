"""Compute scores from items, on one scale from 0 to 100, with confidence intervals and costs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tempo.stats import wilson

from .benchmarks import Benchmark, Published
from .run_results import (
    Run,
    Scored,
    TaskMetric,
    TaskResult,
)

DURATIONS = (
    ("under 1 min", 60.0),
    ("1–3 min", 180.0),
    ("3–10 min", 600.0),
    ("10–20 min", 1200.0),
    ("20–60 min", 3600.0),
    ("over 1 h", math.inf),
)


@dataclass(frozen=True)
class Accuracy:
    """The share of right answers."""

    right: int
    total: int

    @property
    def score(self) -> float:
        """In percent."""
        return 100 * self.right / self.total if self.total else math.nan

    @property
    def margin(self) -> float:
        """Half the width of the 95 % Wilson interval, in percent."""
        low, high = wilson(self.right, self.total)
        return 100 * (high - low) / 2


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The scores and costs of one task of one run.

    Attributes:
        score: percent right of the answered items, or the mean over the groups of an `averaged` benchmark.
        shares: right answers of all answers.
        groups, durations: the same by group and by video length, in order.
        errors: the number of items without an answer, by reason.
        no_letter: the number of answers without a letter.
        odd: the number of degenerate answers, by kind.
        videos: the number of videos that were watched.
        tokens, per_frame: memory tokens that the decoder read, per question and per frame watched.
        frames: frames watched, per question.
        seconds, seconds_each: in total, and per question.
        published: the published score for this budget.
        comparable: whether the run has the conditions of the publication.
        own: lmms-eval's own metrics, on their own scales.
    """

    title: str
    benchmark: Benchmark | None
    score: float
    shares: Accuracy
    groups: list[tuple[str, Accuracy]]
    durations: list[tuple[str, Accuracy]]
    errors: list[tuple[str, int]]
    no_letter: int
    odd: dict[str, int]
    videos: int
    tokens: float
    per_frame: float
    frames: float
    seconds: float
    seconds_each: float
    published: Published | None
    comparable: bool
    own: list[TaskMetric]


def summarise(run: Run, task: TaskResult) -> Summary:
    """Summarise one task of a run."""
    benchmark = task.benchmark
    answered = [item for item in task.items if item.answered]
    groups = [] if benchmark is None else _groups(benchmark, answered)
    shares = accuracy(answered)
    score = shares.score
    if benchmark is not None and benchmark.averaged and groups:
        score = mean(part.score for _, part in groups)
    watched = [record for record in task.records if record.error is None]
    published = None if benchmark is None or run.budget is None else benchmark.published.get(run.budget)
    settings = run.manifest["settings"]
    spent = [record.seconds.get("total", 0.0) for record in watched]
    return Summary(
        title=task.task if benchmark is None else benchmark.title,
        benchmark=benchmark,
        score=score,
        shares=shares,
        groups=groups,
        durations=_durations(answered),
        errors=_counted(record.error for record in task.records if record.error is not None),
        no_letter=sum(item.outcome == "no letter" for item in task.items),
        odd=dict(_counted(item.odd for item in task.items if item.odd is not None)),
        videos=len({record.video for record in watched}),
        tokens=mean(record.visual_tokens for record in watched),
        per_frame=mean(record.visual_tokens / record.frames for record in watched if record.frames),
        frames=mean(record.frames for record in watched),
        seconds=sum(spent),
        seconds_each=mean(spent),
        published=published,
        comparable=published is not None
        and (settings.get("fps"), settings.get("min_frames"), settings.get("max_frames"))
        == (2.0, 8, published.max_frames)
        and settings.get("adaptive", True)
        and settings.get("keep") == "head"
        and run.manifest.get("limit") is None,
        own=task.own,
    )


def accuracy(items: Sequence[Scored]) -> Accuracy:
    """The accuracy over ITEMS."""
    return Accuracy(sum(item.right for item in items), len(items))


def mean(values: Iterable[float]) -> float:
    """The mean, or NaN of no values."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else math.nan


def _groups(benchmark: Benchmark, items: Sequence[Scored]) -> list[tuple[str, Accuracy]]:
    """Accuracy by the benchmark's own groups; an item with several groups counts for each."""
    parts: dict[str, list[Scored]] = defaultdict(list)
    for item in items:
        value = item.record.about.get(benchmark.by)
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            parts[_plain(one)].append(item)
    order = [*benchmark.groups, *sorted(set(parts) - set(benchmark.groups))]
    return [(benchmark.groups.get(name, name), accuracy(parts[name])) for name in order if name in parts]


def _durations(items: Sequence[Scored]) -> list[tuple[str, Accuracy]]:
    parts: dict[str, list[Scored]] = defaultdict(list)
    for item in items:
        parts[next(name for name, end in DURATIONS if item.record.duration <= end)].append(item)
    return [(name, accuracy(parts[name])) for name, _ in DURATIONS if name in parts]


def _plain(value: Any) -> str:
    """The name of a group; 15.0 and 15 are the same."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _counted(values: Iterable[str | None]) -> list[tuple[str, int]]:
    counts: dict[str, int] = defaultdict(int)
    for value in values:
        counts[str(value)] += 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))

"""The four benchmarks of the published evaluation: task names, groups, and published scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL = "all"
DEBUG = "debug"
DEBUG_ITEMS = 10
LOCAL = "_local"  # suffix of an lmms-eval task that reads local files


@dataclass(frozen=True, kw_only=True)
class Published:
    """A score that the authors of the published weights report, in percent, and memory tokens per frame."""

    score: float
    tokens: float | None = None
    max_frames: int = 1024


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark.

    Attributes:
        task, yaml, split: its lmms-eval task, the task's file below lmms-eval's `tasks`, and the split used.
        title: its usual name.
        folders: possible names of its folder below `--data`.
        score: the key under which lmms-eval logs the verdict on an item.
        letters: the letters of its options.
        by: the field of an item that names its group.
        groups: the groups in order, with the names that a report shows.
        averaged: whether the score is the mean over groups rather than over items.
        published: published scores by budget.
    """

    task: str
    title: str
    yaml: str
    split: str
    folders: tuple[str, ...]
    score: str
    letters: str = "ABCD"
    by: str
    groups: Mapping[str, str]
    averaged: bool = False
    published: Mapping[int, Published] = field(default_factory=dict)


_MLVU = {
    "topic_reasoning": "topic reasoning",
    "anomaly_reco": "anomaly recognition",
    "needle": "needle",
    "ego": "ego reasoning",
    "plotQA": "plot",
    "order": "action order",
    "count": "action count",
}

BENCHMARKS = {
    benchmark.task: benchmark
    for benchmark in (
        Benchmark(
            task="lvbench",
            title="LVBench",
            yaml="lvbench/lvbench.yaml",
            split="train",
            folders=("LVBench", "lvbench"),
            score="lvbench_score",
            by="question_type",
            groups={
                "key information retrieval": "key information",
                "event understanding": "events",
                "entity recognition": "entities",
                "reasoning": "reasoning",
                "temporal grounding": "temporal grounding",
                "summarization": "summary",
            },
            published={
                4096: Published(score=52.7, tokens=2.9),
                8192: Published(score=52.3, tokens=3.5),
                12288: Published(score=53.7, max_frames=2048),
            },
        ),
        Benchmark(
            task="mlvu_dev",
            title="MLVU (dev)",
            yaml="mlvu/mlvu_dev.yaml",
            split="test",
            folders=("MLVU", "MVLU", "MLVU_dev", "mlvu"),
            score="mlvu_percetion_score",  # spelled as lmms-eval spells it
            by="task_type",
            groups=_MLVU,
            averaged=True,
            published={
                4096: Published(score=75.6, tokens=2.8),
                8192: Published(score=75.2, tokens=3.3),
            },
        ),
        Benchmark(
            task="videomme",
            title="Video-MME (no subtitles)",
            yaml="videomme/videomme.yaml",
            split="test",
            folders=("Video-MME", "VideoMME", "videomme"),
            score="videomme_perception_score",
            by="duration",
            groups={"short": "short", "medium": "medium", "long": "long"},
            published={
                4096: Published(score=67.8, tokens=3.6),
                8192: Published(score=67.7, tokens=4.3),
            },
        ),
        Benchmark(
            task="longvideobench_val_v",
            title="LongVideoBench (val)",
            yaml="longvideobench/longvideobench_val_v.yaml",
            split="validation",
            folders=("LongVideoBench", "longvideobench"),
            score="lvb_acc",
            letters="ABCDE",
            by="duration_group",
            groups={"15": "8–15 s", "60": "15–60 s", "600": "3–10 min", "3600": "15–60 min"},
            published={
                4096: Published(score=64.5, tokens=2.8),
                8192: Published(score=65.1, tokens=3.1),
            },
        ),
    )
}


def tasks_of(names: list[str]) -> list[str]:
    """Expand the task names of the command line, without duplicates."""
    found: list[str] = []
    for name in names:
        for task in list(BENCHMARKS) if name == ALL else ["videomme"] if name == DEBUG else [name]:
            if task not in found:
                found.append(task)
    return found

"""The four benchmarks of the published evaluation: their names, their groups, and the published scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL = "all"
DEBUG = "debug"
DEBUG_ITEMS = 10
LOCAL = "_local"
"""What lmms-eval's name of a task ends in where tempo has pointed it at local files."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the authors of the published weights report: per cent right, and memory tokens a frame."""

    score: float
    tokens: float | None = None
    max_frames: int = 1024


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark.

    Attributes:
        task: lmms-eval's name of it. `yaml`: where its task is, below lmms-eval's `tasks`.
        title: how people call it. `split`: lmms-eval's name of the part that is asked.
        folders: what its folder below `--data` may be called.
        score: under which key lmms-eval logs what it makes of an item.
        letters: the most options that a question has.
        by: what its items are grouped by (a field of theirs), in which order, and how the groups are called.
        averaged: whether the score is the mean over the groups, not over the items.
        published: by budget.
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
    """The tasks that the names on the command line stand for, each once; `debug` has to stand alone."""
    found: list[str] = []
    for name in names:
        for task in list(BENCHMARKS) if name == ALL else ["videomme"] if name == DEBUG else [name]:
            if task not in found:
                found.append(task)
    return found

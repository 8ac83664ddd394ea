"""Plot scores against the published ones, tokens, and the groups of each benchmark."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tempo.reporting.charts import (
    COLOURS,
    PUBLISHED,
    BarValue,
    Series,
    bar_chart,
)
from tempo.reporting.plot.figure import Figure

from .report_tables import summaries_of
from .run_results import Run
from .summary import Accuracy, Summary


def figures(runs: Sequence[Run]) -> list[Figure]:
    """Plots of scores, of tokens per frame, and of each benchmark by video length and by its own groups."""
    by_task = {
        task: summaries
        for task, summaries in summaries_of(runs).items()
        if any(one is not None and one.benchmark is not None for one in summaries)
    }
    if not by_task:
        return []
    titles = [next(one.title for one in summaries if one is not None) for summaries in by_task.values()]
    found = [
        bar_chart("Correct answers, percent", titles, _scores(runs, by_task)),
        bar_chart("Memory tokens per frame", titles, _tokens(runs, by_task), unit="tokens"),
    ]
    if len(titles) == 1 and len(runs) == 1 and not _comparison(runs, by_task):
        found = []  # one bar shows nothing that its number in the table does not
    for title, summaries in zip(titles, by_task.values(), strict=True):
        found += _parts(runs, f"{title}: accuracy against duration", [_durations(one) for one in summaries])
        found += _parts(runs, f"{title}: by group", [_groups(one) for one in summaries])
    return found


def _scores(runs: Sequence[Run], by_task: dict[str, list[Summary | None]]) -> list[Series]:
    series = [
        Series(
            run.name,
            [
                BarValue(math.nan) if one is None else BarValue(one.score, one.shares.margin)
                for one in (summaries[number] for summaries in by_task.values())
            ],
            COLOURS[number % len(COLOURS)],
        )
        for number, run in enumerate(runs)
    ]
    for budget in dict.fromkeys(run.budget for run in runs):
        theirs = [_published(summaries, runs, budget) for summaries in by_task.values()]
        if any(theirs):
            name = f"published, {budget} tokens"
            series.append(Series(name, [BarValue(one[0] if one else math.nan) for one in theirs], PUBLISHED))
    return series


def _tokens(runs: Sequence[Run], by_task: dict[str, list[Summary | None]]) -> list[Series]:
    series = [
        Series(
            run.name,
            [
                BarValue(math.nan if one is None else one.per_frame)
                for one in (summaries[number] for summaries in by_task.values())
            ],
            COLOURS[number % len(COLOURS)],
        )
        for number, run in enumerate(runs)
    ]
    for budget in dict.fromkeys(run.budget for run in runs):
        theirs = [_published(summaries, runs, budget) for summaries in by_task.values()]
        if any(one and one[1] is not None for one in theirs):
            values = [math.nan if one is None or one[1] is None else one[1] for one in theirs]
            series.append(
                Series(f"published, {budget} tokens", [BarValue(value) for value in values], PUBLISHED)
            )
    return series


def _published(
    summaries: Sequence[Summary | None], runs: Sequence[Run], budget: int | None
) -> tuple[float, float | None] | None:
    """The published score and tokens per frame of a budget."""
    for one, run in zip(summaries, runs, strict=True):
        if one is not None and one.published is not None and run.budget == budget:
            return one.published.score, one.published.tokens
    return None


def _comparison(runs: Sequence[Run], by_task: dict[str, list[Summary | None]]) -> bool:
    """Whether a published figure stands beside those of the runs."""
    return any(_published(summaries, runs, run.budget) for run in runs for summaries in by_task.values())


def _parts(runs: Sequence[Run], title: str, parts: Sequence[dict[str, Accuracy]]) -> list[Figure]:
    names = list(dict.fromkeys(name for part in parts for name in part))
    if len(names) * len(runs) < 2:
        return []
    series = [
        Series(
            run.name,
            [_bar(run.name, name, part[name]) if name in part else BarValue(math.nan) for name in names],
            COLOURS[number % len(COLOURS)],
        )
        for number, (run, part) in enumerate(zip(runs, parts, strict=True))
    ]
    return [bar_chart(title, names, series)]


def _bar(run: str, name: str, share: Accuracy) -> BarValue:
    hint = f"{run}, {name}: {share.score:.1f} ({share.right} of {share.total})"
    return BarValue(share.score, share.margin, hint)


def _durations(one: Summary | None) -> dict[str, Accuracy]:
    return {} if one is None else dict(one.durations)


def _groups(one: Summary | None) -> dict[str, Accuracy]:
    return {} if one is None else dict(one.groups)

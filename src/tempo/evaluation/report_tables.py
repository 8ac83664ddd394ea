"""The tables of a report, as text without formatting."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tempo.reporting.tables import Table

from .run_results import Run
from .summary import Accuracy, Summary, summarise

NONE = "–"
MAX_LISTED = 20  # errors in a report


def summaries_of(runs: Sequence[Run]) -> dict[str, list[Summary | None]]:
    """The summary of each run by task; None if a run lacks the task."""
    tasks = list(dict.fromkeys(task for run in runs for task in run.tasks))
    return {
        task: [summarise(run, run.tasks[task]) if task in run.tasks else None for run in runs]
        for task in tasks
    }


def tables(runs: Sequence[Run]) -> list[Table]:
    """All tables of a report on these runs."""
    by_task = summaries_of(runs)
    found = [_scores(runs, by_task), _answers(runs, by_task), _cost(runs, by_task)]
    for summaries in by_task.values():
        found += _parts(runs, summaries)
    found += [_errors(runs, by_task), _own(runs, by_task), _manifest(runs)]
    return [table for table in found if table.rows]


def _scores(runs: Sequence[Run], by_task: dict[str, list[Summary | None]]) -> Table:
    rows, notes = [], ["Percent of the answered questions, with the 95 % interval."]
    averaged = partial = False
    for summaries in by_task.values():
        known = [one for one in summaries if one is not None and one.benchmark is not None]
        if not known:
            continue
        averaged |= any(one.benchmark.averaged for one in known if one.benchmark)
        cells = [_score(one) for one in summaries]
        published = {_published(one) for one in known}
        partial |= any(one.published is not None and not one.comparable for one in known)
        rows.append([known[0].title, *cells, " / ".join(sorted(published))])
    if averaged:
        notes.append("MLVU: the mean over its categories, as published; the interval is over all questions.")
    notes.append("Published: the score of Vision-CAIR/Tempo-6B at the same budget, as its authors report it.")
    if partial:
        notes.append(
            "* Not the published conditions: other sampling or allocation, or only part of the questions."
        )
    return Table("Scores", ["benchmark", *_names(runs), "published"], rows, notes)


def _answers(runs: Sequence[Run], by_task: dict[str, list[Summary | None]]) -> Table:
    rows = []
    for run_number, run in enumerate(runs):
        for summaries in by_task.values():
            one = summaries[run_number]
            if one is None or one.benchmark is None:
                continue
            errors = sum(count for _, count in one.errors)
            kinds = ", ".join(f"{count} {kind}" for kind, count in one.odd.items())
            row = [_labelled(runs, run, one.title), str(one.shares.total), str(one.shares.right)]
            rows.append([*row, str(one.no_letter), str(errors), kinds or "0"])
    head = ["", "answered", "right", "no letter", "errors", "degenerate"]
    notes = [
        "An error is an item without an answer, for example because its video cannot be read; it does not "
        "affect the score. An answer without a letter is wrong; no letter is guessed."
    ]
    return Table("Answers", head, rows, notes)


def _cost(runs: Sequence[Run], by_task: dict[str, list[Summary | None]]) -> Table:
    rows = []
    for run_number, run in enumerate(runs):
        for summaries in by_task.values():
            one = summaries[run_number]
            if one is None:
                continue
            theirs = one.published.tokens if one.published is not None else None
            rows.append(
                [
                    _labelled(runs, run, one.title),
                    _number(one.per_frame, 2),
                    NONE if theirs is None else f"{theirs:.1f}",
                    _number(one.tokens, 0),
                    _number(one.frames, 0),
                    str(one.videos),
                    _number(one.seconds_each, 2),
                    _number(one.seconds, 0),
                ]
            )
    head = [
        "",
        "tokens per frame",
        "published",
        "tokens per question",
        "frames",
        "videos",
        "s per question",
        "s in total",
    ]
    notes = [
        "Seconds exclude loading the model and lmms-eval's own time; if the questions about a video share a "
        "session, watching counts once."
    ]
    return Table("Cost", head, rows, notes)


def _parts(runs: Sequence[Run], summaries: Sequence[Summary | None]) -> list[Table]:
    """The scores of a benchmark by its own groups and by video length."""
    title = next(one.title for one in summaries if one is not None)
    found = []
    for what, parts in (
        ("by group", [None if one is None else dict(one.groups) for one in summaries]),
        ("by video length", [None if one is None else dict(one.durations) for one in summaries]),
    ):
        names = list(dict.fromkeys(name for part in parts if part is not None for name in part))
        rows = [[name, *(_share(part, name) for part in parts)] for name in names]
        found.append(Table(f"{title} {what}", ["", *_names(runs)], rows))
    return found


def _errors(runs: Sequence[Run], by_task: dict[str, list[Summary | None]]) -> Table:
    rows = [
        [_labelled(runs, run, one.title), str(count), why]
        for number, run in enumerate(runs)
        for summaries in by_task.values()
        if (one := summaries[number]) is not None
        for why, count in one.errors
    ]
    notes = [f"answers-*.jsonl lists {len(rows) - MAX_LISTED} more."] if len(rows) > MAX_LISTED else []
    return Table("Errors", ["", "questions", "reason"], rows[:MAX_LISTED], notes, words=True)


def _own(runs: Sequence[Run], by_task: dict[str, list[Summary | None]]) -> Table:
    rows = []
    for summaries in by_task.values():
        title = next(one.title for one in summaries if one is not None)
        figures = [{} if one is None else {own.metric: own.value for own in one.own} for one in summaries]
        for metric in dict.fromkeys(name for figure in figures for name in figure):
            cells = [f"{figure[metric]:.4g}" if metric in figure else NONE for figure in figures]
            rows.append([f"{title}: {metric}", *cells])
    notes = [
        "On the scale of each task, 0 to 1 for some and 0 to 100 for others. lmms-eval counts errors as "
        "wrong, guesses a letter for LongVideoBench if there is none, and scores an empty MLVU category 0."
    ]
    return Table("lmms-eval's own figures", ["", *_names(runs)], rows, notes)


def _manifest(runs: Sequence[Run]) -> Table:
    columns = [_facts(run) for run in runs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, NONE) for column in columns)] for name in names]
    return Table("Configuration", ["", *_names(runs)], rows, words=True)


def _facts(run: Run) -> dict[str, str]:
    values, worker = run.manifest, run.worker
    settings = values["settings"]
    hardware = worker.get("hardware", {})
    gpus = hardware.get("gpus") or []
    computer = ", ".join(gpus) or f"{hardware.get('processor', NONE)}, {hardware.get('cores', NONE)} cores"
    versions = worker.get("versions", {})
    facts = {
        "model": f"{worker.get('model', NONE)} (hash {str(worker.get('model_hash', NONE))[:12]})",
        "budget": f"{run.budget} tokens, {'by relevance' if settings['adaptive'] else 'the same for all'}, "
        f"{settings['keep']}",
        "sampling": f"{settings['fps']:g} frames per second, "
        f"{settings['min_frames']} to {settings['max_frames']}, "
        f"{worker.get('segment_frames', NONE)} per segment",
        "questions about a video": "share one session" if settings["group"] else "each watches again",
        "items": "all" if values.get("limit") is None else f"the first {values['limit']} items of each task",
        "computed in": f"{worker.get('dtype', NONE)} on {computer}",
        "processes": str(values.get("processes", 1)),
        "decoder": str(worker.get("decoder", NONE)),
        "seed": str(values.get("seed", NONE)),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "commit": str(values.get("commit") or NONE),
        "begun": ", again ".join(values.get("begun", [])) or NONE,
        "finished": str(values.get("finished", NONE)),
    }
    return {name: text for name, text in facts.items() if text}


def _names(runs: Sequence[Run]) -> list[str]:
    return [run.name for run in runs]


def _labelled(runs: Sequence[Run], run: Run, title: str) -> str:
    return title if len(runs) == 1 else f"{title}, {run.name}"


def _score(one: Summary | None) -> str:
    if one is None or math.isnan(one.score):
        return NONE
    return f"{one.score:.1f} ± {one.shares.margin:.1f}"


def _published(one: Summary) -> str:
    if one.published is None:
        return NONE
    return f"{one.published.score:.1f}" + ("" if one.comparable else " *")


def _share(part: dict[str, Accuracy] | None, name: str) -> str:
    if part is None or name not in part:
        return NONE
    return f"{part[name].score:.1f} ({part[name].right}/{part[name].total})"


def _number(value: float, digits: int) -> str:
    return NONE if math.isnan(value) else f"{value:.{digits}f}"

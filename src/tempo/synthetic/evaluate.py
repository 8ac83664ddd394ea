"""Evaluates a model on synthetic videos: accuracy by kind of question, and whether the router finds the
evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.inference.engine import Tempo
from tempo.stats import wilson

from .answer_scoring import evidence_rank, is_correct


@dataclass
class Score:
    """The number of right answers out of all answers."""

    right: int = 0
    total: int = 0

    def add(self, right: bool) -> None:
        self.right += right
        self.total += 1

    @property
    def share(self) -> float:
        return self.right / self.total if self.total else float("nan")

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} % ({self.right}/{self.total})"


@dataclass
class BenchmarkResult:
    """All answers of a model about a set of synthetic videos.

    Attributes:
        answers: each with its `kind`, its `form`, the `seconds` of its video, whether it is `right`, and the
            `rank` of its evidence by relevance (None: it has none, or there are too few segments to rank).
        seconds: wall-clock time of the whole benchmark.
    """

    answers: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def table(self) -> str:
        """A Markdown table with a row for each kind of question and a column for each length of video."""
        lengths = sorted({answer["seconds"] for answer in self.answers})
        columns = {_length(one): [a for a in self.answers if a["seconds"] == one] for one in lengths}
        if len(columns) > 1:
            columns["all"] = self.answers

        def row(name: str, cells: list[Score], mark: str = "") -> str:
            shown = [f"{mark}{score}{mark}" if score.total else "" for score in cells]
            return f"| {mark}{name}{mark} | {' | '.join(shown)} |"

        rows = ["| kind | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for by, mark in (("kind", ""), ("form", "*")):
            found = [_scores(some, by) for some in columns.values()]
            rows += [
                row(name, [one.get(name, Score()) for one in found], mark)
                for name in sorted(_scores(self.answers, by))
            ]
        every = [_score(some) for some in columns.values()]
        rows += [row("all", every, "**"), f"| 95 % interval | {' | '.join(map(_interval, every))} |"]
        ranked = [_top_tenth(some) for some in columns.values()]
        if any(score.total for score in ranked):
            rows.append(row("moment in the top tenth of relevance", ranked))
        return "\n".join(rows)

    def to_json(self) -> dict[str, Any]:
        """The values of `tempo synthetic bench --json`."""

        def to_dict(score: Score) -> dict[str, Any]:
            return {"right": score.right, "total": score.total, "share": score.share}

        def found(by: str) -> dict[Any, Any]:
            return {name: to_dict(score) for name, score in _scores(self.answers, by).items()}

        return {
            "overall": to_dict(_score(self.answers)),
            "by_kind": found("kind"),
            "by_form": found("form"),
            "by_length": {_length(one): score for one, score in found("seconds").items()},
            "top_tenth": to_dict(_top_tenth(self.answers)),
            "seconds": self.seconds,
            "answers": self.answers,
        }


def _score(answers: Iterable[dict[str, Any]]) -> Score:
    score = Score()
    for answer in answers:
        score.add(answer["right"])
    return score


def _scores(answers: list[dict[str, Any]], by: str) -> dict[Any, Score]:
    names = sorted({answer[by] for answer in answers})
    return {name: _score(a for a in answers if a[by] == name) for name in names}


def _top_tenth(answers: Iterable[dict[str, Any]]) -> Score:
    """Questions whose evidence ranks in the top tenth of relevance."""
    score = Score()
    for answer in answers:
        if answer["rank"] is not None:
            score.add(answer["rank"] < 0.1)
    return score


def _interval(score: Score) -> str:
    low, high = wilson(score.right, score.total)
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


def _length(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def ground_truths(folder: Path) -> list[Path]:
    """The ground-truth files of a folder made by `tempo synthetic make`.

    Raises:
        TempoError: there is none.
    """
    found = sorted(path for path in folder.glob("*.json") if path.with_suffix(".mp4").exists())
    if not found:
        raise TempoError(
            f"{folder}: no generated videos with their .json; make some with `tempo synthetic make {folder}`"
        )
    return found


def run_benchmark(
    model: Tempo,
    folders: Sequence[Path],
    *,
    options: dict[str, Any] | None = None,
    watching: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BenchmarkResult:
    """Ask `model` every question of every file in `folders`, each file watched once.

    Args:
        options: passed to `session.ask`: budget, adaptive, keep …
        watching: passed to `model.watch`: max_frames, sampling …
    """
    result = BenchmarkResult()
    truths = [path for folder in folders for path in ground_truths(folder)]
    started = time.perf_counter()
    for number, path in enumerate(truths):
        truth = json.loads(path.read_text(encoding="utf-8"))
        session = model.watch(
            str(path.with_suffix(".mp4")), cache="device", progress=None, **(watching or {})
        )
        for question in truth["questions"]:
            earlier = [(asked, said) for asked, said in question.get("earlier", ())]
            answer = session.stream_after(
                earlier, question["text"], **({"max_new_tokens": 96} | (options or {}))
            ).answer
            window = model.config.segment_frames / session.sampling.fps
            spans = [(segment.start, segment.end) for segment in answer.segments]
            rank = None
            if question["evidence"] and len(spans) >= 20:
                relevance = [segment.relevance for segment in answer.segments]
                rank = evidence_rank(question, spans, relevance)
            result.answers.append(
                {
                    "video": truth["video"],
                    "seconds": truth["seconds"],
                    "kind": "follow-up" if earlier else question["kind"],
                    "form": "multiple choice" if question["options"] else "open",
                    "question": question["text"],
                    "answer": answer.text,
                    "truth": question["answer"],
                    "right": is_correct(question, answer.text, window=window),
                    "rank": rank,
                    "visual_tokens": answer.usage.visual_tokens,
                }
            )
        if progress:
            progress(number + 1, len(truths))
    result.seconds = time.perf_counter() - started
    return result

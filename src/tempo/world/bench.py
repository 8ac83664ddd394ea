"""Measure a model on generated files: right answers by kind of question, and whether the router finds the
moment."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempo.engine import Tempo
from tempo.errors import TempoError
from tempo.world.scoring import evidence_rank, is_right


@dataclass
class Score:
    """Right answers of all answers."""

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
class BenchResult:
    """What a bench found. `top_tenth`: files' questions whose moment ranks in the top tenth of relevance."""

    by_kind: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))
    by_form: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))
    overall: Score = field(default_factory=Score)
    top_tenth: Score = field(default_factory=Score)
    seconds: float = 0.0
    answers: list[dict[str, Any]] = field(default_factory=list)

    def table(self) -> str:
        """Markdown, one row a kind."""
        rows = [f"| {kind} | {score} |" for kind, score in sorted(self.by_kind.items())]
        rows += [f"| *{form}* | {score} |" for form, score in sorted(self.by_form.items())]
        rows.append(f"| **all** | **{self.overall}** |")
        if self.top_tenth.total:
            rows.append(f"| moment in the top tenth of relevance | {self.top_tenth} |")
        return "\n".join(["| kind | right |", "|---|---|", *rows])

    def to_json(self) -> dict[str, Any]:
        def scores(of: dict[str, Score]) -> dict[str, Any]:
            return {name: {"right": s.right, "total": s.total, "share": s.share} for name, s in of.items()}

        return {
            "overall": scores({"all": self.overall})["all"],
            "by_kind": scores(self.by_kind),
            "by_form": scores(self.by_form),
            "top_tenth": scores({"all": self.top_tenth})["all"],
            "seconds": self.seconds,
            "answers": self.answers,
        }


def ground_truths(folder: Path) -> list[Path]:
    """The ground-truth files of a folder made by `tempo world make`.

    Raises:
        TempoError: there is none.
    """
    found = sorted(path for path in folder.glob("*.json") if path.with_suffix(".mp4").exists())
    if not found:
        raise TempoError(
            f"{folder}: no generated videos with their .json; make some with `tempo world make {folder}`"
        )
    return found


def bench(
    model: Tempo,
    folder: Path,
    *,
    options: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BenchResult:
    """Ask `model` every question of every file in `folder`, each file watched once.

    Args:
        options: passed to `session.ask`: budget, adaptive, keep …
    """
    result = BenchResult()
    truths = ground_truths(folder)
    started = time.perf_counter()
    for number, path in enumerate(truths):
        truth = json.loads(path.read_text(encoding="utf-8"))
        session = model.watch(str(path.with_suffix(".mp4")), cache="device")
        for question in truth["questions"]:
            earlier = [(asked, said) for asked, said in question.get("earlier", ())]
            answer = session.stream_after(
                earlier, question["text"], **({"max_new_tokens": 96} | (options or {}))
            ).answer
            window = model.config.segment_frames / session.sampling.fps
            right = is_right(question, answer.text, window=window)
            form = "multiple choice" if question["options"] else "open"
            kind = "follow-up" if earlier else question["kind"]
            for score in (result.by_kind[kind], result.by_form[form], result.overall):
                score.add(right)
            spans = [(s.start, s.end) for s in answer.segments]
            relevance = [s.relevance for s in answer.segments]
            rank = None
            if question["evidence"] and len(spans) >= 20:
                rank = evidence_rank(question, spans, relevance)
                result.top_tenth.add(rank < 0.1)
            result.answers.append(
                {
                    "video": truth["video"],
                    "kind": kind,
                    "question": question["text"],
                    "answer": answer.text,
                    "truth": question["answer"],
                    "right": right,
                    "rank": rank,
                    "visual_tokens": answer.usage.visual_tokens,
                }
            )
        if progress:
            progress(number + 1, len(truths))
    result.seconds = time.perf_counter() - started
    return result

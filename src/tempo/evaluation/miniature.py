"""Miniatures of the four releases, drawn by tempo.synthetic: the same layouts, a dozen questions each.

With them the whole way can be tried anywhere in a minute: files, prompts, plugin, scoring, report.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tempo.synthetic.expressions import SyntheticQuestion
from tempo.synthetic.questions import make_question
from tempo.synthetic.script import Script, make_script
from tempo.synthetic.video_files import ASPECTS, FileSpec, write_video

KINDS = ("colour", "shape", "direction", "count")
LETTERS = "ABCD"
_MLVU = ("plotQA", "findNeedle", "ego", "count", "order", "anomaly_reco", "topic_reasoning")
_MLVU_FILES = ("1_plotQA", "2_needle", "3_ego", "4_count", "5_order", "6_anomaly_reco", "7_topic_reasoning")
_LVBENCH = ("key information retrieval", "event understanding", "entity recognition", "reasoning")
_VIDEOMME = {
    "colour": "Attribute Perception",
    "shape": "Object Recognition",
    "direction": "Action Recognition",
    "count": "Counting Problem",
}


@dataclass(frozen=True)
class Film:
    """A drawn film and what is asked about it."""

    name: str
    path: Path
    seconds: float
    questions: list[SyntheticQuestion]


def draw_films(
    folder: Path, *, films: int, questions: int, seconds: float = 12.0, seed: str = ""
) -> list[Film]:
    """Draw `films` films of `seconds` and longer, each with `questions` questions of four options."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for number in range(films):
        spec = FileSpec(seconds=seconds * (1 + number % 3), height=120, fps=6)
        rng = random.Random(f"miniature/{seed}/{number}")
        script = make_script(rng, duration=spec.seconds, aspect=ASPECTS[spec.aspect])
        name = f"film{number}"
        path = folder / f"{name}.mp4"
        write_video(script, path, spec)
        drawn.append(Film(name, path, spec.seconds, _questions(rng, script, questions)))
    return drawn


def write_releases(data: Path, films: list[Film]) -> None:
    """Write all four releases of the same films below `data`."""
    write_lvbench(data / "LVBench", films)
    write_mlvu(data / "MLVU", films)
    write_videomme(data / "Video-MME", films)
    write_longvideobench(data / "LongVideoBench", films)


def write_lvbench(root: Path, films: list[Film]) -> None:
    rows = []
    for film in films:
        _place(film, root / "all_videos" / f"{film.name}.mp4")
        qa = [
            {
                "uid": f"{film.name}-{number}",
                "question": "\n".join([_asked(q), *(f"({a}) {o}" for a, o in _options(q))]),
                "answer": q.answer,
                "question_type": [_LVBENCH[number % len(_LVBENCH)]],
                "time_reference": "",
            }
            for number, q in enumerate(film.questions)
        ]
        rows.append({"key": film.name, "type": "cartoon", "video_info": {}, "qa": qa})
    (root / "video_info.meta.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_mlvu(root: Path, films: list[Film]) -> None:
    rows: dict[int, list[dict[str, Any]]] = {}
    for place, (film, question) in enumerate((f, q) for f in films for q in f.questions):
        group = place % len(_MLVU)
        _place(film, root / "video" / _MLVU_FILES[group] / f"{film.name}.mp4")
        row = {
            "video": f"{film.name}.mp4",
            "duration": film.seconds,
            "question": _asked(question),
            "candidates": list(question.options),
            "answer": question.options[LETTERS.index(question.answer)],
            "question_type": _MLVU[group],
        }
        rows.setdefault(group, []).append(row)
    (root / "json").mkdir(parents=True)
    for group, its_rows in rows.items():
        (root / "json" / f"{_MLVU_FILES[group]}.json").write_text(json.dumps(its_rows), "utf-8")


def write_videomme(root: Path, films: list[Film]) -> None:
    rows = []
    for place, film in enumerate(films):
        _place(film, root / "data" / f"{film.name}.mp4")
        rows += [
            {
                "video_id": f"{place + 1:03}",
                "duration": ("short", "medium", "long")[place % 3],
                "domain": "Knowledge",
                "sub_category": "Technology",
                "videoID": film.name,
                "question_id": f"{place + 1:03}-{number + 1}",
                "task_type": _VIDEOMME[q.kind],
                "question": _asked(q),
                "options": [f"{letter}. {option}." for letter, option in _options(q)],
                "answer": q.answer,
            }
            for number, q in enumerate(film.questions)
        ]
    (root / "videomme").mkdir(parents=True)
    (root / "videomme" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_longvideobench(root: Path, films: list[Film]) -> None:
    rows = []
    for film in films:
        _place(film, root / "videos" / f"{film.name}.mp4")
        rows += [
            {
                "id": f"{film.name}_{number}",
                "video_id": film.name,
                "video_path": f"{film.name}.mp4",
                "question": _asked(q),
                "candidates": list(q.options),
                "correct_choice": LETTERS.index(q.answer),
                "duration_group": 15 if film.seconds <= 15 else 60,
                "duration": film.seconds,
                "question_category": "E2O",
                "topic_category": "cartoon",
                "level": "L1-Perception",
            }
            for number, q in enumerate(film.questions)
        ]
    (root / "lvb_val.json").write_text(json.dumps(rows), "utf-8")


def _questions(rng: random.Random, script: Script, count: int) -> list[SyntheticQuestion]:
    """`count` different questions with four options; fewer where the film allows no more."""
    found: list[SyntheticQuestion] = []
    for attempt in range(count * 20):
        if len(found) == count:
            break
        question = make_question(rng, script, kind=KINDS[attempt % len(KINDS)], choice=True)
        if question is None or len(question.options) != len(LETTERS):
            continue
        if all(_asked(question) != _asked(other) for other in found):
            found.append(question)
    return found


def _asked(question: SyntheticQuestion) -> str:
    return question.text.splitlines()[0]


def _options(question: SyntheticQuestion) -> list[tuple[str, str]]:
    return list(zip(LETTERS, question.options, strict=True))


def _place(film: Film, path: Path) -> None:
    """The film at `path`, without a second copy where the disk allows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    try:
        os.link(film.path, path)
    except OSError:
        shutil.copy(film.path, path)

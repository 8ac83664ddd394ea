"""Write miniatures of the four benchmark releases: synthetic videos in the same layouts, few questions.

They exercise the whole evaluation in a minute on any machine: files, prompts, plugin, scoring and report.
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
class RenderedVideo:
    """A synthetic video and the questions about it."""

    name: str
    path: Path
    seconds: float
    questions: list[SyntheticQuestion]


def render_videos(
    folder: Path, *, count: int, questions: int, seconds: float = 12.0, seed: str = ""
) -> list[RenderedVideo]:
    """Render COUNT videos of SECONDS and longer, each with QUESTIONS questions of four options."""
    folder.mkdir(parents=True, exist_ok=True)
    rendered = []
    for number in range(count):
        spec = FileSpec(seconds=seconds * (1 + number % 3), height=120, fps=6)
        rng = random.Random(f"miniature/{seed}/{number}")
        script = make_script(rng, duration=spec.seconds, aspect=ASPECTS[spec.aspect])
        name = f"video{number}"
        path = folder / f"{name}.mp4"
        write_video(script, path, spec)
        rendered.append(RenderedVideo(name, path, spec.seconds, _questions(rng, script, questions)))
    return rendered


def write_releases(data: Path, videos: list[RenderedVideo]) -> None:
    """Write all four releases of the same videos below DATA."""
    write_lvbench(data / "LVBench", videos)
    write_mlvu(data / "MLVU", videos)
    write_videomme(data / "Video-MME", videos)
    write_longvideobench(data / "LongVideoBench", videos)


def write_lvbench(root: Path, videos: list[RenderedVideo]) -> None:
    """Write a release of LVBench."""
    rows = []
    for video in videos:
        _place(video, root / "all_videos" / f"{video.name}.mp4")
        qa = [
            {
                "uid": f"{video.name}-{number}",
                "question": "\n".join([_asked(q), *(f"({a}) {o}" for a, o in _options(q))]),
                "answer": q.answer,
                "question_type": [_LVBENCH[number % len(_LVBENCH)]],
                "time_reference": "",
            }
            for number, q in enumerate(video.questions)
        ]
        rows.append({"key": video.name, "type": "cartoon", "video_info": {}, "qa": qa})
    (root / "video_info.meta.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_mlvu(root: Path, videos: list[RenderedVideo]) -> None:
    """Write a release of MLVU."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for place, (video, question) in enumerate((v, q) for v in videos for q in v.questions):
        group = place % len(_MLVU)
        _place(video, root / "video" / _MLVU_FILES[group] / f"{video.name}.mp4")
        row = {
            "video": f"{video.name}.mp4",
            "duration": video.seconds,
            "question": _asked(question),
            "candidates": list(question.options),
            "answer": question.options[LETTERS.index(question.answer)],
            "question_type": _MLVU[group],
        }
        rows.setdefault(group, []).append(row)
    (root / "json").mkdir(parents=True)
    for group, its_rows in rows.items():
        (root / "json" / f"{_MLVU_FILES[group]}.json").write_text(json.dumps(its_rows), "utf-8")


def write_videomme(root: Path, videos: list[RenderedVideo]) -> None:
    """Write a release of Video-MME."""
    rows = []
    for place, video in enumerate(videos):
        _place(video, root / "data" / f"{video.name}.mp4")
        rows += [
            {
                "video_id": f"{place + 1:03}",
                "duration": ("short", "medium", "long")[place % 3],
                "domain": "Knowledge",
                "sub_category": "Technology",
                "videoID": video.name,
                "question_id": f"{place + 1:03}-{number + 1}",
                "task_type": _VIDEOMME[q.kind],
                "question": _asked(q),
                "options": [f"{letter}. {option}." for letter, option in _options(q)],
                "answer": q.answer,
            }
            for number, q in enumerate(video.questions)
        ]
    (root / "videomme").mkdir(parents=True)
    (root / "videomme" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_longvideobench(root: Path, videos: list[RenderedVideo]) -> None:
    """Write a release of LongVideoBench."""
    rows = []
    for video in videos:
        _place(video, root / "videos" / f"{video.name}.mp4")
        rows += [
            {
                "id": f"{video.name}_{number}",
                "video_id": video.name,
                "video_path": f"{video.name}.mp4",
                "question": _asked(q),
                "candidates": list(q.options),
                "correct_choice": LETTERS.index(q.answer),
                "duration_group": 15 if video.seconds <= 15 else 60,
                "duration": video.seconds,
                "question_category": "E2O",
                "topic_category": "cartoon",
                "level": "L1-Perception",
            }
            for number, q in enumerate(video.questions)
        ]
    (root / "lvb_val.json").write_text(json.dumps(rows), "utf-8")


def _questions(rng: random.Random, script: Script, count: int) -> list[SyntheticQuestion]:
    """COUNT different questions with four options, or fewer if the video allows no more."""
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


def _place(video: RenderedVideo, path: Path) -> None:
    """Link the video to PATH, or copy it if the file system has no links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    try:
        os.link(video.path, path)
    except OSError:
        shutil.copy(video.path, path)

"""Read the benchmarks as their authors release them, into items for lmms-eval's tasks.

Each reader accepts the authors' release and lmms-eval's copy of it:

    LVBench         video_info.meta.jsonl | data/train-*.parquet         KEY.mp4
    MLVU            json/1_plotQA.json …  | *.parquet                    video/1_plotQA/*.mp4
    Video-MME       videomme/test-*.parquet (or .json, .jsonl)           data/ID.mp4
    LongVideoBench  lvb_val.json          | validation-*.parquet         videos/*.mp4

A video is found by its path below the release, or else by its name in any folder of the release.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tempo.errors import TempoError

from .benchmarks import Benchmark
from .tasks import VIDEO

Row = dict[str, Any]
ReadTable = Callable[[Path], list[Row]]
"""Reads a Parquet file, which tempo's own dependencies cannot."""

SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".flv")

ANNOTATIONS = {
    "lvbench": ("video_info.meta.jsonl", "data/video_info.meta.jsonl", "data/train-*.parquet", "*.parquet"),
    "mlvu_dev": ("json/[1-7]_*.json", "MLVU/json/[1-7]_*.json", "data/test-*.parquet", "*.parquet"),
    "videomme": (
        "videomme/test-*.parquet",
        "videomme/test*.json*",
        "data/test-*.parquet",
        "*.parquet",
        "test*.json*",
    ),
    "longvideobench_val_v": ("lvb_val.json", "validation-*.parquet", "data/validation-*.parquet"),
}
# Groups whose names in MLVU's release differ from those in its table.
_MLVU_NAMES = {"findNeedle": "needle"}


@dataclass(frozen=True)
class LocalRelease:
    """A benchmark on disk: its items, and the paths of missing videos."""

    items: list[Row]
    missing: list[str]

    @property
    def lost(self) -> int:
        """The number of items without a video."""
        gone = set(self.missing)
        return sum(item[VIDEO] in gone for item in self.items)


def read_release(benchmark: Benchmark, data: Path, *, read_table: ReadTable) -> LocalRelease:
    """Read the items of a benchmark's release below DATA, each with the path of its video.

    Raises:
        TempoError: there is no release of the benchmark, or its annotations are invalid.
    """
    root, files = _find(benchmark, data)
    videos = _Videos(root)
    items: list[Row] = []
    missing: list[str] = []
    for file in files:
        try:
            for item, video in _READERS[benchmark.task](_rows(file, read_table), file):
                path = videos.find(video)
                if path is None:
                    path = root / video
                    if str(path) not in missing:
                        missing.append(str(path))
                items.append({**item, VIDEO: str(path)})
        except (KeyError, TypeError, AttributeError) as error:
            raise TempoError(
                f"{file}: not the annotations of {benchmark.title} ({type(error).__name__}: {error})"
            ) from error
    if not items:
        raise TempoError(f"{root}: no questions in the annotations of {benchmark.title}; download them again")
    return LocalRelease(items, missing)


def _find(benchmark: Benchmark, data: Path) -> tuple[Path, list[Path]]:
    """The folder of a release and its annotation files."""
    if not data.is_dir():
        raise TempoError(f"{data}: no such folder; name the folder with the benchmarks' releases")
    roots = [data / name for name in benchmark.folders if (data / name).is_dir()]
    for root in [*roots, data]:
        for pattern in ANNOTATIONS[benchmark.task]:
            if found := sorted(root.glob(pattern)):
                return root, found
    wanted = " or ".join(ANNOTATIONS[benchmark.task])
    raise TempoError(
        f"{data}: no release of {benchmark.title} in this folder; add {benchmark.folders[0]}/ with {wanted}"
    )


class _Videos:
    """An index of the video files below a folder."""

    def __init__(self, root: Path) -> None:
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for folder, _, names in os.walk(root, followlinks=True):
            for name in names:
                if name.lower().endswith(SUFFIXES):
                    self._by_stem[Path(name).stem].append(Path(folder) / name)

    def find(self, wanted: str) -> Path | None:
        """The file whose path matches WANTED best from its end; the suffix may differ."""
        parts = PurePosixPath(wanted).parts

        def likeness(path: Path) -> tuple[int, bool, str]:
            folders = zip(reversed(path.parts[:-1]), reversed(parts[:-1]), strict=False)
            same = 0
            for ours, theirs in folders:
                if ours != theirs:
                    break
                same += 1
            return same, path.name == parts[-1], str(path)

        return max(self._by_stem.get(PurePosixPath(wanted).stem, []), key=likeness, default=None)


def _rows(file: Path, read_table: ReadTable) -> list[Row]:
    if file.suffix == ".parquet":
        return read_table(file)
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".jsonl":
            return [json.loads(line) for line in text.split("\n") if line.strip()]
        rows = json.loads(text)
    except (OSError, ValueError) as error:
        raise TempoError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from error
    if not isinstance(rows, list):
        raise TempoError(f"{file}: not a list of questions; download the annotations again")
    return rows


def _lvbench(rows: list[Row], file: Path) -> Iterator[tuple[Row, str]]:
    for row in rows:
        if "qa" not in row:
            yield row, str(row["video_path"])
            continue
        key = str(row["key"])
        for question in row["qa"]:
            item = {
                "key": key,
                "uid": str(question["uid"]),
                "question": question["question"],
                "answer": question["answer"],
                "question_type": list(question.get("question_type", [])),
                "time_reference": str(question.get("time_reference", "")),
                "video_type": str(row.get("type", "")),
                "video_path": f"{key}.mp4",
            }
            yield item, f"{key}.mp4"


def _mlvu(rows: list[Row], file: Path) -> Iterator[tuple[Row, str]]:
    for row in rows:
        if "task_type" in row:
            yield row, str(row["video_name"])
            continue
        options = list(row["candidates"])
        lines = [f"({letter}) {option}" for letter, option in zip("ABCDEFGH", options, strict=False)]
        item = {
            "video_name": row["video"],
            "question": "\n".join([row["question"], *lines]),
            "candidates": options,
            "answer": "ABCDEFGH"[options.index(row["answer"])],
            "task_type": _MLVU_NAMES.get(row["question_type"], row["question_type"]),
        }
        yield item, f"video/{file.stem}/{row['video']}"


def _videomme(rows: list[Row], file: Path) -> Iterator[tuple[Row, str]]:
    for row in rows:
        yield {**row, "options": list(row["options"])}, f"data/{row['videoID']}.mp4"


def _longvideobench(rows: list[Row], file: Path) -> Iterator[tuple[Row, str]]:
    fields = ("id", "video_id", "video_path", "question", "correct_choice", "duration_group", "duration")
    for row in rows:
        item = {name: row[name] for name in fields} | {
            name: row.get(name, "") for name in ("question_category", "topic_category", "level")
        }
        options = row.get("candidates")
        for place in range(5):
            name = f"option{place}"
            if options is None:
                item[name] = row[name]
            else:
                item[name] = options[place] if place < len(options) else "N/A"
        yield item, f"videos/{row['video_path']}"


_READERS: dict[str, Callable[[list[Row], Path], Iterator[tuple[Row, str]]]] = {
    "lvbench": _lvbench,
    "mlvu_dev": _mlvu,
    "videomme": _videomme,
    "longvideobench_val_v": _longvideobench,
}

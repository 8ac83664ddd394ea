"""Keeps the answers of a run on disk, one file a video, so that an interrupted run resumes.

A file is written atomically when all questions about its video are answered, and says what answered them;
answers of different models, or to different questions, are never mixed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.reporting.report_files import write_files
from tempo.storage import hashing

Records = list[dict[str, Any]]


class Answered:
    """The folder of a run's answers.

    Attributes:
        videos: the ground-truth files of the run's videos.
        made_with: what decides the answers beside the video: model, questions, variants …
    """

    def __init__(self, folder: Path, videos: list[Path], made_with: dict[str, Any]) -> None:
        """Read the folder, which need not exist.

        Raises:
            TempoError: it holds answers about other videos.
        """
        self.folder = folder
        self.videos = videos
        self.made_with = made_with
        names = {self._path(video) for video in videos}
        if others := sorted(set(folder.glob("*.json")) - names):
            raise TempoError(f"{others[0]}: is about a video that is not among these; give another --out")

    def read(self, video: Path) -> Records | None:
        """The records of a video; None: it has not been answered.

        Raises:
            TempoError: they were made with something else, or of another video with the same name.
        """
        path = self._path(video)
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
            made_with, records = there["made_with"], there["records"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TempoError(
                f"{path}: not answers of `python -m research.ablations`; give another --out"
            ) from error
        now = self._made_with(video)
        if made_with != now:
            differing = next(name for name in now if made_with.get(name) != now[name])
            was, is_now = (f"{values.get(differing)!s:.40}" for values in (made_with, now))
            raise TempoError(
                f"{path}: was made with another {differing}, {was}, and this is {is_now}; "
                "give the same again to go on with it, or another --out"
            )
        return records

    def write(self, video: Path, records: Records) -> None:
        """Keep the records of a video.

        Raises:
            TempoError: they cannot be written.
        """
        values = {"made_with": self._made_with(video), "records": records}
        name = self._path(video).name
        write_files(self.folder, {name: json.dumps(values, ensure_ascii=False, indent=1) + "\n"})

    def _made_with(self, video: Path) -> dict[str, Any]:
        paths = [str(video.with_suffix(".mp4")), str(video)]
        return {"film": hashing.of_files(paths), **self.made_with}

    def _path(self, video: Path) -> Path:
        return self.folder / video.name

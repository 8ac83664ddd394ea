"""The answers of a run on disk, one file a film, so that a run that was killed goes on with the next film.

A file appears only when its film is answered whole, and says what answered it; answers of different models,
or about different questions, are never counted together.
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
        films: the ground-truth files of the run's films.
        made_with: what decides the answers beside the film: model, questions, ways …
    """

    def __init__(self, folder: Path, films: list[Path], made_with: dict[str, Any]) -> None:
        """Look into FOLDER, which need not be there.

        Raises:
            TempoError: it holds answers about other films.
        """
        self.folder = folder
        self.films = films
        self.made_with = made_with
        names = {self._path(film) for film in films}
        if others := sorted(set(folder.glob("*.json")) - names):
            raise TempoError(f"{others[0]}: is about a film that is not among these; give another --out")

    def read(self, film: Path) -> Records | None:
        """The records of a film; None: it has not been answered.

        Raises:
            TempoError: they were made with something else, or of another film with the same name.
        """
        path = self._path(film)
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
            made_with, records = there["made_with"], there["records"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TempoError(
                f"{path}: not answers of `python -m research.ablations`; give another --out"
            ) from error
        now = self._made_with(film)
        if made_with != now:
            differing = next(name for name in now if made_with.get(name) != now[name])
            was, is_now = (f"{values.get(differing)!s:.40}" for values in (made_with, now))
            raise TempoError(
                f"{path}: was made with another {differing}, {was}, and this is {is_now}; "
                "give the same again to go on with it, or another --out"
            )
        return records

    def write(self, film: Path, records: Records) -> None:
        """Keep the records of a film.

        Raises:
            TempoError: they cannot be written.
        """
        values = {"made_with": self._made_with(film), "records": records}
        name = self._path(film).name
        write_files(self.folder, {name: json.dumps(values, ensure_ascii=False, indent=1) + "\n"})

    def _made_with(self, film: Path) -> dict[str, Any]:
        paths = [str(film.with_suffix(".mp4")), str(film)]
        return {"film": hashing.of_files(paths), **self.made_with}

    def _path(self, film: Path) -> Path:
        return self.folder / film.name

"""Read the cases of a batch run, ``{"video_path": …, "query": …}`` objects in JSON or JSONL."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.number_checks import is_number, is_whole, shown
from tempo.storage.regular_files import check_has_an_end

SAMPLING_OPTIONS = ("fps", "max_frames", "sampling")
# The type of each option of a case; the code that uses a value checks it.
OPTIONS: dict[str, str] = {
    "fps": "a number",
    "max_frames": "a whole number",
    "sampling": "a string",
    "budget": "a whole number",
    "adaptive": "true or false",
    "keep": "a string",
    "max_new_tokens": "a whole number",
    "temperature": "a number",
    "top_p": "a number",
}


@dataclass(frozen=True)
class Case:
    """One question about one video.

    Attributes:
        number: its position in the file, from 1.
        id: its name in the results: its own "id", or its number.
        named: whether it has an "id" of its own.
        settings: the model and the options to answer it with.
        error: why the case is invalid, or "".
    """

    number: int
    id: str | int
    named: bool
    video_path: str | None
    query: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def content(self) -> str:
        """Video, question and settings as a text; equal for equal cases."""
        return content_of({"video_path": self.video_path, "query": self.query, "settings": self.settings})

    def header(self) -> dict[str, Any]:
        """The fields with which its record in the results begins."""
        return {
            "id": self.id,
            "video_path": self.video_path,
            "query": self.query,
            "settings": self.settings,
        }

    def failure(self, error: str) -> dict[str, Any]:
        """Its record if it could not be answered."""
        return {**self.header(), "error": error}


@dataclass(frozen=True)
class VideoGroup:
    """Cases that share a video and its sampling, in the order of the file.

    Attributes:
        size: bytes of the file; None: it is no file of this machine, and nobody knows.
        workers: how many are to watch the video, each a range of its segments.
        alone: whether only one may, because a worker died of it.
    """

    video_path: str
    sampling: dict[str, Any]
    cases: tuple[Case, ...]
    size: int | None = None
    workers: int = 1
    alone: bool = False


def content_of(record: Mapping[str, Any]) -> str:
    """Video, question and settings as a text; equal for a record and its case."""
    return json.dumps([record.get(name) for name in ("video_path", "query", "settings")], sort_keys=True)


def read_cases(path: Path, settings: Mapping[str, Any]) -> list[Case]:
    """Read the cases of a JSON or JSONL file. An invalid case is returned with its `error`.

    Args:
        settings: model and options of the whole run; a case's own options override them.

    Raises:
        TempoError: the file cannot be read, is neither JSON nor JSONL, is empty, or repeats an id.
    """
    check_has_an_end(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TempoError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError:
        raise TempoError(f"{path}: not UTF-8 text; provide JSON or JSONL") from None
    cases = [_case(number, value, settings) for number, value in enumerate(_values(path, text), 1)]
    if not cases:
        raise TempoError(f'{path}: no cases in this file; write {{"video_path": …, "query": …}} objects')
    seen: dict[str | int, int] = {}
    for case in cases:
        if case.id in seen and (case.named or cases[seen[case.id] - 1].named):
            raise TempoError(f"{path}: cases {seen[case.id]} and {case.number} have the same id {case.id!r}")
        seen[case.id] = case.number
    return cases


def group(cases: Iterable[Case]) -> list[VideoGroup]:
    """Group cases that share a video and its sampling, in the order of their first cases."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        assert case.video_path is not None
        path = os.path.realpath(case.video_path) if os.path.exists(case.video_path) else case.video_path
        key = json.dumps([path, _sampling(case)], sort_keys=True)
        found.setdefault(key, []).append(case)
    return [
        VideoGroup(given, _sampling(members[0]), tuple(members), size=_size(given))
        for members in found.values()
        if (given := members[0].video_path) is not None
    ]


def largest_first(groups: Sequence[VideoGroup]) -> list[VideoGroup]:
    """The groups by the size of their files, largest first, so that no long video is begun last.

    What is no file of this machine keeps its place before them: nobody knows how large it is."""

    def size(group: VideoGroup) -> float:
        return math.inf if group.size is None else group.size

    return sorted(groups, key=size, reverse=True)


def _size(path: str) -> int | None:
    try:
        return os.path.getsize(path)
    except OSError:
        return None


def _sampling(case: Case) -> dict[str, Any]:
    return {name: case.settings[name] for name in SAMPLING_OPTIONS if name in case.settings}


def _values(path: Path, text: str) -> Sequence[Any]:
    """The JSON values of a list, or of one object per line."""
    if text.lstrip().startswith("["):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TempoError(f"{path}: not JSON ({error}); fix the file") from None
        assert isinstance(values, list)
        return values
    if text.lstrip().startswith("{"):
        # One object over several lines is one case.
        try:
            return [json.loads(text)]
        except (ValueError, RecursionError):
            pass
    values = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                reason = str(error).split(": line")[0]
                raise TempoError(f"{path}, line {number}: not JSON ({reason}); fix the file") from None
    return values


def _case(number: int, value: Any, settings: Mapping[str, Any]) -> Case:
    if not isinstance(value, dict):
        return Case(number, number, False, None, None, error=f"a case must be an object, not {_shown(value)}")
    problems: list[str] = []
    texts: dict[str, str | None] = {}
    for name in ("video_path", "query"):
        text = value.get(name)
        texts[name] = text if isinstance(text, str) else None
        if name not in value:
            problems.append(f"{name!r} is missing")
        elif not isinstance(text, str) or not text.strip():
            problems.append(f"{name!r} must be a non-empty string, not {_shown(text)}")
    own = value.get("id")
    named = isinstance(own, str | int) and not isinstance(own, bool)
    if own is not None and not named:
        problems.append(f"'id' must be a string or a whole number, not {_shown(own)}")
    options = value.get("options") or {}
    if not isinstance(options, dict):
        problems.append(f"'options' must be an object, not {_shown(options)}")
        options = {}
    wrong = {name: problem for name, given in options.items() if (problem := _problem(name, given))}
    problems += wrong.values()
    problems += [f"move {name!r} into 'options'" for name in OPTIONS if name in value]
    return Case(
        number,
        own if named and own is not None else number,
        named,
        texts["video_path"],
        texts["query"],
        {**settings, **{name: given for name, given in options.items() if name not in wrong}},
        "; ".join(problems),
    )


def _problem(name: str, value: Any) -> str:
    """What is wrong with an option of a case, or ""."""
    if name not in OPTIONS:
        return f"unknown option {name!r}; choose from {', '.join(OPTIONS)}"
    kind = OPTIONS[name]
    fits = {
        "a number": is_number(value),
        "a whole number": is_whole(value, least=-(2**63)),
        "true or false": isinstance(value, bool),
        "a string": isinstance(value, str),
    }
    return "" if fits[kind] else f"{name!r} must be {kind}, not {_shown(value)}"


def _shown(value: Any) -> str:
    return shown(json.dumps(value, ensure_ascii=False))

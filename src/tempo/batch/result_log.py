"""The append-only results of a batch run: one JSON object per line, never lost and never repeated.

Each line is appended in one call and flushed to disk before the next case counts as done. Whatever kills the
process, the file holds complete lines and at most one partial line, which the next run removes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tempo.errors import TempoError
from tempo.storage.atomic_files import replacing
from tempo.storage.file_lock import lock
from tempo.storage.json_lines import json_line

from .cases import Case, content_of


class Results:
    """The file of results, locked while it is open.

    Attributes:
        records: its records, in the order of its lines.
    """

    def __init__(self, path: Path) -> None:
        """Open or create PATH and read the results of earlier runs.

        Raises:
            TempoError: it cannot be written, holds something else than results, or another run writes to it.
        """
        self.path = path
        self.records: list[dict[str, Any]] = []
        self._file = self._open()
        try:
            self.read()
        except BaseException:
            self.close()
            raise

    def append(self, record: dict[str, Any]) -> None:
        """Append one RECORD, and return once it is on disk.

        Raises:
            TempoError: it cannot be written.
        """
        line = json_line(record)
        try:
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        except OSError as error:
            raise self._unwritable(error) from error
        self.records.append(record)

    def remove_failures(self) -> None:
        """Remove the records of failed cases atomically."""
        answered = [record for record in self.records if "error" not in record]
        if len(answered) == len(self.records):
            return
        try:
            with replacing(self.path) as temporary:
                temporary.write_bytes(b"".join(map(json_line, answered)))
                temporary.chmod(os.fstat(self._file).st_mode & 0o777)
        except OSError as error:
            raise self._unwritable(error) from error
        self.close()
        self._file = self._open()
        self.records = answered

    def close(self) -> None:
        """Close the file and release its lock."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _open(self) -> int:
        try:
            if self.path.exists() and not self.path.is_file():
                raise TempoError(f"{self.path}: not a regular file; choose another --output")
            binary = getattr(os, "O_BINARY", 0)  # Windows would change line ends otherwise
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | binary, 0o666)
        except OSError as error:
            raise TempoError(f"{self.path}: cannot be opened ({error.strerror}); check its folder") from error
        with open(file, "rb", closefd=False) as opened:
            locked = lock(opened, wait=False)
        if locked is False:
            os.close(file)
            raise TempoError(
                f"{self.path}: another run is writing to this file; wait for it or choose another --output"
            )
        return file

    def read(self) -> None:
        """Read the file again, and remove an incomplete end.

        A killed run leaves a partial line there, a power failure zeroes.

        Raises:
            TempoError: the file holds something else than results.
        """
        self.records = []
        data = self.path.read_bytes()
        at = whole = 0  # where this line begins, and where the last complete record ends
        for number, line in enumerate(data.split(b"\n"), 1):
            end = at + len(line)
            text = line.replace(b"\0", b"")
            if (record := parsed_record(text)) is not None:
                self.records.append(record)
                whole = end + 1 if end < len(data) else at + len(line.rstrip(b"\0"))
            elif not _unfinished(line, text, last=end == len(data)):
                raise TempoError(
                    f"{self.path}, line {number}: not a result of a batch run; choose another --output"
                )
            at = end + 1
        os.ftruncate(self._file, whole)
        if self.records and data[whole - 1 : whole] != b"\n":  # only its newline is missing
            os.write(self._file, b"\n")

    def _unwritable(self, error: OSError) -> TempoError:
        return TempoError(
            f"{self.path}: cannot be written ({error.strerror}); its results are safe: run the same command "
            "again to resume"
        )


def _unfinished(line: bytes, text: bytes, *, last: bool) -> bool:
    """Whether a LINE is the partial record of an interrupted run; TEXT is the line without zeroes.

    Anything else belongs to the user.
    """
    if not text:
        return last or bool(line)
    return (last or text != line) and b'{"id": '.startswith(text[:7])


def parsed_record(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None: the line is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not {"id", "video_path", "query", "settings"} <= value.keys():
        return None
    return value if ("answer" in value) != ("error" in value) else None


def completed(
    cases: Sequence[Case], records: Iterable[dict[str, Any]], path: Path | str
) -> dict[int, dict[str, Any]]:
    """The records of the CASES that have one, by the number of the case.

    A case with an id of its own is identified by it, any other by its content; so you may add, remove or move
    cases between runs.

    Raises:
        TempoError: a record has the id of a case with other content, or was made with another model or other
            options.
    """
    named = {case.id: case for case in cases if case.named}
    unnamed: dict[str, list[Case]] = {}
    for case in cases:
        if not case.named:
            unnamed.setdefault(case.content, []).append(case)
    asked = {(case.video_path, case.query) for case in cases}
    found: dict[int, dict[str, Any]] = {}
    for record in records:
        case_id, content = record["id"], content_of(record)
        same = named.get(case_id) if isinstance(case_id, str | int) else None
        if same is not None and same.content == content:
            found[same.number] = record
        elif alike := unnamed.get(content):
            found[alike.pop(0).number] = record
        elif same is not None or (record["video_path"], record["query"]) in asked:
            raise TempoError(
                f"{path}: the result with the id {case_id!r} belongs to another question or other options; "
                "choose another --output"
            )
    return found

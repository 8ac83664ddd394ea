"""The results of a batch run: one JSON object a line, each written once and for good.

A line is appended with one call and brought to the disk before the next case counts as done. Whatever kills
the process, the file holds whole lines and at most one beginning of a line, which the next run removes.
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
    """The file of results, locked as long as it is open.

    Attributes:
        records: what it holds, in the order of its lines.
    """

    def __init__(self, path: Path) -> None:
        """Open PATH, or make it, and read what an earlier run left.

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
        """Write one RECORD, and return once it is on the disk.

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

    def forget_failures(self) -> None:
        """Remove the records of cases that failed, all at once."""
        kept = [record for record in self.records if "error" not in record]
        if len(kept) == len(self.records):
            return
        try:
            with replacing(self.path) as temporary:
                temporary.write_bytes(b"".join(map(json_line, kept)))
                temporary.chmod(os.fstat(self._file).st_mode & 0o777)
        except OSError as error:
            raise self._unwritable(error) from error
        self.close()
        self._file = self._open()
        self.records = kept

    def close(self) -> None:
        """Close the file and let others write to it."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _open(self) -> int:
        try:
            if self.path.exists() and not self.path.is_file():
                raise TempoError(f"{self.path}: not a file; results need one that can be read again")
            binary = getattr(os, "O_BINARY", 0)  # Windows, where line ends would be changed otherwise
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | binary, 0o666)
        except OSError as error:
            raise TempoError(f"{self.path}: cannot be opened ({error.strerror}); check its folder") from error
        with open(file, "rb", closefd=False) as opened:
            locked = lock(opened, wait=False)
        if locked is False:
            os.close(file)
            raise TempoError(f"{self.path}: another run is writing to it; wait for it or name another file")
        return file

    def read(self) -> None:
        """Read the file again, and remove what was never finished at its end.

        That is the beginning of a line, which a killed run leaves, and zeroes, which a power failure leaves.

        Raises:
            TempoError: it holds something else than results.
        """
        self.records = []
        data = self.path.read_bytes()
        at = whole = 0  # where the line begins, and where the last whole record ends
        for number, line in enumerate(data.split(b"\n"), 1):
            end = at + len(line)
            text = line.replace(b"\0", b"")
            if (record := _record(text)) is not None:
                self.records.append(record)
                whole = end + 1 if end < len(data) else at + len(line.rstrip(b"\0"))
            elif not _unfinished(line, text, last=end == len(data)):
                raise TempoError(
                    f"{self.path}, line {number}: not a result of a batch run; name another file as --output"
                )
            at = end + 1
        os.ftruncate(self._file, whole)
        if self.records and data[whole - 1 : whole] != b"\n":  # only the end of its line is missing
            os.write(self._file, b"\n")

    def _unwritable(self, error: OSError) -> TempoError:
        return TempoError(
            f"{self.path}: cannot be written ({error.strerror}); what is in it stays, and the same command "
            "goes on from there"
        )


def _unfinished(line: bytes, text: bytes, *, last: bool) -> bool:
    """Whether a LINE is what a run that was ended has left: TEXT is what it holds beside zeroes.

    Anything else is somebody's file.
    """
    if not text:
        return last or bool(line)
    return (last or text != line) and b'{"id": '.startswith(text[:7])


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not {"id", "video_path", "query", "settings"} <= value.keys():
        return None
    return value if ("answer" in value) != ("error" in value) else None


def done(cases: Sequence[Case], records: Iterable[dict[str, Any]], path: Path) -> dict[int, dict[str, Any]]:
    """The records of those of CASES that have one, by the number of the case.

    A case with an id of its own is known by it, any other by what it asks; so cases may be added, removed or
    moved between runs.

    Raises:
        TempoError: a record belongs to a case with the same id and another content, or was made with another
            model or other options.
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
                f"{path}: the result with the id {case_id!r} was made for another question or with other "
                "options; name another file as --output"
            )
    return found

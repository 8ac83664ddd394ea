"""Results of a batch run in an object store, or in a Parquet file: what cannot be appended to.

Each result is first an object of its own, in the folder OUTPUT.parts; when the run ends, however it does,
all are joined into OUTPUT. A run that was killed leaves its parts, and the next one reads them.
"""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

from tempo.errors import TempoError
from tempo.storage import object_stores
from tempo.storage.json_lines import json_line

from .result_log import parsed_record

PARQUET = ".parquet"
COLUMNS = ("id", "video_path", "query", "answer", "error")  # beside `result`, the whole record as JSON


def is_parted(output: str) -> bool:
    """Whether OUTPUT is an address of an object store, or a Parquet file."""
    return object_stores.is_object_store(output) or output.endswith(PARQUET)


class PartedResults:
    """The results at an address or in a Parquet file. Let one run write to one of them.

    Attributes:
        records: in the order in which they were made.
    """

    def __init__(self, output: str) -> None:
        """Read the results of earlier runs.

        Raises:
            TempoError: the filesystem cannot be used, or OUTPUT holds something else.
        """
        self.output = output
        if output.endswith(PARQUET):
            _pyarrow(output)  # rather now than after hours
        self._filesystem, self._path = object_stores.opened(output)
        self._parts = f"{self._path}.parts"
        self._count = 0
        self.records: list[dict[str, Any]] = []
        self.read()

    def append(self, record: dict[str, Any]) -> None:
        """Store one RECORD, and return once it is there. Raises TempoError."""
        self._count = max(self._count, len(self.records)) + 1
        self._write(f"{self._parts}/{self._count:08}-{uuid.uuid4().hex}.jsonl", json_line(record))
        self.records.append(record)

    def remove_failures(self) -> None:
        """Remove the records of failed cases. Raises TempoError."""
        self.records = [record for record in self.records if "error" not in record]
        self._join()

    def read(self) -> None:
        """Read what is stored. Raises TempoError."""
        try:
            whole = self._filesystem.cat_file(self._path) if self._filesystem.isfile(self._path) else b""
            names = sorted(self._filesystem.ls(self._parts, detail=False)) if self._has_parts() else []
            lines = [*self._lines(whole), *(self._filesystem.cat_file(name) for name in names)]
        except TempoError:
            raise
        except Exception as error:
            raise TempoError(object_stores.unusable(self.output, error)) from error
        # A run that was killed after it had joined its parts left them beside the whole.
        unique = dict.fromkeys(line.strip() for line in lines)
        records = [parsed_record(line) for line in unique if line]
        if None in records:
            raise TempoError(self._not_ours())
        self.records = [record for record in records if record is not None]

    def close(self) -> None:
        """Join the parts into one file. Raises TempoError."""
        try:
            parts = self._has_parts()
        except Exception as error:
            raise TempoError(object_stores.unusable(self.output, error)) from error
        if parts:
            self._join()

    def _has_parts(self) -> bool:
        return bool(self._filesystem.isdir(self._parts))

    def _lines(self, whole: bytes) -> list[bytes]:
        if not self.output.endswith(PARQUET) or not whole:
            return whole.split(b"\n")
        parquet = _pyarrow(self.output)
        try:
            table = parquet.read_table(io.BytesIO(whole), columns=["result"])
        except Exception as error:
            raise TempoError(self._not_ours()) from error
        return [text.encode() for text in table["result"].to_pylist()]

    def _join(self) -> None:
        """Write all records into one file, then remove the parts."""
        lines = [json_line(record) for record in self.records]
        data = b"".join(lines)
        if self.output.endswith(PARQUET):
            data = _as_parquet(self.output, self.records, lines)
        self._write(self._path, data)
        try:
            if self._has_parts():
                self._filesystem.rm(self._parts, recursive=True)
        except Exception as error:
            raise TempoError(object_stores.unusable(self.output, error)) from error

    def _not_ours(self) -> str:
        shown = object_stores.without_password(self.output)
        return f"{shown}: not results of a batch run; choose another --output"

    def _write(self, path: str, data: bytes) -> None:
        """Write a file whole. Object stores show it only then; elsewhere it gets its name at the end."""
        try:
            self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._filesystem.transaction, self._filesystem.open(path, "wb") as file:
                file.write(data)
        except Exception as error:
            raise TempoError(object_stores.unusable(self.output, error)) from error


def _as_parquet(output: str, records: list[dict[str, Any]], lines: list[bytes]) -> bytes:
    """A Parquet file with a row for each record."""
    parquet = _pyarrow(output)
    from pyarrow import table

    columns: dict[str, list[str | None]] = {
        name: [None if record.get(name) is None else _text(record[name]) for record in records]
        for name in COLUMNS
    }
    columns["result"] = [line.decode().strip() for line in lines]
    written = io.BytesIO()
    parquet.write_table(table(columns), written)
    return written.getvalue()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _pyarrow(output: str) -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise TempoError(f"{output}: Parquet needs pyarrow; install it with: pip install pyarrow") from error
    return parquet

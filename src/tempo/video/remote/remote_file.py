"""A file behind an address of the web or of an object store, by byte ranges or by a download."""

from __future__ import annotations

import io
import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, cast

from tempo.errors import TempoError, UsageError
from tempo.storage import hashing
from tempo.storage.object_stores import is_object_store, without_password

from .addresses import Address, parse
from .blocks import BLOCK, Blocks
from .content import check, has_index
from .failures import FetchError, amount, failure
from .object_store import ObjectClient, ObjectResponse
from .transport import (
    PATIENCE,
    REFUSALS,
    Client,
    Response,
)

DEFAULT_LIMIT_GB = 10.0
KEPT_BYTES = 512 << 20  # of what is read by ranges, cached for reading it again
READ_ON = 1 << 20  # bytes that are read and kept rather than skipped with a new request
TRIES, PAUSE = 3, 0.5  # requests for one block, and seconds before the second one
EDGE = 16  # blocks at both ends that are hashed of a file without a version

AnyResponse = Response | ObjectResponse
Progress = Callable[[int, int | None], None]
"""Called with (bytes fetched so far, bytes to fetch; None: the server does not say)."""


class RemoteFile:
    """A file behind an address. Thread-safe.

    Attributes:
        given, address: where it is, as the user wrote it (with a login, if that has one) and parsed.
        size: bytes; None if the server does not say and not all of it is fetched.
        streams: whether parts can be fetched on demand and the file has an index.
        path: of the temporary file with what is fetched of it.
        failure: why a part could not be fetched; None: nothing has failed. Reading ends there, as at the end
            of the file.
    """

    _response: AnyResponse | None = None  # the connection that is open; one at a time

    def __init__(self, given: str) -> None:
        """Request the file and check its first bytes.

        Raises:
            FetchError: the server does not give it.
            TempoError: it is no address, no video, or too large to be downloaded.
        """
        self.given, stored = given, is_object_store(given)
        self.address = Address(given, without_password(given)) if stored else parse(given)
        self.failure: FetchError | None = None
        self._client = ObjectClient(self.address) if stored else Client(self.address)
        self._lock = threading.RLock()
        self._blocks = Blocks(KEPT_BYTES)
        self._latest = (-1, b"")  # the block that was read last
        self._response = self._ask()
        self.size, self._ranged = self._response.size, self._response.ranged
        self._tag, self._modified = self._response.tag, self._response.modified
        self.path = self._blocks.path
        content_type = self._response.content_type
        try:
            if not self._ranged:
                self._check_size(download_limit())
            beginning = self._load(0)
            check(self.address.shown, beginning, content_type)
        except BaseException:
            self._hang_up()
            raise
        self.streams = self._ranged and has_index(beginning)

    def _ask(self) -> AnyResponse:
        """The first response, which shows whether the server supports ranges."""
        try:
            first = self._client.get(0)
        except FetchError as error:
            if error.status not in REFUSALS:
                raise
            return self._client.get(None)
        if first.partial and not (first.ranged and first.start == 0):
            return self._again(first)
        if first.ranged or not first.names_ranges or not first.size:
            return first
        # The whole file is a valid answer to a range that begins at 0.
        first.close()
        try:
            second = self._client.get(1)
        except FetchError:
            return self._client.get(None)
        if not second.ranged or second.start != 1:
            return second if second.start == 0 else self._again(second)
        again = self._again(second)
        again.ranged = again.size == second.size
        return again

    def _again(self, instead_of: AnyResponse) -> AnyResponse:
        instead_of.close()  # some servers serve one connection at a time
        return self._client.get(None)

    def download(self, progress: Progress | None = None) -> None:
        """Fetch the rest of the file.

        Raises:
            FetchError: the transfer broke.
            TempoError: it is larger than what may be downloaded, or than the disk has room for.
        """
        limit = download_limit()
        self._check_size(limit)
        self._blocks.capacity = limit
        index = 0
        with self._lock:
            while self.size is None or index * BLOCK < self.size:
                if not self._blocks.has(index):
                    self._load(index)
                    if not self._blocks.has(index) and (self.size is None or index * BLOCK < self.size):
                        raise self._too_large("more than the limit of " + amount(limit), limit)
                index += 1
                if progress is not None:
                    progress(min(index * BLOCK, self.size or index * BLOCK), self.size)
            self._hang_up()

    def _check_size(self, limit: int) -> None:
        if self.size is None:
            return
        if self.size > limit:
            raise self._too_large(f"{amount(self.size)}, and the limit is {amount(limit)}", limit)
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if self.size > free:
            raise TempoError(
                f"{self.address.shown}: has to be downloaded and takes {amount(self.size)}, and {folder} has "
                f"{amount(free)} free; set TMPDIR to a folder with more room"
            )

    def _too_large(self, what: str, limit: int) -> TempoError:
        why = "" if self._ranged else ", because the server does not give parts of it"
        return TempoError(
            f"{self.address.shown}: has to be downloaded{why}, and is too large: {what}; raise "
            f"TEMPO_MAX_DOWNLOAD_GB ({limit / 1e9:g})"
        )

    def reader(self) -> BinaryIO:
        """A file object of its own, at the beginning."""
        return cast(BinaryIO, RemoteReader(self))

    def read_at(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on, within one block; none at the end and after a failure."""
        with self._lock:
            if count <= 0 or (self.size is not None and offset >= self.size):
                return b""
            index, within = divmod(offset, BLOCK)
            if self._latest[0] != index:
                data = self._blocks.get(index) or self._load_or_fail(index)
                if not data:
                    return b""
                self._latest = (index, data)
            return self._latest[1][within : within + count]

    def _load_or_fail(self, index: int) -> bytes:
        if self.failure is None:
            try:
                return self._load(index)
            except FetchError as error:
                self.failure = error
        return b""

    def try_again(self) -> None:
        """Forget a failure that may have passed."""
        if self.failure is not None and not self.failure.changed:
            self.failure = None

    def fingerprint(self) -> str:
        """Hash for cache keys: of the name that the server gives to this version, else of both ends."""
        if self._tag or self._modified:
            return hashing.of_values(self.address.url, self.size, self._tag, self._modified)
        assert self.size is not None
        last = (self.size - 1) // BLOCK
        edges = sorted({*range(min(EDGE, last + 1)), *range(max(0, last + 1 - EDGE), last + 1)})
        parts = [self.read_at(index * BLOCK, BLOCK) for index in edges]
        return hashing.of_values(self.address.url, self.size, b"".join(parts))

    def _load(self, index: int) -> bytes:
        """Fetch a block. Raises FetchError."""
        with self._lock:
            for attempt in range(1, TRIES + 1):
                try:
                    data = self._fetch(index * BLOCK)
                    self._keep(index, data)
                    return data
                except FetchError as error:
                    self._hang_up()
                    if not self._ranged or not error.passing or attempt == TRIES:
                        raise
                    time.sleep(PAUSE * attempt)
        raise AssertionError

    def _fetch(self, offset: int) -> bytes:
        """The block at `offset`; shorter only at the end of the file, which may be found by it."""
        want = BLOCK if self.size is None else min(BLOCK, self.size - offset)
        data = b""
        while len(data) < want:
            more = self._response_at(offset + len(data)).read(want - len(data))
            if not more:
                if self.size is not None:
                    raise failure(self.address, ConnectionResetError(), patience=PATIENCE)
                self.size = offset + len(data)
                break
            data += more
        if self._response is not None and self._response.position == self._response.end:
            self._hang_up()
        return data

    def _response_at(self, position: int) -> AnyResponse:
        """A response that continues at `position`; one that is a little before it is read up to there."""
        response = self._response
        if (
            response is None
            or not 0 <= position - response.position <= READ_ON
            or (response.end is not None and position >= response.end)
        ):
            self._hang_up()
            response = self._response = self._connect(position)
        while response.position < position:
            index, within = divmod(response.position, BLOCK)
            data = response.read(min(BLOCK - within, position - response.position))
            if not data:
                raise failure(self.address, ConnectionResetError(), patience=PATIENCE)
            if len(data) == BLOCK:
                self._keep(index, data)
        return response

    def _connect(self, position: int) -> AnyResponse:
        name = self.address.shown
        if not self._ranged:
            raise failure(self.address, ConnectionResetError(), patience=PATIENCE)
        response = self._client.get(position)
        wrong = None
        if response.size is None or response.start > position:
            wrong = FetchError(f"{name}: the server does not give parts of the file any more; start again")
        elif (
            response.size != self.size
            or (response.tag and self._tag and response.tag != self._tag)
            or (response.modified and self._modified and response.modified != self._modified)
        ):
            wrong = FetchError(f"{name}: the file has changed while it was read; start again", changed=True)
        if wrong is not None:
            response.close()
            raise wrong
        return response

    def _keep(self, index: int, data: bytes) -> None:
        try:
            self._blocks.put(index, data)
        except OSError as error:
            if not self._ranged:
                raise TempoError(
                    f"{self.address.shown}: cannot be downloaded to {tempfile.gettempdir()} "
                    f"({error.strerror}); set TMPDIR to a folder with more room"
                ) from error
            self._blocks.capacity = 0  # it can be fetched again

    def __del__(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class RemoteReader(io.RawIOBase):
    """A file object over a remote file, with a position of its own."""

    def __init__(self, file: RemoteFile) -> None:
        super().__init__()
        self._file = file
        self._position = 0
        self.name = f"video{file.address.suffix}"  # FFmpeg recognises some formats by its ending

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place; see :meth:`io.IOBase.seek`."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size or 0}[whence]
        self._position = max(0, begin + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`; less only at the end."""
        filled = 0
        while filled < len(buffer):
            data = self._file.read_at(self._position, len(buffer) - filled)
            if not data:
                break
            buffer[filled : filled + len(data)] = data
            filled += len(data)
            self._position += len(data)
        return filled


def download_limit() -> int:
    """Bytes that may be downloaded of one file: `$TEMPO_MAX_DOWNLOAD_GB`, else 10 GB. Raises UsageError."""
    given = os.environ.get("TEMPO_MAX_DOWNLOAD_GB", str(DEFAULT_LIMIT_GB))
    try:
        limit = float(given)
    except ValueError:
        limit = math.nan
    if not (math.isfinite(limit) and limit >= 0):
        raise UsageError(f"TEMPO_MAX_DOWNLOAD_GB={given!r} is not a number of gigabytes")
    return int(limit * 1e9)

"""Finding the video of a request, wherever it is: an address, a data URL, frames, a file that was sent."""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tempo.errors import TempoError
from tempo.video.video import Video

from .api_errors import ApiError, without_path
from .fetched_files import FetchedFiles, local_file
from .messages import Asked
from .sent_frames import SentFrames
from .uploads import Uploads, too_large

_FRAMES = ("data:video/jpeg;base64,", "data:video/png;base64,")
_MOST_FINGERPRINTS = 10_000
_MOST_NAMES = 1000


class Fingerprints:
    """Hashes of contents by what tells that a file has not changed. The oldest are forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path, compute: Callable[[], str]) -> str:
        """The hash of a file; `compute` is called where it is not known."""
        stat = path.stat()
        identity = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        with self._lock:
            if (known := self._known.get(identity)) is not None:
                self._known.move_to_end(identity)
                return known
        found = compute()
        with self._lock:
            self._known[identity] = found
            while len(self._known) > _MOST_FINGERPRINTS:
                self._known.popitem(last=False)
        return found


class MediaFile:
    """A file of a request. Whether it can be read as a video shows when it is seen for the first time.

    Args:
        name: what the client calls it.
    """

    def __init__(self, path: Path, name: str, fingerprints: Fingerprints) -> None:
        self.path, self.name = path, name
        self._opened: Video | None = None
        try:
            self.fingerprint = fingerprints.of(path, lambda: self.open().fingerprint)
        except OSError as error:
            raise ApiError(422, f"{name}: cannot be read ({error.strerror}); send it again") from error

    @property
    def is_gone(self) -> bool:
        """Whether the file was removed."""
        return not self.path.exists()

    def open(self) -> Video:
        """Raises ApiError: it cannot be read as a video."""
        if self._opened is None:
            try:
                self._opened = Video.open(self.path)
            except TempoError as error:
                reason = without_path(str(error))
                raise ApiError(422, f"{self.name}: cannot be read as a video ({reason})") from error
        return self._opened


class _SentFile(NamedTuple):
    """A file that was sent under a name: where it is, and what the client calls it. It is not held open."""

    path: Path
    name: str


class Media:
    """Finds videos within the server's limits.

    Args:
        allowed: the folder beneath which ``file://`` may be opened; None: nowhere.
    """

    def __init__(
        self, uploads: Uploads, fetched: FetchedFiles, *, allowed: Path | None, limit_bytes: int
    ) -> None:
        self.uploads, self.fetched = uploads, fetched
        self.allowed, self.limit_bytes = allowed, limit_bytes
        self._fingerprints = Fingerprints()
        self._by_uuid: OrderedDict[str, _SentFile | SentFrames] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, asked: Asked, gone: Callable[[], bool]) -> MediaFile | SentFrames:
        """Find it, and fetch it where it is elsewhere. What was watched before is not opened again.

        Raises:
            ApiError: it may not be opened, cannot be fetched or cannot be read, or no video was sent as this
                `uuid`.
        """
        if not asked.media:
            return self._sent_before(str(asked.uuid))
        found = self._find(asked, gone)
        if asked.uuid is not None:
            with self._lock:  # another video under a name that is known takes its place
                self._by_uuid.pop(asked.uuid, None)
                self._by_uuid[asked.uuid] = (
                    found.without_content()
                    if isinstance(found, SentFrames)
                    else _SentFile(found.path, found.name)
                )
                while len(self._by_uuid) > _MOST_NAMES:
                    self._by_uuid.popitem(last=False)
        return found

    def _sent_before(self, uuid: str) -> MediaFile | SentFrames:
        with self._lock:
            found = self._by_uuid.get(uuid)
        if found is None or (isinstance(found, _SentFile) and not found.path.exists()):
            raise ApiError(422, f"no video was sent as {uuid!r}, or it is gone; send it again", param="uuid")
        return MediaFile(*found, self._fingerprints) if isinstance(found, _SentFile) else found

    def _find(self, asked: Asked, gone: Callable[[], bool]) -> MediaFile | SentFrames:
        scheme, colon, rest = asked.media[0].partition(":")
        first = f"{scheme.lower()}{colon}{rest}"
        if len(asked.media) > 1:
            return SentFrames([self._content(url) for url in asked.media], asked)
        for beginning in _FRAMES:
            if first.startswith(beginning):
                return SentFrames([decoded(one) for one in first.removeprefix(beginning).split(",")], asked)
        shown = first if len(first) < 200 and not first.startswith("data:") else "the video"
        return MediaFile(self._path(first, gone), shown, self._fingerprints)

    def _content(self, address: str) -> bytes:
        """Raises ApiError: a frame among others has to be in the request."""
        if not address.startswith("data:image/"):
            raise ApiError(400, "send frames as data:image/jpeg;base64,… or data:image/png;base64,…")
        return decoded(_base64_of(address))

    def _path(self, address: str, gone: Callable[[], bool]) -> Path:
        scheme, _, rest = address.partition(":")
        if scheme == "file-id":
            return self.uploads.get(rest).path
        if scheme == "file":
            return local_file(address, self.allowed)
        if scheme == "data":
            return self._written(address)
        if scheme in ("http", "https"):
            return self.fetched.get(address, gone)
        raise ApiError(400, "give the video as http(s), data: or file:// address, or send it to /v1/files")

    def _written(self, address: str) -> Path:
        """The bytes of a data URL in a file that is named by them."""
        content = decoded(_base64_of(address))
        if len(content) > self.limit_bytes:
            raise too_large(self.limit_bytes)
        return self.fetched.keep(f"data:{hashlib.sha256(content).hexdigest()}", content)


def _base64_of(address: str) -> str:
    kind, comma, text = address.partition(",")
    if not comma or not kind.endswith(";base64"):
        raise ApiError(400, "a data: URL must look like data:video/mp4;base64,…")
    return text


def decoded(text: str) -> bytes:
    """Raises ApiError: it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "what stands behind base64, is not base64") from error

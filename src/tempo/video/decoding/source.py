"""Video files as a source of frames.

There are two ways to the same frames. *Planned* picking looks ahead over the packets, which costs next to
nothing beside decoding them, and leaves out what no wanted frame needs (see :mod:`.seek_planner`).
It relies on the container's times and on one shown frame a packet, so it is kept to formats where these hold.
*Plain* picking decodes every frame and looks at the times that come out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from tempo.errors import TempoError
from tempo.storage import hashing
from tempo.video.frames import Losses, Picked, Size
from tempo.video.remote import RemoteFile

from .container import VideoFile
from .conversion import Converter
from .demuxer import DamageError
from .packet_reader import JumpError
from .seek_planner import UnplannableError
from .selective import Planned
from .sequential import Plain


class FileSource:
    """The frames of a video file; see :class:`tempo.video.frames.Source`."""

    kind: Literal["video", "image"] = "video"
    resample: Literal["any", "thin", "never"] = "any"

    def __init__(
        self, path: str, *, remote: RemoteFile | None = None, file_format: str | None = None
    ) -> None:
        """Raises TempoError when this is not a video, not one frame of it can be decoded, or what that takes
        cannot be fetched."""
        try:
            self.file = VideoFile(path, remote=remote, file_format=file_format)
        except TempoError:
            if remote is not None and remote.failure is not None:
                raise remote.failure from None
            raise
        if remote is not None and remote.failure is not None:
            raise remote.failure  # what the file was found to be may be wrong
        self.size = self.file.size
        self.start, self.end = self.file.start, self.file.end
        self.frame_rate, self.frame_count = self.file.rate, self.file.frame_count
        self.generated = self.file.generated
        self.remarks = self.file.remarks

    def fingerprint(self) -> str:
        if self.file.remote is not None:
            return self.file.remote.fingerprint()
        return hashing.of_file(self.file.path)

    def pick(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[Picked]:
        found = pick(self.file, times, size=size, stop=stop, losses=losses)
        remote = self.file.remote
        return found if remote is None else _as_far_as_fetched(found, remote, self.file, times, losses)


def _as_far_as_fetched(
    found: Iterator[Picked], remote: RemoteFile, file: VideoFile, times: np.ndarray, losses: Losses
) -> Iterator[Picked]:
    """What is found until the connection breaks; the rest is lost.

    Raises FetchError where nothing came, or something else than before.
    """
    remote.try_again()
    last: Picked | None = None
    try:
        for last in found:
            yield last
    except TempoError:
        if remote.failure is None:
            raise
    if remote.failure is None:
        return
    if remote.failure.changed or last is None:
        raise remote.failure
    fresh_until = last.time + 2 * file.interval  # behind that, what is shown has only stayed on screen
    if last.moment < len(times) - 1 or times[last.moment] > fresh_until:
        losses.add(last.time + file.interval, file.end, remote.failure.reason)
    losses.explain(remote.failure.reason, after=last.time)  # and not that the file is cut short


def pick(
    file: VideoFile, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
) -> Iterator[Picked]:
    """The frame on screen at each of `times`; see :meth:`tempo.video.frames.Source.pick`.

    Begins in the quickest way and falls back to more careful ones from where it had got to.
    """
    convert = Converter(size or file.size, file.appearance)
    done = 0  # moments that have been dealt with
    jumps, careful, planned = True, False, file.plannable
    while True:
        way: Iterable[Picked]
        if planned:
            way = Planned(file, times, convert, stop, losses, first=done, jumps=jumps, careful=careful)
        else:
            way = Plain(file, times, convert, stop, losses, first=done, careful=careful)
        try:
            for picked in way:
                done = picked.moment + 1
                yield picked
            return
        except UnplannableError:
            planned = False
        except JumpError:
            # Without jumps a frame can only be missing where the plan was wrong.
            jumps, planned = False, jumps
        except DamageError:
            careful = True

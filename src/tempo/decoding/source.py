"""Video files as a source of frames.

There are two ways to the same frames. *Planned* picking looks ahead over the packets, which costs next to
nothing beside decoding them, and leaves out what no wanted frame needs (see :mod:`tempo.decoding.planning`).
It relies on the container's times and on one shown frame a packet, so it is kept to formats where these hold.
*Plain* picking decodes every frame and looks at the times that come out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from .. import fingerprints
from ..frames import Losses, Picked, Size
from .conversion import Converter
from .demuxer import DamageError
from .files import VideoFile
from .plain import Plain
from .planned import Planned
from .planning import UnplannableError
from .reading import JumpError


class FileSource:
    """The frames of a video file; see :class:`tempo.frames.Source`."""

    kind: Literal["video", "image"] = "video"
    resample: Literal["any", "thin", "never"] = "any"

    def __init__(self, path: str, *, remote: bool = False, file_format: str | None = None) -> None:
        """Raises TempoError when this is not a video or not one frame of it can be decoded."""
        self._file = VideoFile(path, remote=remote, file_format=file_format)
        self.size = self._file.size
        self.start, self.end = self._file.start, self._file.end
        self.frame_rate, self.frame_count = self._file.rate, self._file.frame_count
        self.generated = self._file.generated
        self.remarks = self._file.remarks

    def fingerprint(self) -> str:
        if self._file.remote:
            return fingerprints.of_words(self._file.path, self.size, self.start, self.end, self.frame_count)
        return fingerprints.of_file(self._file.path)

    def pick(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[Picked]:
        return pick(self._file, times, size=size, stop=stop, losses=losses)


def pick(
    file: VideoFile, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
) -> Iterator[Picked]:
    """The frame on screen at each of `times`; see :meth:`tempo.frames.Source.pick`.

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

"""Video files as a source of frames: chooses between decoders that give the same frames.

The *selective* decoder looks ahead over the packets, which costs next to nothing beside decoding them, and
leaves out what no sampled frame needs (see :mod:`.seek_planner`). It relies on the container's times and on
one displayed frame a packet, so it is used for formats where these hold. The *parallel* decoder does the same
with several decoders at once. The *sequential* decoder decodes every frame and goes by the times that come
out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from tempo.errors import TempoError
from tempo.storage import hashing
from tempo.video.frames import Losses, SampledFrame, Size
from tempo.video.remote import RemoteFile
from tempo.video.sampling_options import DecodeWorkers

from .container import VideoFile
from .conversion import Converter
from .decode_workers import number_of_workers
from .demuxer import DamageError
from .keyframes import keyframes_around
from .packet_reader import SeekError
from .parallel import ParallelDecoder
from .seek_planner import UnplannableError
from .selective import SelectiveDecoder
from .sequential import SequentialDecoder


class FileSource:
    """The frames of a video file; see :class:`tempo.video.frames.FrameSource`."""

    kind: Literal["video", "image"] = "video"
    resample: Literal["any", "thin", "never"] = "any"
    decode_workers: DecodeWorkers = "auto"

    def __init__(
        self, path: str, *, remote: RemoteFile | None = None, file_format: str | None = None
    ) -> None:
        """Raises TempoError when this is not a video, or not one frame of it can be decoded or fetched."""
        try:
            self.file = VideoFile(path, remote=remote, file_format=file_format)
        except TempoError:
            if remote is not None and remote.failure is not None:
                raise remote.failure from None
            raise
        if remote is not None and remote.failure is not None:
            raise remote.failure  # what was read of the file may be wrong
        self.size = self.file.size
        self.start, self.end = self.file.start, self.file.end
        self.frame_rate, self.frame_count = self.file.rate, self.file.frame_count
        self.generated = self.file.generated
        self.remarks = self.file.remarks
        self._keyframes: tuple[np.ndarray, np.ndarray] | None = None  # around the times asked for last

    def fingerprint(self) -> str:
        """See :meth:`tempo.video.frames.FrameSource.fingerprint`."""
        if self.file.remote is not None:
            return self.file.remote.fingerprint()
        return hashing.of_file(self.file.path)

    def keyframes_around(self, times: np.ndarray) -> np.ndarray:
        """When keyframes appear near `times`; see :func:`.keyframes.keyframes_around`."""
        if self._keyframes is None or not np.array_equal(times, self._keyframes[0]):
            self._keyframes = times, keyframes_around(self.file, times)
        return self._keyframes[1]

    def frames_at(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[SampledFrame]:
        """See :meth:`tempo.video.frames.FrameSource.frames_at`."""
        frames = decode(
            self.file,
            times,
            convert=Converter(size or self.size, self.file.appearance),
            stop=stop,
            losses=losses,
            workers=number_of_workers(self.decode_workers, self.file, times),
        )
        remote = self.file.remote
        return frames if remote is None else _until_disconnected(frames, remote, self.file, times, losses)


def _until_disconnected(
    frames: Iterator[SampledFrame], remote: RemoteFile, file: VideoFile, times: np.ndarray, losses: Losses
) -> Iterator[SampledFrame]:
    """Yield the frames until the connection breaks, and count the rest as lost.

    Raises FetchError where no frame came, or the file has changed on the server.
    """
    remote.try_again()
    last: SampledFrame | None = None
    try:
        for last in frames:
            yield last
    except TempoError:
        if remote.failure is None:
            raise
    if remote.failure is None:
        return
    if remote.failure.changed or last is None:
        raise remote.failure
    fresh_until = last.time + 2 * file.interval  # later samples only show it because it stayed on screen
    if last.sample_index < len(times) - 1 or times[last.sample_index] > fresh_until:
        losses.add(last.time + file.interval, file.end, remote.failure.reason)
    losses.explain(remote.failure.reason, after=last.time)  # and not that the file is cut short


def decode(
    file: VideoFile,
    times: np.ndarray,
    *,
    convert: Converter,
    stop: threading.Event,
    losses: Losses,
    workers: int,
) -> Iterator[SampledFrame]:
    """The frame on screen at each of `times`; see :meth:`tempo.video.frames.FrameSource.frames_at`.

    Begins with the quickest decoder and falls back to more robust ones, each from where the last one stopped.
    """
    done = 0  # samples that have been dealt with
    seeks, error_tolerant, selective = True, False, file.plannable
    while True:
        decoder: Iterable[SampledFrame]
        is_parallel = selective and workers > 1
        if is_parallel:
            decoder = ParallelDecoder(file, times, convert, stop, losses, first=done, workers=workers)
        elif selective:
            decoder = SelectiveDecoder(
                file, times, convert, stop, losses, first=done, seeks=seeks, error_tolerant=error_tolerant
            )
        else:
            decoder = SequentialDecoder(
                file, times, convert, stop, losses, first=done, error_tolerant=error_tolerant
            )
        try:
            for frame in decoder:
                done = frame.sample_index + 1
                yield frame
            return
        except (UnplannableError, SeekError, DamageError) as error:
            if is_parallel:
                workers = 1  # what one decoder makes of it counts
            elif isinstance(error, UnplannableError):
                selective = False
            elif isinstance(error, SeekError):
                # Without seeks, a frame can only be missing because the plan was wrong.
                seeks, selective = False, seeks
            else:
                error_tolerant = True

"""`Video`: opens files, addresses, folders of images, images and arrays, and streams their frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import numpy as np

from tempo.errors import TempoError, UsageError
from tempo.formatting import clock
from tempo.markup import fact_table, film_strip
from tempo.number_checks import SLOWEST, is_number, shown
from tempo.storage.object_stores import is_object_store
from tempo.video.decoding.container import VideoFile
from tempo.video.images.image_files import is_image
from tempo.video.images.image_sources import (
    FOLDER_RATE,
    AnimatedImage,
    FrameArray,
    ImageFolder,
)

from . import sampling as _sampling
from .decoded_frames import DecodedFrames
from .decoding import FileSource
from .frames import (
    Damage,
    FrameBatch,
    FrameSource,
    Size,
)
from .images import mjpeg
from .path_checks import as_text, check_readable
from .remote import (
    Progress,
    RemoteFile,
    scheme_of,
    without_login,
)
from .sampling import Sampling
from .sampling_options import DecodeWorkers, SamplingMode, check_decode_workers

__all__ = ["Damage", "FrameBatch", "Sampling", "Video"]

MOST_RECORDED = 1e6  # frames a second, by a camera for experiments
# Decoded frames that may wait for whoever reads them, and for one that is not there yet, at most.
AHEAD_BYTES, LONG_AHEAD_BYTES = 32 << 20, 256 << 20


class Video:
    """A video or an image: its metadata, and its frames as a stream of batches.

    Attributes:
        path: the file, folder or address that it was opened from; None for an array.
        kind: "video", or "image" for a single still picture (one frame at time 0, duration 0).
        duration: seconds from time 0, which is what a player shows as 0, to the end of the last frame.
        width, height: of the upright picture in pixels.
        frame_rate: frames per second on average, None where that says nothing.
        frame_count: number of frames, estimated where the file does not say; None: not known.
        generated: whether tempo generated it, by the file's metadata. Arrays and images have none: set it if
            you know.
        remarks: what was done about times in the file that cannot be taken as they are, a line each.
        damage: what the latest `stream` could not decode; complete once that has ended.
    """

    def __init__(self, source: FrameSource, *, path: str | None) -> None:
        self._source = source
        self._remote: RemoteFile | None = None  # kept open for as long as this video
        self._ahead: DecodedFrames | None = None
        self.path = path
        self.kind: Literal["video", "image"] = source.kind
        self.duration = float(source.end)
        self.width, self.height = source.size
        self.frame_rate = source.frame_rate
        self.frame_count = source.frame_count
        self.generated = isinstance(source, FileSource) and source.generated
        self.remarks: tuple[str, ...] = source.remarks if isinstance(source, FileSource) else ()
        self.damage = Damage()

    @property
    def decode_workers(self) -> DecodeWorkers:
        """How many decoders work on the file at once; "auto": as many as pay for it on this machine.

        The frames do not depend on it. Files that have to be read in order, images and arrays have one.
        Setting it raises UsageError for anything but "auto" or a whole number of at least 1.
        """
        return self._source.decode_workers if isinstance(self._source, FileSource) else 1

    @decode_workers.setter
    def decode_workers(self, value: DecodeWorkers) -> None:
        check_decode_workers(value)
        if isinstance(self._source, FileSource):
            self._source.decode_workers = value

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        frame_rate: float | None = None,
        progress: Progress | None = None,
    ) -> Video:
        """Open a video file, an animated or still image, a folder of images, or an address: http(s), or of an
        object store that fsspec knows, such as ``s3://bucket/film.mp4`` (`pip install s3fs`).

        MP4, MOV, MKV and WebM files behind an address are fetched in parts while they are watched, if the
        server supports ranges. Everything else is downloaded to a temporary file first, of at most
        `$TEMPO_MAX_DOWNLOAD_GB` (10) gigabytes.

        Args:
            path: file, folder or URL.
            frame_rate: images per second of a folder (default 1). Files carry their own times.
            progress: called with (bytes downloaded, bytes to download or None) during a download.

        Raises:
            TempoError: it is missing, empty, damaged from end to end, or holds no pictures; or its address
                cannot be fetched.
            UsageError: `frame_rate` makes no sense.
        """
        path = as_text(path)
        if frame_rate is not None:
            _check_positive("frame_rate", frame_rate)
        scheme = scheme_of(path)
        if scheme in ("http", "https") or is_object_store(path):
            _refuse_frame_rate(path, frame_rate)
            return cls._open_remote(path, progress)
        if scheme == "file":
            path = unquote(urlsplit(path).path)
        elif scheme:
            raise TempoError(
                f"{without_login(path)}: {scheme} addresses are not supported; give a file, a folder, or an "
                "address that begins with http://, https:// or that of an object store (s3://, gs://, az://)"
            )
        if os.path.isdir(path):
            return cls(ImageFolder(path, frame_rate=frame_rate or FOLDER_RATE), path=path)
        check_readable(path)
        _refuse_frame_rate(path, frame_rate)
        return cls(_of_file(path), path=path)

    @classmethod
    def _open_remote(cls, address: str, progress: Progress | None) -> Video:
        remote = RemoteFile(address)
        name = remote.address.shown
        if remote.streams and not is_image(remote.path):
            video = cls(FileSource(name, remote=remote), path=name)
        else:
            remote.download(progress)
            try:
                video = cls(_of_file(remote.path), path=name)
            except TempoError as error:
                raise type(error)(str(error).replace(remote.path, name)) from error
        video._remote = remote
        return video

    @classmethod
    def from_frames(cls, frames: np.ndarray, *, fps: float, times: Sequence[float] | None = None) -> Video:
        """Take frames that are already sampled: uint8 [T, H, W, 3] RGB, frame i shown at i / fps seconds.

        They are used as they are: `sample` ignores its rate, and only `max_frames` thins them.

        Args:
            fps: frames a second, on average where `times` are given.
            times: seconds at which each frame appears, ascending; None: at i / fps.

        Raises:
            UsageError: another type or shape, or times that do not ascend or are not one for each frame.
        """
        _check_positive("fps", fps)
        return cls(FrameArray(frames, fps=float(fps), times=times), path=None)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """For another process: what is behind an address is opened anew there."""
        if self._remote is not None:
            return _opened_again, (self._remote.given, self.decode_workers)
        return object.__new__, (Video,), self.independent().__dict__

    def independent(self) -> Video:
        """The same video, whose streams and damage are its own: for another thread."""
        other = object.__new__(Video)
        other.__dict__ |= self.__dict__ | {"_ahead": None, "damage": Damage()}
        return other

    @property
    def interrupted(self) -> str | None:
        """Why the latest `stream` could not fetch all of the video; None: it did, or did not have to."""
        failure = self._remote.failure if self._remote is not None else None
        return str(failure) if failure is not None else None

    @property
    def file(self) -> VideoFile | None:
        """The video file behind this video; None: it is an image, a folder or an array."""
        return self._source.file if isinstance(self._source, FileSource) else None

    @property
    def frame_bytes(self) -> int:
        """Memory that its frames take where they came as an array; 0: they are read when they are needed."""
        return self._source.nbytes if isinstance(self._source, FrameArray) else 0

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content, for cache keys; of large files, of blocks spread over the length."""
        return self._source.fingerprint()

    def sample(
        self,
        *,
        fps: float = 2.0,
        max_frames: int = 1024,
        min_frames: int = 4,
        start: float | None = None,
        end: float | None = None,
        sampling: SamplingMode = "exact",
    ) -> Sampling:
        """Choose the times to sample: `fps` a second, within the limits.

        Above `max_frames`, or below `min_frames`, they are spread evenly from the first frame to the last.
        Images in a folder are taken once each at most; the frames of an array are all taken.

        Args:
            start: seconds; only what follows is sampled. None: the beginning.
            end: seconds, likewise; None: the end.
            sampling: "exact", or "keyframes" to move a time to the nearest keyframe within half a sampling
                interval, which saves most of the decoding where a video file has one there. Each frame
                carries its own time in either case. Images and arrays are always sampled exactly.

        Raises:
            UsageError: a rate, a count or a mode that can never work, or a part that is not in the video.
        """
        _sampling.check_options(fps=fps, max_frames=max_frames, min_frames=min_frames, sampling=sampling)
        source = self._source
        if source.kind == "image":
            return Sampling(np.zeros(1), float(fps))
        first, last = _sampling.part(start, end, of=(float(source.start), float(source.end)))
        whole = start is None and end is None
        exact = self._sample(first, last, whole, fps=fps, max_frames=max_frames, min_frames=min_frames)
        if sampling == "exact" or not isinstance(source, FileSource):
            return exact
        return _sampling.at_keyframes(exact, source.keyframes_around(exact.times), start=first, end=last)

    def _sample(
        self, first: float, last: float, whole: bool, *, fps: float, max_frames: int, min_frames: int
    ) -> Sampling:
        """The exact times to sample from `first` to `last`, which is the `whole` video or a part of it."""
        source = self._source
        if isinstance(source, FrameArray) and source.times is not None:
            return _sampling.at_given_times(
                source.times, frame_rate=source.fps, max_frames=max_frames, start=first, end=last
            )
        if source.resample == "never":
            assert source.frame_count is not None
            assert source.frame_rate is not None
            return _sampling.every_frame(
                frame_count=source.frame_count,
                frame_rate=source.frame_rate,
                max_frames=max_frames,
                start=first,
                end=last,
            )
        if source.resample == "thin" and source.frame_rate is not None:
            fps = min(fps, source.frame_rate)
        return _sampling.at_rate(
            start=first,
            end=last,
            interval=1.0 / source.frame_rate if source.frame_rate else 0.0,
            frame_count=source.frame_count if whole else _frames_within(last - first, source.frame_rate),
            fps=fps,
            max_frames=max_frames,
            min_frames=min_frames,
        )

    def stream(self, sampling: Sampling, *, chunk: int, size: Size | None = None) -> Iterator[FrameBatch]:
        """Decode the frames of `sampling` in order, `chunk` at a time (the last batch may be smaller).

        Decoding runs in threads, a bounded number of frames ahead. Closing the iterator ends them. Every
        frame is the last one that appears at or before its sampled time and carries its own presentation
        time; a frame that is still on screen at the next sample is repeated with that sample's time.

        Args:
            sampling: what `sample` returned, or any ascending times.
            chunk: frames a batch.
            size: (width, height) to scale to while the frames are converted; None: full size.

        Raises:
            TempoError: nothing at all could be decoded (while iterating). Lesser losses are left in `damage`.
            UsageError: `chunk` or `size` makes no sense.
        """
        if chunk < 1:
            raise UsageError(f"chunk must be at least 1 frame, not {chunk}")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise UsageError(f"size must be (width, height) of at least 1 pixel each, not {size}")
        return self._batches(sampling, chunk, size)

    def _batches(self, sampling: Sampling, chunk: int, size: Size | None) -> Iterator[FrameBatch]:
        self.damage = Damage()
        decoded, self._ahead = self._ahead, None
        if decoded is None or not decoded.are_of(sampling, size):
            self._ahead, decoded = decoded, self._decode(sampling, size, AHEAD_BYTES)
        try:
            yield from decoded.batches(chunk)
        finally:
            self.damage = decoded.damage
        if decoded.is_empty:
            raise TempoError(f"{self.path}: not one frame could be decoded; check that the file is complete")

    def _decode(self, sampling: Sampling, size: Size | None, ahead_bytes: int) -> DecodedFrames:
        width, height = size or (self.width, self.height)
        ahead = max(2, ahead_bytes // (width * height * 3))
        return DecodedFrames(self._source, sampling, size=size, ahead=ahead)

    @contextmanager
    def decoding(self, sampling: Sampling, *, size: Size | None = None) -> Iterator[None]:
        """Decode meanwhile what :meth:`stream` will be asked for, as far as there is memory for it.

        Within the block, a `stream` of the same sampling and size begins with what is decoded already.
        """
        self._ahead = self._decode(sampling, size, LONG_AHEAD_BYTES)
        try:
            yield
        finally:
            if self._ahead is not None:
                self._ahead.close()
                self._ahead = None

    def preview(self, count: int = 6, *, height: int = 90) -> list[tuple[float, np.ndarray]]:
        """COUNT frames spread evenly over the video, small: (time in seconds, uint8 [H, W, 3]) of each.

        Frames that cannot be decoded are left out.
        """
        step = self.duration / count
        times = np.arange(count) * step + step / 2 if self.kind == "video" else np.zeros(1)
        size = (max(1, round(height * self.width / self.height)), height)
        damage = self.damage
        try:
            batches = list(self.stream(Sampling(times, 1 / max(step, 1e-3)), chunk=count, size=size))
        except TempoError:
            return []
        finally:
            self.damage = damage  # of what was watched
        return [
            (float(time), frame)
            for batch in batches
            for time, frame in zip(batch.times, batch.frames, strict=True)
        ]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What it is, as rows of a name and a text."""
        rate = f" · {self.frame_rate:.3g} frames per second" if self.frame_rate else ""
        seconds = "a still image" if self.kind == "image" else f"{clock(self.duration)}{rate}"
        return [
            ("video", without_login(self.path or "frames")),
            ("size", f"{self.width}×{self.height} · {seconds}"),
            *(("remark", remark) for remark in self.remarks),
        ]

    def __repr__(self) -> str:
        return f"Video({self.path!r}, {self.kind}, {self.width}x{self.height}, {self.duration:.3f} s)"

    def _repr_html_(self) -> str:
        return fact_table(self.facts) + film_strip(self.preview())


def _frames_within(seconds: float, frame_rate: float | None) -> int | None:
    return max(1, round(seconds * frame_rate)) if frame_rate else None


def _of_file(path: str) -> FrameSource:
    if is_image(path):
        return AnimatedImage(path)
    # By a name like picture.jpg, FFmpeg would take a stream of pictures for one.
    return FileSource(path, file_format="mjpeg" if mjpeg.is_stream(path) else None)


def _check_positive(name: str, value: float) -> None:
    if not (is_number(value) and SLOWEST <= value <= MOST_RECORDED):
        raise UsageError(
            f"{name} must be a positive number of frames per second, from {SLOWEST:g} to {MOST_RECORDED:g}, "
            f"not {shown(value)}"
        )


def _refuse_frame_rate(path: str, frame_rate: float | None) -> None:
    if frame_rate is not None:
        raise UsageError(f"frame_rate is for folders of images, and {path} is none; leave it out")


def _opened_again(address: str, decode_workers: DecodeWorkers) -> Video:
    video = Video.open(address)
    video.decode_workers = decode_workers
    return video

"""Video files through PyAV: what is in them, and their frames as upright RGB arrays with times."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import av
import av.container
import av.error
import av.video.reformatter
import av.video.stream
import numpy as np

from . import fingerprints
from .errors import TempoError
from .frames import Picked, Size

OPEN_SECONDS, READ_SECONDS = 10.0, 30.0  # patience with a network address
TICKS_PER_SECOND = av.time_base  # of a container's own times
HIGHEST_RATE = 1000.0  # frames per second; what claims more is a clock, not a rate

Losses = list[tuple[float, float]]


class VideoFile:
    """A file (or http(s) address) with a video stream in it."""

    kind: Literal["video", "image"] = "video"
    resample: Literal["any", "thin", "never"] = "any"

    def __init__(self, path: str, *, remote: bool = False) -> None:
        """Read the headers and decode the first frame.

        Raises TempoError when this is not a video, has no pictures, or not one frame of it can be decoded.
        """
        self.path = path
        self.remote = remote
        with self.open() as container:
            stream = video_stream(container, path)
            self.origin = _origin(container, stream)
            first = _first_frame(container, stream, path)
            self._tick = stream.time_base or first.time_base
            self.rate = _rate(stream)
            self.start = self.seconds(first.pts) if first.pts is not None else 0.0
            self.size: Size = upright_size(first)
            end = _end(container, stream, self.origin)
        if end is None:
            end = self._scan_end()
        interval = 1.0 / self.rate if self.rate else 0.0
        self.end = max(end, self.start + interval)
        self.frame_rate = self.rate
        self.frame_count: int | None = stream.frames or None
        if self.frame_count is None and self.rate:
            self.frame_count = max(1, round((self.end - self.start) * self.rate))

    def open(self) -> av.container.InputContainer:
        """Open the container. Raises TempoError."""
        # The prefix keeps a colon or a percent sign in a local name from being read as an address or a pattern.
        name = self.path if self.remote else f"file:{self.path}"
        try:
            return av.open(
                name, timeout=(OPEN_SECONDS, READ_SECONDS) if self.remote else None, metadata_errors="replace"
            )
        except (av.error.FFmpegError, OSError) as error:
            raise _refuse(self.path, self.remote, error) from error

    def fingerprint(self) -> str:
        if self.remote:
            return fingerprints.of_words(self.path, self.size, self.start, self.end, self.frame_count)
        return fingerprints.of_file(self.path)

    def seconds(self, pts: int) -> float:
        """Presentation time in seconds from what a player shows as 0."""
        assert self._tick is not None
        return float(pts * self._tick - self.origin)

    def _scan_end(self) -> float:
        """The end of the last frame, from all packets, for files that do not tell their length."""
        last, count = None, 0
        with self.open() as container:
            stream = video_stream(container, self.path)
            try:
                for packet in container.demux(stream):
                    if packet.size:
                        count += 1
                        if packet.pts is not None:
                            end = packet.pts + (packet.duration or 0)
                            last = end if last is None else max(last, end)
            except av.error.FFmpegError:
                pass  # the frames before the damage count
        if last is not None:
            return self.seconds(last)
        return count / (self.rate or 25.0)

    def pick(
        self, times: np.ndarray, *, size: Size | None, stop: threading.Event, losses: Losses
    ) -> Iterator[Picked]:
        convert = Converter(size or self.size)
        slack = self.slack
        moment = 0
        shown: av.VideoFrame | None = None
        shown_at = 0.0
        array: np.ndarray | None = None
        for frame, time in self._decode_all(stop):
            while moment < len(times) and shown is not None and times[moment] + slack < time:
                if array is None:
                    array = convert(shown)
                yield Picked(moment, array, shown_at)
                moment += 1
            if moment == len(times):
                return
            shown, shown_at, array = frame, time, None
        while moment < len(times) and shown is not None and not stop.is_set():
            if array is None:
                array = convert(shown)
            yield Picked(moment, array, shown_at)
            moment += 1

    @property
    def slack(self) -> float:
        """How far behind a moment a frame may appear and still be the one on screen, seconds.

        Half a tick of the file's clock, which is how far a time is rounded; a millisecond at most.
        """
        assert self._tick is not None
        return min(0.5 * float(self._tick), 1e-3) + 1e-6

    def _decode_all(self, stop: threading.Event) -> Iterator[tuple[av.VideoFrame, float]]:
        with self.open() as container:
            stream = video_stream(container, self.path)
            stream.thread_type = "AUTO"
            for number, frame in enumerate(_frames(container, stream)):
                if stop.is_set():
                    return
                yield (
                    frame,
                    self.seconds(frame.pts) if frame.pts is not None else number / (self.rate or 25.0),
                )


def _frames(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[av.VideoFrame]:
    """Every frame that can be decoded, in the order of presentation."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except av.error.FFmpegError:
            continue
        yield from frames


def video_stream(container: av.container.InputContainer, path: str) -> av.video.stream.VideoStream:
    """The stream that a player would show. Raises TempoError when there is none."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    # Text and other things that libav is able to draw are no videos.
    if not streams or container.format.name == "tty":
        what = "only sound" if container.streams.audio else "no pictures"
        raise TempoError(f"{path}: there is {what} in this file; give one with a video stream")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    assert isinstance(stream, av.video.stream.VideoStream)
    if stream.codec_context is None:
        raise TempoError(f"{path}: its video codec is not supported; convert it to H.264")
    return stream


def _refuse(path: str, remote: bool, error: Exception) -> TempoError:
    reason = getattr(error, "strerror", None) or str(error)
    if remote:
        return TempoError(
            f"{path}: cannot be fetched ({reason}); check the address and the network, or download it"
        )
    if isinstance(error, av.error.InvalidDataError):
        return TempoError(
            f"{path}: not a video, or cut off before its index; check that the file is complete"
        )
    return TempoError(f"{path}: cannot be opened ({reason}); check the file")


def _first_frame(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, path: str
) -> av.VideoFrame:
    for frame in _frames(container, stream):
        if not frame.is_corrupt:
            return frame
    raise TempoError(f"{path}: not one frame of its video can be decoded; check that the file is complete")


def _origin(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> Fraction:
    """What a player shows as 0, in seconds of the file's clock: where its first stream begins."""
    own = stream.start_time * stream.time_base if stream.start_time is not None and stream.time_base else None
    if container.start_time is None:
        return own or Fraction(0)
    origin = Fraction(container.start_time, TICKS_PER_SECOND)
    # Sound that begins before 0 is there to warm its decoder up and is not heard.
    if origin < 0 and own is not None and own >= 0:
        return Fraction(0)
    # The container's time is rounded to microseconds; where it means the video's own start, that one is exact.
    if own is not None and abs(own - origin) < Fraction(1, 100_000):
        return own
    return origin


def _rate(stream: av.video.stream.VideoStream) -> float | None:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < float(rate) <= HIGHEST_RATE:
            return float(rate)
    return None


def _end(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, origin: Fraction
) -> float | None:
    """When the video stream ends, seconds from the origin; None when the file does not say."""
    if stream.duration and stream.time_base:
        return float(
            (stream.start_time or 0) * stream.time_base + stream.duration * stream.time_base - origin
        )
    told = stream.metadata.get("DURATION", "")  # Matroska: how long this one track is, as 00:01:02.345000000
    try:
        hours, minutes, seconds = told.split(":")
        length = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        if math.isfinite(length) and length > 0:
            return length - float(origin)
    except ValueError:
        pass
    if container.duration:
        return (
            container.duration / TICKS_PER_SECOND
            + (container.start_time or 0) / TICKS_PER_SECOND
            - float(origin)
        )
    return None


def upright_size(frame: av.VideoFrame) -> Size:
    """(width, height) after the rotation that the file asks for."""
    return (frame.height, frame.width) if frame.rotation % 180 == 90 else (frame.width, frame.height)


class Converter:
    """Decoded frames → upright RGB of one size. Scaling happens in libswscale while the colours are converted."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._reformatter = av.video.reformatter.VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """uint8 [H, W, 3] of the size given."""
        turns = round(frame.rotation / 90) % 4  # counterclockwise quarters
        width, height = self._size if turns % 2 == 0 else self._size[::-1]
        picture = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation=av.video.reformatter.Interpolation.AREA,
        ).to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture

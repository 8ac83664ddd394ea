"""Video files through PyAV: opening them, and what can be told about them before they are watched."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import av.container
import av.error
import av.stream
import av.video.frame
import av.video.stream
import numpy as np

from tempo.errors import TempoError
from tempo.video.frames import Size
from tempo.video.pixel_limit import check_pixels
from tempo.video.provenance import is_generated
from tempo.video.remote import RemoteFile

from . import ending, extent
from .completeness import Completeness, examine, examine_file
from .concatenated_flv import JoinedFile, inner_headers
from .conversion import Appearance
from .demuxer import (
    DamageError,
    Demuxer,
    Timing,
    is_last,
)
from .edit_list import has_several_edits
from .ending import CONTAINER_TICK, Ending
from .extent import Extent

HIGHEST_RATE = 1000.0  # frames per second; what claims more is a clock, not a rate
USUAL_RATE = 25.0  # frames per second, where neither the file nor its times tell
CUT_OFF = (
    1.0  # seconds without frames at the end of a file that is cut short, at least, that count as missing
)
STAYING = 2.0  # seconds that the last picture stays on screen without anything but the header saying so
PLANNABLE_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
PLANNABLE_CODECS = frozenset({"h264", "hevc", "vp9", "av1", "libdav1d", "mjpeg", "prores"})
EXACT_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2"})  # packets know how long their pictures are shown
# They pass over what they cannot read without a word, and have next to no bytes of their own between packets.
LEAPING_FORMATS = frozenset({"matroska,webm", "avi", "flv"})
RESTARTING_FORMATS = frozenset({"mpegts", "mpeg", "flv", "asf", "ogg"})  # can be joined byte by byte
NO_TIMESTAMPS = 0x80  # libavformat's AVFMT_NOTIMESTAMPS: a stream without a container
SKIPPING_CODECS = frozenset({"h264", "hevc"})  # can be told packet by packet to leave out unreferenced frames


class VideoFile:
    """A file or an http(s) address with a video stream in it.

    Attributes:
        path: where it is, for messages.
        remote: what it is read from where that is an address; None: the path.
        file_format: FFmpeg's name of the format, for files whose name would mislead it; None: it finds out.
        appearance: how its first picture is shown, and with it all others.
        size: (width, height) of the upright picture in square pixels.
        start, end: when the first frame appears and the last one goes, in seconds from what a player shows as
        0.
        first_pts: presentation time of the first frame on the file's clock.
        rate: frames per second on average, None where that is not known.
        interval: seconds between frames on average.
        frame_count: told by the file, or estimated from its length and rate.
        plannable: whether the packets' times can be relied on and every packet shows one frame.
        timing: what the times in the container are good for.
        leaps: whether the container passes over damage without a word.
        can_skip: whether the decoder can leave out frames that no other refers to.
        ticks_per_frame: length of a frame on the file's clock.
        bytes_per_tick: of the whole file, on average.
        remarks: what was done about times that could not be taken as they are, a line each.
        generated: whether its metadata says that tempo generated it.
    """

    def __init__(
        self, path: str, *, remote: RemoteFile | None = None, file_format: str | None = None
    ) -> None:
        """Read the headers and decode the first frame.

        Raises TempoError when this is not a video, has no pictures, or not one frame of it can be decoded.
        """
        self.path = path
        self.remote = remote
        self.file_format = file_format
        self._inner_headers: tuple[int, ...] = ()  # of recordings that were joined
        with self.open() as container:
            stream = self.stream_of(container)
            check_pixels(path, (stream.codec_context.width, stream.codec_context.height))
            first = _first_frame(container, stream, path)
            self._tick = stream.time_base or first.time_base or Fraction(1, 1000)
            self.first_pts = first.pts or 0
            self.rate = _rate(stream)
            self.generated = is_generated(container.metadata, stream.metadata)
            self.appearance = Appearance.of(stream, first)
            self.size: Size = self.appearance.size
            self.timing = _timing(container, stream, edited=self._is_edited())
            origin = _origin(container, stream)
            if self.timing != "order":
                # libavformat does not know every beginning, and in some files takes that of the first packet
                # for it, which pictures of later packets precede.
                appears = self.first_pts * self._tick
                origin = appears if origin is None else min(origin, appears)
            self._origin = origin or Fraction(0)
            self.plannable = (
                first.pts is not None
                and self.timing == "presentation"
                and container.format.name in PLANNABLE_FORMATS
                and stream.codec_context.name in PLANNABLE_CODECS
            )
            self.can_skip = stream.codec_context.name in SKIPPING_CODECS
            size_in_bytes = max(0, container.size)
            self.frame_count: int | None = stream.frames or None
            self.interval = 1.0 / (self.rate or USUAL_RATE)
            self.ticks_per_frame = max(1, round(self.interval / float(self._tick)))
            structure = examine(path) if remote is None else examine_file(remote.reader())
            self.leaps = container.format.name in LEAPING_FORMATS or structure.patchy
            self._seen = self._look(container, stream, structure)
            self.start = self.seconds(0 if self.slots is not None else self.first_pts)
            self._ending = self._decide_ending(container, stream, structure, size_in_bytes)
        self.end = max(self._ending.end, self.start + self.interval)
        if not self.plannable and self._seen is not None:
            self.frame_count = self._seen.pictures
        if self.frame_count is None and self.rate:
            self.frame_count = max(1, round((self.end - self.start) * self.rate))
        self.bytes_per_tick = size_in_bytes / (self.end - self.start) * float(self._tick)

    def _is_edited(self) -> bool:
        with open(self.path, "rb") if self.remote is None else self.remote.reader() as file:
            return has_several_edits(file)

    def _look(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        structure: Completeness,
    ) -> Extent | None:
        """What the packets say about the end; None where it cannot be read."""
        if self.plannable:
            if structure.cut_short:
                return None
            try:
                tail = extent.of_tail(container, stream, ticks_per_frame=self.ticks_per_frame)
            except DamageError:
                return None
            if tail is not None:
                return tail
        return self._scan()

    def _scan(self) -> Extent | None:
        """What all packets say; reads the whole file."""
        with self.open() as container:
            stream = self.stream_of(container)
            demuxer = self.demuxer(container, stream, forgiving=True, to_the_end_of_all=True)
            seen = extent.of_all(demuxer, ticks_per_frame=self.ticks_per_frame)
            if (
                self.remote
                or self._inner_headers
                or seen is None
                or ending.unread_ratio(container, seen) == 1
            ):
                return seen
        self._inner_headers = inner_headers(self.path)
        return self._scan() if self._inner_headers else seen

    def _decide_ending(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        structure: Completeness,
        size: int,
    ) -> Ending:
        seen, own = self._seen, ending.own_end(stream)
        if seen is None or seen.failed or structure.cut_short:
            told = own if own is not None else ending.end_of_all(container)
            return ending.of_headers(
                seen, structure, tick=self._tick, origin=self._origin, told=told, size=size
            )
        return ending.of_packets(
            seen,
            tick=self._tick,
            origin=self._origin,
            start=self.start,
            own=None if container.format.name in EXACT_FORMATS else own,
            unread=1.0 if self._inner_headers else ending.unread_ratio(container, seen),
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was done about times that could not be taken as they are; see the class."""
        if self._seen is None:
            return ()
        lines = [
            f"the file's clock jumps {'ahead' if jump.seconds > 0 else 'back'} by {abs(jump.seconds):.1f} s "
            f"at {jump.at - float(self._origin):.1f} s; the jump is taken out"
            for jump in self._seen.jumps
        ]
        if self.timing == "order":
            lines.append("the file has no presentation times; pictures are shown in the decoder's order")
        if self._inner_headers:
            count = len(self._inner_headers) + 1
            lines.append(f"the file holds {count} recordings, one behind the other; they are watched as one")
        return tuple(lines)

    @property
    def keeps_time(self) -> bool:
        """Whether the times in the file are those at which its pictures are shown, up to an offset."""
        jumps = self._seen.jumps if self._seen is not None else ()
        return self.timing in ("presentation", "continuous") and not jumps and not self._inner_headers

    @property
    def slots(self) -> np.ndarray | None:
        """int64: the times at which pictures are shown that carry none of their own."""
        return self._seen.slots if self._seen is not None else None

    def demuxer(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        *,
        forgiving: bool,
        to_the_end_of_all: bool = False,
    ) -> Demuxer:
        """What reads the packets of `stream`; see :class:`.demuxer.Demuxer`."""
        return Demuxer(
            container,
            stream,
            timing=self.timing,
            counts_bytes=self.leaps,
            forgiving=forgiving,
            to_the_end_of_all=to_the_end_of_all,
        )

    def open(self) -> av.container.InputContainer:
        """Open the container. Raises TempoError."""
        try:
            if self._inner_headers:
                return av.open(JoinedFile(self.path, self._inner_headers), mode="r")
            if self.remote is not None:
                # No protocol at all: what a container names is not fetched.
                return av.open(
                    self.remote.reader(), "r", options={"protocol_whitelist": ""}, metadata_errors="replace"
                )
            # The prefix keeps a colon or a percent sign in a name from being read as an address or a pattern.
            return av.open(f"file:{self.path}", format=self.file_format, metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            raise _refuse(self.path, error) from error

    def stream_of(self, container: av.container.InputContainer) -> av.video.stream.VideoStream:
        """The stream that a player would show. Raises TempoError when there is none that can be decoded."""
        streams = [
            s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic
        ]
        # Text, which libav is able to draw, is no video.
        if not streams or container.format.name == "tty":
            what = "only sound" if container.streams.audio else "no video"
            raise TempoError(f"{self.path}: there is {what} in this file; give one with a video stream")
        best = container.streams.best("video")
        stream = next((s for s in streams if s is best), streams[0])
        if stream.codec_context is None:
            raise TempoError(f"{self.path}: its video codec is not supported; convert the file to H.264")
        return stream

    def seconds(self, pts: int) -> float:
        """Presentation time in seconds from what a player shows as 0."""
        if self.slots is not None:
            pts = int(self.slots[min(pts, len(self.slots) - 1)])
        return float(pts * self._tick - self._origin)

    @property
    def slack(self) -> float:
        """How far behind a moment a frame may appear and still be the one on screen, seconds.

        Half a tick of the file's clock, which is how far a time is rounded; a millisecond at most.
        """
        return min(0.5 * float(self._tick), 1e-3) + 1e-6

    def limits(self, times: np.ndarray) -> list[int]:
        """For every moment the greatest pts that counts as reached by then, the first frame's at least."""
        ticks = np.floor((times + self.slack + float(self._origin)) / float(self._tick)).astype(np.int64)
        limits: list[int] = np.maximum(ticks, self.first_pts).tolist()
        return limits

    def is_cut_off(self, last: float | None, end: float) -> bool:
        """Whether pictures are missing behind the last one that was seen; see :class:`.ending.Ending`."""
        return self._ending.is_cut_off(last, end, interval=self.interval)


def _first_frame(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, path: str
) -> av.video.frame.VideoFrame:
    for frame in _frames(container, stream):
        if not frame.is_corrupt:
            return frame
    raise TempoError(f"{path}: not one frame of this video can be decoded; check that the file is complete")


def _frames(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[av.video.frame.VideoFrame]:
    """Every frame that can be decoded, in the order of presentation."""
    packets = container.demux(stream)
    last = False
    while not last:
        try:
            packet = next(packets)
            last = is_last(packet)
            frames = packet.decode()
        except StopIteration:
            return
        except av.error.FFmpegError:
            continue
        yield from frames


def _refuse(path: str, error: Exception) -> TempoError:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return TempoError(
            f"{path}: not a video, or cut off before its index; check that the file is complete"
        )
    return TempoError(f"{path}: cannot be opened ({reason}); check the file")


def _origin(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> Fraction | None:
    """What a player shows as 0, in seconds of the file's clock: where its first stream begins, if known."""
    own = stream.start_time * stream.time_base if stream.start_time is not None and stream.time_base else None
    if container.start_time is None:
        return own
    origin = container.start_time * CONTAINER_TICK
    # Sound that begins before 0 is there to warm its decoder up and is not heard.
    if origin < 0 and own is not None and own >= 0:
        return Fraction(0)
    # The container's time is rounded to microseconds; where it means the video's own start, that one is
    # exact.
    if own is not None and abs(own - origin) < Fraction(1, 100_000):
        return own
    return origin


def _rate(stream: av.video.stream.VideoStream) -> float | None:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < float(rate) <= HIGHEST_RATE:
            return float(rate)
    return None


def _timing(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, *, edited: bool
) -> Timing:
    name = container.format.name
    # AVI and bare streams have no presentation times; what libavformat makes up for them is wrong where
    # pictures refer to later ones.
    if name == "avi" or container.format.flags & NO_TIMESTAMPS:
        return "order"
    if name in RESTARTING_FORMATS:
        return "continuous"
    return "edited" if edited and name in EXACT_FORMATS else "presentation"

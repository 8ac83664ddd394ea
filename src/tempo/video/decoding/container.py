"""Opens video files through PyAV and finds out how long they are and how their frames can be read."""

from __future__ import annotations

import av
import av.container
import av.error
import av.stream
import av.video.stream
import numpy as np

from tempo.errors import TempoError
from tempo.video.frames import Size
from tempo.video.remote import RemoteFile

from . import ending
from .completeness import Completeness, examine, examine_file
from .concatenated_flv import JoinedFile, inner_headers
from .demuxer import DamageError, Demuxer
from .edit_list import has_several_edits
from .ending import Ending
from .extent import Extent, measure, measure_tail
from .headers import EXACT_FORMATS, read_headers


class VideoFile:
    """A video file, or one behind an http(s) address.

    Attributes:
        path: where it is, for messages.
        remote: what it is read from if that is an address; None: the path.
        file_format: FFmpeg's name of the format, for files whose name would mislead it; None: it is detected.
        appearance: how its first frame is displayed, and with it all others.
        size: (width, height) of the upright picture in square pixels.
        start, end: when the first frame appears and the last one ends, in seconds from what a player shows as
            0.
        first_pts: presentation time of the first frame on the file's clock.
        rate: frames per second on average; None where that is not known.
        interval: seconds between frames on average.
        frame_count: as the file says, or estimated from its length and rate.
        plannable: whether the packets' times are reliable and every packet shows one frame.
        timing: how reliable the times in the container are.
        resyncs_silently: whether the demuxer skips damage without reporting it.
        can_skip: whether the decoder can leave out frames that no other refers to.
        ticks_per_frame: length of a frame on the file's clock.
        bytes_per_tick: of the whole file, on average.
        generated: whether its metadata says that tempo generated it.
    """

    def __init__(
        self, path: str, *, remote: RemoteFile | None = None, file_format: str | None = None
    ) -> None:
        """Read the headers, decode the first frame, and find the end in the packets.

        Raises TempoError when this is not a video, has no pictures, or not one frame of it can be decoded.
        """
        self.path = path
        self.remote = remote
        self.file_format = file_format
        self._inner_headers: tuple[int, ...] = ()  # of recordings that were joined
        with self.open() as container:
            stream = self.stream_of(container)
            headers = read_headers(container, stream, path, edited=self._is_edited())
            self._tick, self._origin, self.first_pts = headers.tick, headers.origin, headers.first_pts
            self.rate, self.interval = headers.rate, headers.interval
            self.ticks_per_frame = headers.ticks_per_frame
            self.timing, self.plannable = headers.timing, headers.plannable
            self.can_skip, self.generated = headers.can_skip, headers.generated
            self.appearance = headers.appearance
            self.size: Size = self.appearance.size
            structure = examine(path) if remote is None else examine_file(remote.reader())
            self.resyncs_silently = headers.resyncs_silently or structure.patchy
            self._extent = self._read_extent(container, stream, structure)
            self.start = self.seconds(0 if self.display_times is not None else self.first_pts)
            self._ending = self._decide_ending(container, stream, structure, headers.bytes)
        self.end = max(self._ending.end, self.start + self.interval)
        self.frame_count = self._count_frames(headers.frame_count)
        self.bytes_per_tick = headers.bytes / (self.end - self.start) * float(self._tick)

    def _is_edited(self) -> bool:
        with open(self.path, "rb") if self.remote is None else self.remote.reader() as file:
            return has_several_edits(file)

    def _count_frames(self, declared: int | None) -> int | None:
        """How many frames there are: counted where all packets were read, else declared, else estimated."""
        if not self.plannable and self._extent is not None:
            return self._extent.pictures
        if declared is None and self.rate:
            return max(1, round((self.end - self.start) * self.rate))
        return declared

    def _read_extent(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        structure: Completeness,
    ) -> Extent | None:
        """When pictures are shown, by the packets at the end or by all; None: it cannot be read."""
        if self.plannable:
            if structure.cut_short:
                return None
            try:
                tail = measure_tail(container, stream, ticks_per_frame=self.ticks_per_frame)
            except DamageError:
                return None
            if tail is not None:
                return tail
        return self._scan()

    def _scan(self) -> Extent | None:
        """When the pictures are shown, by all packets: reads the whole file."""
        with self.open() as container:
            stream = self.stream_of(container)
            demuxer = self.demuxer(container, stream, error_tolerant=True, to_the_end_of_all=True)
            extent = measure(demuxer, ticks_per_frame=self.ticks_per_frame)
            if (
                self.remote
                or self._inner_headers
                or extent is None
                or ending.unread_ratio(container, extent) == 1
            ):
                return extent
        self._inner_headers = inner_headers(self.path)
        return self._scan() if self._inner_headers else extent

    def _decide_ending(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        structure: Completeness,
        size: int,
    ) -> Ending:
        extent, own = self._extent, ending.own_end(stream)
        if extent is None or extent.failed or structure.cut_short:
            declared = own if own is not None else ending.end_of_all(container)
            return ending.of_headers(
                extent, structure, tick=self._tick, origin=self._origin, declared=declared, size=size
            )
        return ending.of_packets(
            extent,
            tick=self._tick,
            origin=self._origin,
            start=self.start,
            own=None if container.format.name in EXACT_FORMATS else own,
            unread=1.0 if self._inner_headers else ending.unread_ratio(container, extent),
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was done about times that could not be taken as they are, a line each."""
        if self._extent is None:
            return ()
        lines = [
            f"the file's clock jumps {'ahead' if jump.seconds > 0 else 'back'} by {abs(jump.seconds):.1f} s "
            f"at {jump.at - float(self._origin):.1f} s; the jump is removed"
            for jump in self._extent.clock_jumps
        ]
        if self.timing == "order":
            lines.append("the file has no presentation times; pictures are shown in the decoder's order")
        if self._inner_headers:
            count = len(self._inner_headers) + 1
            lines.append(f"the file holds {count} recordings, one after the other; they are watched as one")
        return tuple(lines)

    @property
    def keeps_time(self) -> bool:
        """Whether the times in the file are presentation times, up to an offset."""
        jumps = self._extent.clock_jumps if self._extent is not None else ()
        return self.timing in ("presentation", "continuous") and not jumps and not self._inner_headers

    @property
    def display_times(self) -> np.ndarray | None:
        """int64, in ticks: when pictures are shown that carry no presentation times; None: they do."""
        return self._extent.display_times if self._extent is not None else None

    def demuxer(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        *,
        error_tolerant: bool,
        to_the_end_of_all: bool = False,
    ) -> Demuxer:
        """A reader of the packets of `stream`; see :class:`.demuxer.Demuxer`."""
        return Demuxer(
            container,
            stream,
            timing=self.timing,
            counts_bytes=self.resyncs_silently,
            error_tolerant=error_tolerant,
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
        """The stream that a player would show. Raises TempoError when none can be decoded."""
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
        if self.display_times is not None:
            pts = int(self.display_times[min(pts, len(self.display_times) - 1)])
        return float(pts * self._tick - self._origin)

    @property
    def slack(self) -> float:
        """How long after a sample's time a frame may appear and still be the one on screen, in seconds.

        Half a tick of the file's clock, the rounding error of a time; at most a millisecond.
        """
        return min(0.5 * float(self._tick), 1e-3) + 1e-6

    def limits(self, times: np.ndarray) -> list[int]:
        """For every sample the greatest pts that may be on screen at its time, at least the first frame's."""
        ticks = np.floor((times + self.slack + float(self._origin)) / float(self._tick)).astype(np.int64)
        limits: list[int] = np.maximum(ticks, self.first_pts).tolist()
        return limits

    def is_cut_off(self, last: float | None, end: float) -> bool:
        """Whether pictures are missing after the last one that was decoded; see :class:`.ending.Ending`."""
        return self._ending.is_cut_off(last, end, interval=self.interval)


def _refuse(path: str, error: Exception) -> TempoError:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return TempoError(
            f"{path}: not a video, or cut off before its index; check that the file is complete"
        )
    return TempoError(f"{path}: cannot be opened ({reason}); check the file")

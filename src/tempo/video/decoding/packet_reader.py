"""The packets of a video stream, read one after the other or jumped to; and what can go wrong with it."""

from __future__ import annotations

import contextlib

import av.container
import av.error
import av.packet
import av.video.stream

from .container import VideoFile
from .seek_planner import Planner

SEEK_BYTES = 8 << 20  # more than this is jumped over rather than read and thrown away


class JumpError(Exception):
    """A frame did not come out although nothing is damaged: decoding cannot begin where it did."""


class Reader:
    """The packets of one stream in the order of decoding. A context manager; closes what it opens itself."""

    def __init__(
        self,
        file: VideoFile,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        *,
        forgiving: bool,
    ) -> None:
        self._file, self._forgiving = file, forgiving
        self._container, self._stream = container, stream
        self._own = contextlib.ExitStack()
        self._apart = False
        self._demuxer = file.demuxer(container, stream, forgiving=forgiving)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._own.close()

    @property
    def leapt(self) -> bool:
        """Whether something in front of the latest packet could not be read."""
        return self._demuxer.leapt

    def read(self) -> av.packet.Packet | None:
        """The next packet, None at the end. Raises DamageError unless forgiving."""
        return self._demuxer.read()

    def seek(self, pts: int) -> av.packet.Packet | None:
        """The keyframe at or before `pts`, as far as the container knows; None if it has lost its way."""
        if not self._apart:
            # Seeking empties the decoders of a container, and there may be frames in them that are wanted.
            self._container = self._own.enter_context(self._file.open())
            self._stream = self._file.stream_of(self._container)
            self._demuxer = self._file.demuxer(self._container, self._stream, forgiving=self._forgiving)
            self._apart = True
        try:
            self._container.seek(pts, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return None
        self._demuxer.restart()
        packet = self.read()
        return packet if packet is not None and packet.is_keyframe else None


class Seeker:
    """Reads packets, and jumps instead of reading where the next moment is far ahead."""

    def __init__(self, file: VideoFile, reader: Reader, limits: list[int]) -> None:
        self._reader, self._limits = reader, limits
        self._far = SEEK_BYTES / max(1.0, file.bytes_per_tick)  # ticks worth a seek
        self._tried = -1
        self._key: int | None = None  # pts of the latest keyframe that was read
        self._last: tuple[int | None, int] | None = None  # pts and size of the latest packet that was read

    def next(self, planner: Planner[av.packet.Packet]) -> av.packet.Packet | None:
        """The next packet that the planner should see."""
        packet = self._jump(planner) if self._worth_it(planner) else self._reader.read()
        if packet is not None:
            self._last = (packet.pts, packet.size)
            if packet.is_keyframe:
                self._key = packet.pts
        return packet

    def _worth_it(self, planner: Planner[av.packet.Packet]) -> bool:
        here = planner.newest if planner.newest is not None else self._limits[0]
        return self._limits[planner.moment] - here > self._far and planner.moment != self._tried

    def _jump(self, planner: Planner[av.packet.Packet]) -> av.packet.Packet | None:
        self._tried = planner.moment
        limit = self._limits[planner.moment]
        packet = self._reader.seek(limit)
        if packet is None or packet.pts is None or packet.pts > limit:
            raise JumpError
        if self._key is None or packet.pts > self._key:
            planner.restart()
            return packet
        # There is no keyframe in between: read on from where we were, and expect groups of this length.
        self._far = max(self._far, 2 * (limit - packet.pts))
        while (packet.pts, packet.size) != self._last:
            packet = self._reader.read()
            if packet is None:
                raise JumpError
        return self._reader.read()

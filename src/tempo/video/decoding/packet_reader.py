"""Reads the packets of a video stream in decoding order, and seeks where that is quicker."""

from __future__ import annotations

import contextlib

import av.container
import av.error
import av.packet
import av.video.stream

from .container import VideoFile
from .seek_planner import Planner

SEEK_BYTES = 8 << 20  # seek over more than this rather than read and throw it away


class SeekError(Exception):
    """A frame did not come out after a seek although nothing is damaged: decoding cannot begin there."""


class PacketReader:
    """Reads the packets of one stream in decoding order. A context manager; closes what it opens itself."""

    def __init__(
        self,
        file: VideoFile,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        *,
        error_tolerant: bool,
    ) -> None:
        self._file, self._error_tolerant = file, error_tolerant
        self._container, self._stream = container, stream
        self._own = contextlib.ExitStack()
        self._has_own_container = False
        self._demuxer = file.demuxer(container, stream, error_tolerant=error_tolerant)

    def __enter__(self) -> PacketReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._own.close()

    @property
    def resynced(self) -> bool:
        """Whether something in front of the latest packet could not be read."""
        return self._demuxer.resynced

    def read(self) -> av.packet.Packet | None:
        """The next packet, None at the end. Raises DamageError unless it is error-tolerant."""
        return self._demuxer.read()

    def seek(self, pts: int) -> av.packet.Packet | None:
        """Seek to the keyframe at or before `pts` and read it; None if that failed."""
        if not self._has_own_container:
            # Seeking flushes the decoders of a container, which may still hold frames that are wanted.
            self._container = self._own.enter_context(self._file.open())
            self._stream = self._file.stream_of(self._container)
            self._demuxer = self._file.demuxer(
                self._container, self._stream, error_tolerant=self._error_tolerant
            )
            self._has_own_container = True
        try:
            self._container.seek(pts, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return None
        self._demuxer.restart()
        packet = self.read()
        return packet if packet is not None and packet.is_keyframe else None


class Seeker:
    """Reads packets, and seeks instead where the next sample is far ahead."""

    def __init__(self, file: VideoFile, reader: PacketReader, limits: list[int]) -> None:
        self._reader, self._limits = reader, limits
        self._far = SEEK_BYTES / max(1.0, file.bytes_per_tick)  # ticks; a seek pays beyond that
        self._tried = -1
        self._key: int | None = None  # pts of the latest keyframe that was read
        self._last: tuple[int | None, int] | None = None  # pts and size of the latest packet that was read

    def next(self, planner: Planner[av.packet.Packet]) -> av.packet.Packet | None:
        """The next packet for the planner."""
        packet = self._seek(planner) if self._should_seek(planner) else self._reader.read()
        if packet is not None:
            self._last = (packet.pts, packet.size)
            if packet.is_keyframe:
                self._key = packet.pts
        return packet

    def _should_seek(self, planner: Planner[av.packet.Packet]) -> bool:
        here = planner.newest if planner.newest is not None else self._limits[0]
        return self._limits[planner.sample] - here > self._far and planner.sample != self._tried

    def _seek(self, planner: Planner[av.packet.Packet]) -> av.packet.Packet | None:
        self._tried = planner.sample
        limit = self._limits[planner.sample]
        packet = self._reader.seek(limit)
        if packet is None or packet.pts is None or packet.pts > limit:
            raise SeekError
        if self._key is None or packet.pts > self._key:
            planner.restart()
            return packet
        # There is no keyframe in between: go back to where we were, and expect groups of pictures this long.
        self._far = max(self._far, 2 * (limit - packet.pts))
        while (packet.pts, packet.size) != self._last:
            packet = self._reader.read()
            if packet is None:
                raise SeekError
        return self._reader.read()

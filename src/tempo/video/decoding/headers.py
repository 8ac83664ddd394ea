"""What a video file's headers and its first frame say, before its packets are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av.container
import av.error
import av.video.frame
import av.video.stream

from tempo.errors import TempoError
from tempo.video.pixel_limit import check_pixels
from tempo.video.provenance import is_generated

from .conversion import Appearance
from .demuxer import Timing, is_last
from .ending import CONTAINER_TICK

HIGHEST_RATE = 1000.0  # frames per second; what claims more is a clock, not a rate
USUAL_RATE = 25.0  # frames per second, where neither the file nor its times tell
PLANNABLE_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
PLANNABLE_CODECS = frozenset({"h264", "hevc", "vp9", "av1", "libdav1d", "mjpeg", "prores"})
EXACT_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2"})  # packets know how long their pictures are shown
# Their demuxers skip what they cannot read in silence, and there are next to no bytes between packets.
SILENT_RESYNC_FORMATS = frozenset({"matroska,webm", "avi", "flv"})
RESTARTING_FORMATS = frozenset({"mpegts", "mpeg", "flv", "asf", "ogg"})  # can be joined byte by byte
NO_TIMESTAMPS = 0x80  # libavformat's AVFMT_NOTIMESTAMPS: a stream without a container
SKIPPING_CODECS = frozenset({"h264", "hevc"})  # can be told packet by packet to leave out unreferenced frames


@dataclass(frozen=True, kw_only=True)
class Headers:
    """What the container, the video stream and the first frame say about a file.

    Attributes:
        tick: seconds of a tick of the video stream's clock.
        origin: seconds on the file's clock that a player shows as 0.
        first_pts: presentation time of the first frame, in ticks.
        rate: frames per second on average; None where that is not known.
        frame_count: as the container says; None where it does not.
        timing: how reliable the times in the container are.
        plannable: whether the packets' times are reliable and every packet shows one frame.
        can_skip: whether the decoder can leave out frames that no other refers to.
        resyncs_silently: whether the demuxer skips damage without reporting it.
        appearance: how the first frame is displayed, and with it all others.
        generated: whether the metadata says that tempo generated the file.
        bytes: size of the file.
    """

    tick: Fraction
    origin: Fraction
    first_pts: int
    rate: float | None
    frame_count: int | None
    timing: Timing
    plannable: bool
    can_skip: bool
    resyncs_silently: bool
    appearance: Appearance
    generated: bool
    bytes: int

    @property
    def interval(self) -> float:
        """Seconds between frames on average."""
        return 1.0 / (self.rate or USUAL_RATE)

    @property
    def ticks_per_frame(self) -> int:
        """Length of a frame in ticks."""
        return max(1, round(self.interval / float(self.tick)))


def read_headers(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    path: str,
    *,
    edited: bool,
) -> Headers:
    """Read the headers and decode the first frame.

    Args:
        edited: whether an edit list shows several parts of the media.

    Raises:
        TempoError: its pictures are too large, or not one frame can be decoded.
    """
    check_pixels(path, (stream.codec_context.width, stream.codec_context.height))
    first = _first_frame(container, stream, path)
    tick = stream.time_base or first.time_base or Fraction(1, 1000)
    first_pts = first.pts or 0
    timing = _timing(container, stream, edited=edited)
    origin = _origin(container, stream)
    if timing != "order":
        # libavformat does not know every beginning, and in some files takes that of the first packet
        # for it, which pictures of later packets precede.
        appears = first_pts * tick
        origin = appears if origin is None else min(origin, appears)
    plannable = (
        first.pts is not None
        and timing == "presentation"
        and container.format.name in PLANNABLE_FORMATS
        and stream.codec_context.name in PLANNABLE_CODECS
    )
    return Headers(
        tick=tick,
        origin=origin or Fraction(0),
        first_pts=first_pts,
        rate=_rate(stream),
        frame_count=stream.frames or None,
        timing=timing,
        plannable=plannable,
        can_skip=stream.codec_context.name in SKIPPING_CODECS,
        resyncs_silently=container.format.name in SILENT_RESYNC_FORMATS,
        appearance=Appearance.of(stream, first),
        generated=is_generated(container.metadata, stream.metadata),
        bytes=max(0, container.size),
    )


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
    """Every frame that can be decoded, in presentation order."""
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


def _origin(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> Fraction | None:
    """What a player shows as 0, in seconds of the file's clock: where its first stream begins, if known."""
    own = stream.start_time * stream.time_base if stream.start_time is not None and stream.time_base else None
    if container.start_time is None:
        return own
    origin = container.start_time * CONTAINER_TICK
    # Sound that begins before 0 only primes its decoder and is not heard.
    if origin < 0 and own is not None and own >= 0:
        return Fraction(0)
    # The container's time is rounded to microseconds; where it means the video's own start, that is exact.
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
    # AVI and bare streams have no presentation times; those that libavformat makes up are wrong where
    # pictures refer to later ones.
    if name == "avi" or container.format.flags & NO_TIMESTAMPS:
        return "order"
    if name in RESTARTING_FORMATS:
        return "continuous"
    return "edited" if edited and name in EXACT_FORMATS else "presentation"

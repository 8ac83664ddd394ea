"""Cuts clips out of videos: copies packets where the format allows it, otherwise encodes the frames anew."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import av
import av.error
import av.video.reformatter
import numpy as np

from tempo.errors import TempoError
from tempo.storage.atomic_files import replacing
from tempo.video.decoding.container import VideoFile
from tempo.video.decoding.demuxer import is_last
from tempo.video.decoding.transparency import alpha_mode

from .provenance import GENERATED
from .video import Sampling, Video

# Containers whose packets carry times to rely on: (format to write, ending) by what libav calls them.
COPIED_FORMATS = {
    "mov,mp4,m4a,3gp,3g2,mj2": ("mp4", ".mp4"),
    "matroska,webm": ("matroska", ".mkv"),
    "mpegts": ("mpegts", ".ts"),
    "flv": ("flv", ".flv"),
}
BY_ENDING = {".mov": ("mov", ".mov"), ".webm": ("webm", ".webm")}
TICKS = 90_000  # a second, of encoded clips
FASTEST = 60.0  # frames a second of encoded clips, at most
USUAL_RATE = 25.0  # frames a second, where the source does not say
BT709 = 1  # matrix, primaries and transfer of encoded clips, in ITU-T H.273
BACK = (0, 2, 10, 60)  # seconds before a time from which to look for its keyframe, one after the other
SOUND_LATE = 2.0  # seconds by which sound may follow the pictures in a file


@dataclass(frozen=True)
class Clip:
    """A piece of a video in a file of its own.

    Attributes:
        path: the file.
        start, end: what it shows, in seconds of the video. A copied clip begins with the last keyframe at or
            before the requested start, because decoding can only begin there.
        copied: whether it holds the packets of the video, with sound; otherwise it was encoded anew, without
            sound.
    """

    path: Path
    start: float
    end: float
    copied: bool


def cut(video: Video, start: float, end: float, folder: Path) -> Clip:
    """Cut START to END (seconds) out of a video into a file in FOLDER, named after both.

    A file of the same name is replaced, once the new one is whole.

    Raises:
        TempoError: a still image has nothing to cut; the video cannot be read or the file not be written.
    """
    if video.kind == "image":
        raise TempoError(f"{video.path}: a still image cannot be cut")
    name = f"{_stem(video.path)}_{_clock(start)}_{_clock(end)}"
    if video.file is not None:
        try:
            if (clip := _copy(video.file, _ending(video.path), start, end, folder, name)) is not None:
                return clip
        except (av.error.FFmpegError, OSError, ValueError, TempoError):
            pass  # encode it instead
    path = folder / f"{name}.mp4"
    try:
        with replacing(path) as part:
            _encode(video, start, end, part)
    except (av.error.FFmpegError, OSError) as error:
        raise TempoError(f"{path}: cannot be written ({error.strerror or error})") from error
    return Clip(path, start, end, copied=False)


def _copy(file: VideoFile, ending: str, start: float, end: float, folder: Path, name: str) -> Clip | None:
    """Copy the packets; None if the container does not allow it, or the result cannot be read."""
    if not file.keeps_time:
        return None
    with file.open() as source:
        if source.format.name not in COPIED_FORMATS:
            return None
        file_format, suffix = BY_ENDING.get(ending, COPIED_FORMATS[source.format.name])
        path = folder / f"{name}{suffix}"
        with replacing(path) as part:
            with av.open(str(part), "w", format=file_format) as target:
                if file.generated:
                    target.metadata.update(GENERATED)
                begun = _copy_packets(file, source, target, start, end)
            written = VideoFile(str(part))  # decodes a frame of it
            if begun is None or written.size != file.size:
                part.unlink()
                return None
    return Clip(path, begun, end, copied=True)


def _copy_packets(file: VideoFile, source: Any, target: Any, start: float, end: float) -> float | None:
    """Copy pictures and sound between two times; return when the first picture appears, None: there is none.

    A picture after the end is copied too if an earlier one, which follows it in the file, refers to it.
    """
    pictures: Any = file.stream_of(source)
    sound = source.streams.best("audio")
    # PyAV 15 crashes on a template of a codec that FFmpeg does not know.
    known = sound is not None and sound.codec_context is not None
    streams = [pictures, sound] if known else [pictures]
    copies = {stream.index: target.add_stream_from_template(stream) for stream in streams}
    if (alpha := alpha_mode(pictures)) is not None:
        copies[pictures.index].metadata["alpha_mode"] = alpha
    begun: float | None = None
    offset = 0  # the first picture's time, in ticks of its stream
    early: list[tuple[float, Any]] = []  # sound that was read before the first picture
    late: list[Any] = []  # pictures shown after the end, which an earlier one that follows them may need

    def put(packet: Any) -> None:
        shift = round(offset * pictures.time_base / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = copies[packet.stream.index]
        target.mux(packet)

    keyframe = _seek_keyframe(file, source, pictures, start)
    for packet in source.demux(streams):
        if is_last(packet):
            break
        if packet.dts is None or packet.pts is None:
            continue
        at = file.seconds(round(packet.pts * packet.time_base / pictures.time_base))
        if packet.stream.index != pictures.index:
            if begun is None:
                early.append((at, packet))
            elif begun <= at < end:
                put(packet)
            continue
        if begun is None:
            if packet.pts != keyframe:
                continue
            begun, offset = at, packet.pts
            for when, heard in early:
                if begun <= when < end:
                    put(heard)
        decoded = file.seconds(packet.dts)
        if decoded >= end + SOUND_LATE:
            break
        if packet.pts < offset:  # refers to a picture before the keyframe
            continue
        if at >= end:
            if decoded < end:
                late.append(packet)
            continue
        for one in (*late, packet):
            put(one)
        late = []
    return begun


def _seek_keyframe(file: VideoFile, source: Any, pictures: Any, start: float) -> int | None:
    """Seek to the last keyframe that appears by START, or before it; return its time in ticks, if any.

    Some containers seek by guessing and land too late; then the seek is repeated from further back.
    """
    limit = file.limits(np.array([start]))[0]
    for back in BACK:
        target = max(file.first_pts, limit - round(back / pictures.time_base))
        source.seek(target, stream=pictures, backward=True)
        found = None
        for packet in source.demux(pictures):
            if is_last(packet):
                break
            if packet.pts is None or packet.dts is None:
                continue
            if packet.dts > limit:
                break
            if packet.is_keyframe and packet.pts <= limit:
                found = packet.pts
        if found is not None:
            source.seek(target, stream=pictures, backward=True)
            return found
    return None


def _encode(video: Video, start: float, end: float, part: Path) -> None:
    """Encode the frames from START to END as H.264."""
    rate = min(video.frame_rate or USUAL_RATE, FASTEST)
    times = start + np.arange(max(1, round((end - start) * rate)), dtype=np.float64) / rate
    size = (max(2, video.width // 2 * 2), max(2, video.height // 2 * 2))
    with av.open(str(part), "w", format="mp4") as container:
        if video.generated:
            container.metadata.update(GENERATED)
        stream: Any = container.add_stream(
            "libx264",
            rate=Fraction(rate).limit_denominator(1001),
            options={"preset": "veryfast", "crf": "20"},
        )
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = av.video.reformatter.ColorRange.MPEG
        last = -1
        for batch in video.stream(Sampling(times, rate), chunk=16, size=size):
            for pixels, time in zip(batch.frames, batch.times, strict=True):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame = frame.reformat(format="yuv420p", dst_colorspace=BT709)
                last = max(last + 1, round((time - start) * TICKS), 0)
                frame.pts, frame.time_base = last, Fraction(1, TICKS)
                container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _stem(path: str | None) -> str:
    """The name of a video without its ending, short enough for a file's name."""
    if path is None:
        return "frames"
    name = unquote(urlsplit(path).path) if "://" in path else os.path.abspath(path)
    stem = re.sub(r"[\x00-\x1f/\\:]", "_", Path(name).stem) or "video"
    return stem.encode("utf-8", "surrogateescape")[:120].decode("utf-8", "ignore")


def _ending(path: str | None) -> str:
    return Path(unquote(urlsplit(path).path) if path and "://" in path else path or "").suffix.lower()


def _clock(seconds: float) -> str:
    hundredths = round(max(seconds, 0.0) * 100)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60:02d}-{minutes % 60:02d}-{rest // 100:02d}.{rest % 100:02d}"

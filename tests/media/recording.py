"""Recordings through PyAV and through an FFmpeg binary: pictures that spell their number, and noise."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

import clips

from .shapes import Shape

os.environ.setdefault("SVT_LOG", "0")  # the encoder would tell its settings each time
SIZE = (160, 96)
QUICK: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "bf": "0", "g": "24", "qp": "20", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=24:bframes=3:pools=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "g": "24", "b": "400k", "lag-in-frames": "0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "g": "24", "b": "400k", "lag-in-frames": "0"},
    "libsvtav1": {"preset": "13", "g": "24", "crf": "20", "svtav1-params": "lp=1"},
    "mpeg4": {"qscale": "3", "g": "24"},
    "libxvid": {"qscale": "3", "g": "24"},
    "mpeg1video": {"qscale": "3", "g": "12"},
    "mpeg2video": {"qscale": "3", "g": "12"},
    "mjpeg": {"qscale": "3"},
    "wmv2": {"qscale": "3", "g": "24"},
    "msmpeg4": {"qscale": "3", "g": "24"},
    "flv": {"qscale": "3", "g": "24"},
    "h263": {"qscale": "3", "g": "24"},
    "libtheora": {"q": "8", "g": "24"},
}
"""Options that make encoding cost next to nothing; a case adds its own."""

PIXELS = {"mjpeg": "yuvj420p"}
SOUNDS = {
    "avi": "mp2",
    "wmv": "wmav2",
    "asf": "wmav2",
    "ogv": "libopus",
    "webm": "libopus",
    "mpg": "mp2",
    "vob": "mp2",
    "nut": "pcm_s16le",
    "mpeg": "mp2",
    "mxf": "pcm_s16le",
}
"""Sound codec by suffix, AAC where none is named."""


@dataclass(frozen=True)
class Sound:
    """Noise from `begin` to `end` seconds."""

    begin: float
    end: float
    codec: str | None = None


@dataclass(frozen=True)
class Video:
    """How the pictures are coded."""

    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    pixels: str | None = None
    size: tuple[int, int] = SIZE
    draw: Callable[[int], np.ndarray] | None = None

    def picture(self, index: int) -> np.ndarray:
        return self.draw(index) if self.draw else clips.picture(index, self.size)


H264 = Video()
WITH_B_FRAMES = Video(options={"bf": "3", "x264-params": "b-adapt=0:scenecut=0"})


def write(
    path: Path,
    shape: Shape,
    video: Video = H264,
    *,
    sound: Sound | None = None,
    muxing: dict[str, str] | None = None,
    file_format: str | None = None,
    repack: Callable[[list[Any]], list[Any]] | None = None,
) -> Path:
    """Encode the pictures of `shape`, and sound, into one file. `repack` changes the pictures' packets."""
    with av.open(str(path), "w", format=file_format, options=muxing or {}) as container:
        stream = _video_stream(container, shape, video)
        audio: Any = None
        if sound:
            codec = sound.codec or SOUNDS.get(path.suffix[1:], "aac")
            audio = container.add_stream(codec, rate=44100 if path.suffix == ".flv" else 48000, layout="mono")
            audio.bit_rate = 128_000
            audio.options = {"aac_coder": "fast"} if codec == "aac" else {}
        packets = _encode_pictures(stream, shape, video)
        if repack:
            packets = repack(packets)
        if sound:
            packets += _encode_noise(audio, sound)
            packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            container.mux(packet)
    return path


def written_then(
    shape: Shape, video: Video, change: Callable[[Path], object], path: Path, *, sound: Sound | None = None
) -> None:
    """Write a recording and change the file."""
    write(path, shape, video, sound=sound)
    change(path)


def _video_stream(container: Any, shape: Shape, video: Video) -> Any:
    stream = container.add_stream(video.codec, rate=1 / shape.base)
    stream.width, stream.height = video.size
    stream.pix_fmt = video.pixels or PIXELS.get(video.codec, "yuv420p")
    stream.options = {**QUICK.get(video.codec, {}), **video.options}
    stream.codec_context.time_base = shape.base
    stream.codec_context.thread_count = 1
    return stream


@clips.in_its_own_thread
def _encode_pictures(stream: Any, shape: Shape, video: Video) -> list[Any]:
    packets = []
    for index, tick in enumerate(shape.ticks, shape.first):
        frame = av.VideoFrame.from_ndarray(video.picture(index), format="rgb24")
        frame.pts, frame.time_base = tick, shape.base
        packets += stream.encode(frame)
    packets += stream.encode()
    durations = shape.durations()
    for packet in packets:
        packet.duration = durations.get(packet.pts, shape.tail)
    return packets


def _encode_noise(stream: Any, sound: Sound) -> list[Any]:
    rate = stream.codec_context.sample_rate
    samples = _noise()
    packets = []
    for start in range(round(sound.begin * rate), round(sound.end * rate), 1024):
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        packets += stream.encode(frame)
    packets += stream.encode()
    # Encoders begin early, to warm up. Here the sound begins when it is said to.
    early = packets[0].pts * packets[0].time_base - Fraction(round(sound.begin * rate), rate)
    for packet in packets:
        packet.pts -= round(early / packet.time_base)
        packet.dts = packet.pts
    return packets


@cache
def _noise() -> np.ndarray:
    return np.random.default_rng(0).integers(-9000, 9000, (1, 1024)).astype(np.int16)


def through_ffmpeg(
    path: Path, shape: Shape, *options: str, sound: Sound | None = None, video: Video = H264
) -> Path:
    """Have an FFmpeg binary encode the pictures of `shape`: `options` stand between its inputs and `path`."""
    raw = io.BytesIO()
    lossless = Video("rawvideo", pixels="rgb24", size=video.size, draw=video.draw)
    with av.open(raw, "w", format="nut") as container:
        stream = _video_stream(container, shape, lossless)
        for packet in _encode_pictures(stream, shape, lossless):
            container.mux(packet)
    inputs = ["-f", "nut", "-i", "pipe:0"]
    if sound:
        noise = f"anoisesrc=d={sound.end - sound.begin}:a=0.3:r=48000"
        inputs += ["-itsoffset", str(sound.begin), "-f", "lavfi", "-i", noise]
    ffmpeg(*inputs, *options, str(path), stdin=raw.getvalue())
    return path


def ffmpeg(*arguments: str, stdin: bytes | None = None) -> None:
    """Run the FFmpeg binary."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-hide_banner", "-v", "error", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}\n{done.stderr.decode(errors='replace')}")

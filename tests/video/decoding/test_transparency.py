"""Transparent videos: over white, like still images."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from tempo.video.clips import cut
from tempo.video.sampling import Sampling
from tempo.video.video import Video

# A bar moves from left to right in ten steps of 16 pixels, half of it transparent to one half.
FILTER = (
    "color=c=black:s=160x96:r=10:d={seconds},format=rgba,"
    "geq=r='220':g='40':b='40':a='if(between(X,16*mod(N,10),16*mod(N,10)+15),if(lt(Y,48),255,128),0)'"
)
KINDS = {
    "vp9.webm": ("libvpx-vp9", "yuva420p", "-lag-in-frames", "8"),
    "vp8.webm": ("libvpx", "yuva420p", "-auto-alt-ref", "0"),
    "vp9.mkv": ("libvpx-vp9", "yuva420p"),
    "prores.mov": ("prores_ks", "yuva444p10le", "-profile:v", "4444"),
    "png.mov": ("png", "rgba"),
    "animation.mov": ("qtrle", "argb"),
    "lossless.mkv": ("ffv1", "yuva420p"),
    "hap.mov": ("hap", "rgba", "-format", "hap_alpha"),
    "raw.avi": ("rawvideo", "bgra"),
}


def write(path: Path, kind: str, seconds: float = 1.0, fill: str | None = None) -> Path:
    codec, pix_fmt, *options = KINDS[kind]
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    source = ("-f", "lavfi", "-i", fill or FILTER.format(seconds=seconds))
    rest = ("-c:v", codec, "-pix_fmt", pix_fmt, "-g", "10", *options, str(path))
    subprocess.run([binary, "-v", "error", "-y", *source, *rest], check=True, timeout=60, stderr=-3)
    return path


def assert_bar(frame: np.ndarray, index: int, tolerance: int = 12) -> None:
    """`frame` is the picture of that index."""
    height, width, _ = frame.shape
    row = frame[[height // 4, 3 * height // 4]].astype(int)
    middles = (np.arange(10) + 0.5) * width / 10
    seen = row[:, middles.astype(int)]
    expected = np.full((2, 10, 3), 255)
    expected[0, index] = (220, 40, 40)
    expected[1, index] = (237, 147, 147)  # 128/255 of it over white
    assert np.abs(seen - expected).max() <= tolerance


@pytest.mark.parametrize("size", [None, (80, 48)])
@pytest.mark.parametrize("kind", KINDS)
def test_over_white(tmp_path: Path, kind: str, size: tuple[int, int] | None) -> None:
    video = Video.open(write(tmp_path / kind, kind))
    wanted = [0, 1, 4, 5, 9]
    (batch,) = video.stream(Sampling(np.array(wanted) / 10 + 0.01, 10.0), chunk=10, size=size)
    for index, frame in zip(wanted, batch.frames, strict=True):
        assert_bar(frame, index)
    assert not video.damage


def test_jumping_about_in_a_transparent_webm(tmp_path: Path) -> None:
    video = Video.open(write(tmp_path / "long.webm", "vp9.webm", seconds=12))
    wanted = [3, 48, 77, 118]
    (batch,) = video.stream(Sampling(np.array(wanted) / 10 + 0.01, 10.0), chunk=10)
    for index, frame in zip(wanted, batch.frames, strict=True):
        assert_bar(frame, index % 10)
    assert not video.damage


def test_a_fourth_component_that_is_not_used(tmp_path: Path) -> None:
    """Raw AVI of 32 bits has room for an alpha channel, and most programs leave it zero."""
    fill = "color=c=black:s=160x96:r=10:d=0.3,format=rgba,geq=r='10':g='200':b='30':a='0'"
    video = Video.open(write(tmp_path / "raw.avi", "raw.avi", fill=fill))
    (batch,) = video.stream(Sampling(np.zeros(1), 10.0), chunk=1)
    assert np.abs(batch.frames[0].astype(int) - (10, 200, 30)).max() <= 1


@pytest.mark.parametrize("kind", ["vp9.webm", "vp9.mkv", "prores.mov"])
def test_clips_keep_their_transparency(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / kind, kind, seconds=3)
    clip = cut(Video.open(path), 1.0, 2.0, tmp_path)
    assert clip.copied or kind == "prores.mov"  # which not every version of PyAV copies
    (batch,) = Video.open(clip.path).stream(Sampling(np.array([0.01, 0.41]), 10.0), chunk=10)
    assert_bar(batch.frames[0], 0)
    assert_bar(batch.frames[1], 4)
    if clip.path.suffix in (".webm", ".mkv"):
        assert b"\x53\xc0\x81\x01" in clip.path.read_bytes(), "AlphaMode, by which players know"

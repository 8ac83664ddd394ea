"""Frames at given moments out of files of every structure, by every way there is."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.video.decoding import FileSource, packet_reader
from tempo.video.frames import Losses

COUNT, RATE = 150, 25

STRUCTURES = {
    "closed.mp4": ("libx264", {"g": "20", "bf": "3"}),
    "open.mp4": ("libx264", {"g": "20", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-pyramid=2"}),
    "open.mkv": ("libx264", {"g": "20", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-pyramid=2"}),
    "open-hevc.mp4": (
        "libx265",
        {"x265-params": "log-level=none:keyint=20:min-keyint=20:bframes=4:open-gop=1:scenecut=0"},
    ),
    "refresh.mp4": ("libx264", {"g": "20", "x264-params": "intra-refresh=1:scenecut=0"}),
    "endless.mp4": ("libx264", {"g": "1000", "bf": "8", "x264-params": "scenecut=0:b-pyramid=2"}),
    "intra.mp4": ("libx264", {"g": "1"}),
    "no-b.mp4": ("libx264", {"g": "30", "bf": "0"}),
    "hidden.webm": (
        "libvpx-vp9",
        {"g": "30", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1"},
    ),
    "fragments.mp4": ("libx264", {"g": "20"}),
}


def make(tmp_path: Path, name: str) -> Path:
    codec, options = STRUCTURES[name]
    fragments = {"movflags": "frag_keyframe+empty_moov"} if name == "fragments.mp4" else None
    return clips.write(
        tmp_path / name, codec=codec, options=options, count=COUNT, rate=RATE, container_options=fragments
    )


def pick(path: Path, moments: np.ndarray, losses: Losses | None = None) -> list[tuple[int, int, float]]:
    """(moment, index spelled in the picture, time) of everything that is picked."""
    picked = FileSource(str(path)).frames_at(
        moments, size=None, stop=threading.Event(), losses=losses if losses is not None else Losses()
    )
    return [(moment, clips.index_of(frame), time) for moment, frame, time in picked]


@pytest.mark.parametrize("seeking", [False, True])
@pytest.mark.parametrize("name", STRUCTURES)
def test_the_same_frames_however_the_file_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, seeking: bool
) -> None:
    """Reading on and seeking come to the same: the frame that is on screen, by the pictures' own account."""
    monkeypatch.setattr(packet_reader, "SEEK_BYTES", 1 if seeking else 1 << 40)
    path = make(tmp_path, name)
    rng = np.random.default_rng(3)
    for count in (2, 7, 40):
        moments = (np.sort(rng.integers(0, COUNT, count)) + rng.uniform(0.1, 0.9, count)) / RATE
        expected = clips.shown_at([i / RATE for i in range(COUNT)], moments.tolist())
        losses = Losses()
        picked = pick(path, moments, losses)
        assert [(moment, index) for moment, index, _ in picked] == list(enumerate(expected))
        np.testing.assert_allclose([time for *_, time in picked], np.array(expected) / RATE, atol=1e-3)
        assert not losses.damage(moments=0)


def test_what_nobody_looks_at_is_not_decoded(tmp_path: Path) -> None:
    """Damage within a group of pictures that holds no moment is never met."""
    path = make(tmp_path, "closed.mp4")
    data = bytearray(path.read_bytes())
    begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    middle = slice(begin + (end - begin) * 45 // 100, begin + (end - begin) * 55 // 100)
    data[middle] = bytes(middle.stop - middle.start)
    path.write_bytes(data)

    losses = Losses()
    outside = pick(path, np.array([0.5, 1.0, 5.0, 5.5]), losses)
    assert [index for _, index, _ in outside] == [12, 25, 125, 137]
    assert not losses.damage(moments=0)

    pick(path, np.arange(0, 6, 0.2), losses)
    assert losses.damage(moments=0)


def test_stopping_early(tmp_path: Path) -> None:
    stop = threading.Event()
    picked = FileSource(str(make(tmp_path, "closed.mp4"))).frames_at(
        np.arange(0, 6, 0.04), size=None, stop=stop, losses=Losses()
    )
    for _ in range(3):
        next(picked)
    stop.set()
    assert len(list(picked)) < 20

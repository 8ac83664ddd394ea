"""Files that are cut short are told from whole ones by their structure alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import clips
from tempo.video.decoding.completeness import examine

FORMATS = {
    "clip.mp4": ("libx264", {}),
    "first.mp4": ("libx264", {"movflags": "faststart"}),
    "fragments.mp4": ("libx264", {"movflags": "frag_keyframe+empty_moov"}),
    "clip.mov": ("mjpeg", {}),
    "clip.mkv": ("libx264", {}),
    "clip.avi": ("mpeg4", {}),
    "clip.flv": ("flv1", {}),
    "clip.asf": ("wmv2", {}),
}


@pytest.fixture(scope="module", params=FORMATS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec, container_options = FORMATS[request.param]
    return clips.write(
        tmp_path_factory.mktemp("whole") / request.param,
        codec=codec,
        pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p",
        count=60,
        options={"g": "10"},
        container_options=container_options,
        sound=(0, 2) if request.param.endswith(("mp4", "mkv")) else None,
    )


def test_a_whole_file_is_complete(whole: Path) -> None:
    structure = examine(str(whole))
    assert not structure.cut_short
    assert not structure.patchy


def test_a_file_that_lost_its_end(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    for share in (0.5, 0.9):
        cut = tmp_path / whole.name
        cut.write_bytes(data[: int(len(data) * share)])
        assert examine(str(cut)).cut_short


def test_something_else_behind_the_video_is_not_missing(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.mp4", count=10)
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert not examine(str(path)).cut_short


def test_a_fragment_without_its_description(tmp_path: Path) -> None:
    path = clips.write(
        tmp_path / "clip.mp4",
        count=60,
        options={"g": "10"},
        container_options={"movflags": "frag_keyframe+empty_moov"},
    )
    data = bytearray(path.read_bytes())
    second = data.index(b"moof", data.index(b"moof") + 1)
    data[second : second + 4] = b"lost"
    path.write_bytes(data)
    assert examine(str(path)).patchy


def test_what_is_not_known_is_not_said(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    path.write_bytes(b"\x47" + bytes(187))
    assert not examine(str(path)).cut_short
    assert not examine(str(tmp_path / "absent.mp4")).cut_short

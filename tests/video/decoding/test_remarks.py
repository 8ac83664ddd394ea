"""What was done about a file's times is told, and nothing is where nothing was done."""

from __future__ import annotations

from pathlib import Path

import clips
from tempo.video.video import Video


def test_a_jump_that_is_taken_out_is_told(tmp_path: Path) -> None:
    one = clips.write(tmp_path / "one.ts", count=60, rate=10).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(one * 2)
    video = Video.open(path)
    (remark,) = video.remarks
    assert remark == "the file's clock jumps back by 6.0 s at 6.0 s; the jump is removed"
    assert 11.9 < video.duration < 12.3
    assert video.frame_count == 120


def test_joined_flash_files_are_told(tmp_path: Path) -> None:
    one = clips.write(tmp_path / "one.flv", codec="flv1", count=30, rate=10).read_bytes()
    path = tmp_path / "joined.flv"
    path.write_bytes(one * 3)
    remarks = Video.open(path).remarks
    assert remarks[-1] == "the file holds 3 recordings, one after the other; they are watched as one"
    assert len(remarks) == 3


def test_times_from_the_order_of_decoding_are_told(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.avi", count=30, options={"bf": "2"})
    assert Video.open(path).remarks == (
        "the file has no presentation times; pictures are shown in the decoder's order",
    )


def test_an_ordinary_file_needs_no_remark(tmp_path: Path) -> None:
    for name in ("clip.mp4", "clip.mkv", "clip.ts"):
        assert Video.open(clips.write(tmp_path / name, count=30)).remarks == ()

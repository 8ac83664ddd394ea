"""Generated videos say that they are, in every container and after a copy or a cut; no other video does."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

import clips
import tempo
from tempo.synthetic.video_files import FileSpec, make_file
from tempo.video.clips import cut
from tempo.video.video import Video

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments):
    subprocess.run([FFMPEG, "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    path = tmp_path_factory.mktemp("generated") / "film.mp4"
    make_file(path, FileSpec(seconds=6, height=120, fps=5), seed="provenance", questions=1)
    return path


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "avi", "flv"])
def test_the_mark_survives_a_copy_and_a_cut(generated, tmp_path, ending):
    copy = tmp_path / f"copy.{ending}"
    ffmpeg("-i", generated, "-c", "copy", copy)
    video = Video.open(copy)
    assert video.generated
    piece = cut(video, 1.0, 3.0, tmp_path)
    assert Video.open(piece.path).generated
    if ending in ("mp4", "avi"):
        assert piece.copied == (ending == "mp4")


def test_the_mark_survives_another_codec(generated, tmp_path):
    small = tmp_path / "small.webm"
    ffmpeg("-i", generated, "-c:v", "libvpx", "-s", "64x36", small)
    assert Video.open(small).generated


def test_other_videos_do_not_have_it(tmp_path):
    other = tmp_path / "other.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=4:r=5:s=64x48", "-metadata", "comment=made by hand", other)
    assert not Video.open(other).generated
    assert not Video.open(cut(Video.open(other), 0.0, 2.0, tmp_path).path).generated
    assert not Video.open(clips.write(tmp_path / "plain.mkv", count=5)).generated


def test_frames_are_what_their_owner_says():
    video = Video.from_frames(np.zeros((4, 8, 8, 3), np.uint8), fps=2.0)
    assert not video.generated
    video.generated = True
    assert tempo.load().unfamiliar(video) is None

"""Videos in an object store: what fsspec reads is watched as the same file here is."""

import fsspec
import numpy as np
import pytest

import clips
import tempo
from tempo.errors import TempoError


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """(a video here, the same in fsspec's own store)."""
    here = clips.write(tmp_path_factory.mktemp("stored") / "film.mp4", count=100, rate=10, size=(128, 96))
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/film.mp4", here.read_bytes())
    store.pipe("/bucket/page.mp4", b"<html><body>no video</body></html>")
    yield here, "memory://bucket/film.mp4"
    store.rm("/bucket", recursive=True)


def frames(video):
    return list(video.stream(video.sample(fps=2), chunk=8))


def test_the_frames_and_times_are_those_of_the_file(stored):
    here, address = stored
    ours, theirs = frames(tempo.Video.open(address)), frames(tempo.Video.open(here))
    assert len(ours) == len(theirs) > 1
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one.frames, other.frames)
        assert np.array_equal(one.times, other.times)


def test_it_is_read_in_parts(stored):
    assert tempo.Video.open(stored[1])._remote.streams


def test_another_content_has_another_fingerprint(stored):
    here, _ = stored
    store = fsspec.filesystem("memory")
    found = []
    for ending in (b"", bytes(10)):
        store.pipe("/bucket/other.mp4", here.read_bytes() + ending)
        found.append(tempo.Video.open("memory://bucket/other.mp4").fingerprint)
    assert len(set(found)) == 2


def test_a_password_is_shown_nowhere():
    for address in ("sftp://me:secret@nowhere.invalid/film.mp4", "gs://me:secret@bucket/film.mp4"):
        with pytest.raises(TempoError) as caught:
            tempo.Video.open(address)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("memory://bucket/none.mp4", "no such file"),
        ("memory://bucket", "a folder"),
        ("memory://bucket/page.mp4", "web page"),
        ("s3://bucket/film.mp4", "s3fs"),
        ("zip://x::file:///etc/passwd", "addresses are not supported"),
    ],
)
def test_what_cannot_be_read_is_one_line(stored, address, words):
    if words == "s3fs":
        try:
            import s3fs  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("s3fs is installed")
    with pytest.raises(TempoError, match=words) as caught:
        tempo.Video.open(address)
    assert str(caught.value).startswith(address)
    assert "\n" not in str(caught.value)

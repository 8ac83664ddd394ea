"""Still and animated images, folders of images, arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

import clips
from tempo.errors import TempoError
from tempo.video.video import FrameBatch, Sampling, Video


def watch(video: Video, times: list[float] | None = None, **options: float) -> FrameBatch:
    sampling = video.sample(**options) if times is None else Sampling(np.array(times), 2.0)  # type: ignore[arg-type]
    (batch,) = video.stream(sampling, chunk=1000)
    return batch


def animation(path: Path, *, milliseconds: int | list[int] = 100, count: int = 12, **options: object) -> Path:
    first, *others = [Image.fromarray(clips.picture(i)) for i in range(count)]
    first.save(path, save_all=True, append_images=others, duration=milliseconds, loop=0, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.gif", {}),
        ("a.webp", {"lossless": True}),
        ("a.webp", {"quality": 90}),
        ("a.png", {}),
        pytest.param(
            "a.avif",
            {},
            marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF"),
        ),
    ],
)
def test_animations(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    video = Video.open(animation(tmp_path / name, **options))
    assert (video.kind, video.width, video.height) == ("video", 160, 96)
    assert video.duration == pytest.approx(1.2)
    assert video.frame_rate == pytest.approx(10.0)
    batch = watch(video, [0.0, 0.35, 0.65, 1.1])
    assert clips.indices(batch.frames) == [0, 3, 6, 11]
    np.testing.assert_allclose(batch.times, [0.0, 0.3, 0.6, 1.1], atol=1e-9)


def test_pictures_that_stay_for_different_times(tmp_path: Path) -> None:
    """One of them claims 10 ms, which browsers take for 100 ms."""
    video = Video.open(animation(tmp_path / "a.gif", milliseconds=[500, 10, 200, 1200], count=4))
    assert video.duration == pytest.approx(2.0)
    batch = watch(video, fps=10.0)
    assert clips.indices(batch.frames) == [0] * 5 + [1] + [2] * 2 + [3] * 12
    np.testing.assert_allclose(batch.times, np.arange(20) / 10, atol=1e-9)


def test_transparency_is_over_white(tmp_path: Path) -> None:
    frames = []
    for i in range(3):
        picture = np.zeros((40, 60, 4), np.uint8)
        picture[:, 20 * i : 20 * i + 20] = (200, 0, 0, 255)
        frames.append(Image.fromarray(picture))
    path = tmp_path / "alpha.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=200, disposal=2, loop=0)
    batch = watch(Video.open(path), [0.0, 0.25, 0.45])
    for i, frame in enumerate(batch.frames):
        columns = frame[20].astype(int)
        np.testing.assert_allclose(columns[20 * i + 2 : 20 * i + 18], [[200, 0, 0]] * 16, atol=4)
        np.testing.assert_allclose(np.delete(columns, slice(20 * i, 20 * i + 20), 0), 255, atol=1)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tiff"])
def test_still_images(tmp_path: Path, name: str) -> None:
    Image.fromarray(clips.picture(417)).save(tmp_path / name)
    video = Video.open(tmp_path / name)
    assert (video.kind, video.duration, video.width, video.height) == ("image", 0.0, 160, 96)
    sampling = video.sample(fps=2.0)
    assert sampling.times.tolist() == [0.0]
    assert sampling.fps == 2.0
    batch = watch(video)
    assert clips.indices(batch.frames) == [417]
    assert batch.times.tolist() == [0.0]


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    Image.fromarray(clips.picture(5)).save(tmp_path / "picture.mp4", format="PNG")
    assert Video.open(tmp_path / "picture.mp4").kind == "image"


def test_a_photo_taken_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    Image.fromarray(np.rot90(clips.picture(9), 1).copy()).save(tmp_path / "a.jpg", exif=exif)
    video = Video.open(tmp_path / "a.jpg")
    assert (video.width, video.height) == (160, 96)
    assert clips.indices(watch(video).frames) == [9]


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "CMYK", "I;16"])
def test_modes_of_images(tmp_path: Path, mode: str) -> None:
    gray = clips.picture(0b1010101010)[..., :1].repeat(3, -1)
    image = Image.fromarray(gray).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    image.save(path)
    (frame,) = watch(Video.open(path)).frames
    np.testing.assert_allclose(frame.astype(int), gray.astype(int), atol=2)


def test_a_folder_in_natural_order(tmp_path: Path) -> None:
    for i in range(12):
        Image.fromarray(clips.picture(i)).save(tmp_path / f"Frame{i}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    video = Video.open(tmp_path)
    assert (video.duration, video.frame_rate, video.frame_count) == (12.0, 1.0, 12)
    # Every image once, although two frames a second were asked for.
    batch = watch(video, fps=2.0)
    assert clips.indices(batch.frames) == list(range(12))
    assert batch.times.tolist() == list(range(12))
    assert video.sample(fps=2.0).fps == 1.0


def test_a_folder_at_a_rate(tmp_path: Path) -> None:
    for i in range(8):
        Image.fromarray(clips.picture(i)).save(tmp_path / f"{i:02d}.jpg")
    video = Video.open(tmp_path, frame_rate=4.0)
    assert video.duration == 2.0
    assert clips.indices(watch(video, fps=2.0).frames) == [0, 2, 4, 6]
    assert clips.indices(watch(video, fps=2.0, max_frames=3, min_frames=1).frames) == [0, 3, 7]


def test_images_of_different_sizes_become_one_size(tmp_path: Path) -> None:
    for i, size in enumerate([(160, 96), (320, 192), (80, 48)]):
        Image.fromarray(clips.picture(i, size)).save(tmp_path / f"{i}.png")
    assert clips.indices(watch(Video.open(tmp_path)).frames) == [0, 1, 2]


def test_a_broken_image_in_a_folder(tmp_path: Path) -> None:
    for i in range(5):
        Image.fromarray(clips.picture(i)).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"broken")
    video = Video.open(tmp_path)
    batch = watch(video)
    assert clips.indices(batch.frames) == [0, 1, 3, 4]
    assert batch.times.tolist() == [0, 1, 3, 4]
    assert video.damage.spans == ((2.0, 3.0),)
    assert video.damage.moments == 1


def test_nothing_but_broken_images(tmp_path: Path) -> None:
    (tmp_path / "2.png").write_bytes(b"broken")
    with pytest.raises(TempoError, match=r"2\.png: the image cannot be decoded"):
        Video.open(tmp_path)


def test_an_animation_that_is_cut_off(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), np.uint8)
    first, *others = [Image.fromarray(picture) for picture in noise]
    path = tmp_path / "a.gif"
    first.save(path, save_all=True, append_images=others, duration=100, loop=0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = Video.open(path)
    pictures = len(watch(video, fps=10.0))
    assert 3 <= pictures <= 6
    ((begin, end),) = video.damage.spans
    assert begin == pytest.approx(pictures / 10)
    assert end > begin


def test_arrays_are_already_sampled() -> None:
    frames = np.stack([clips.picture(i) for i in range(11)])
    video = Video.from_frames(frames, fps=4.0)
    assert (video.path, video.duration, video.frame_rate, video.frame_count) == (None, 2.75, 4.0, 11)
    for fps in (1.0, 2.0, 30.0):
        sampling = video.sample(fps=fps)
        assert sampling.fps == 4.0
        (batch,) = video.stream(sampling, chunk=100)
        assert (batch.frames == frames).all()
        assert batch.times.tolist() == [i / 4 for i in range(11)]
    # Only their number is limited.
    assert clips.indices(watch(video, max_frames=3).frames) == [0, 5, 10]
    assert clips.indices(watch(Video.from_frames(frames[:2], fps=4.0)).frames) == [0, 1]


def test_arrays_can_be_scaled_and_are_not_changed() -> None:
    frames = np.stack([clips.picture(i, (320, 192)) for i in range(4)])
    before = frames.copy()
    video = Video.from_frames(frames, fps=2.0)
    (batch,) = video.stream(video.sample(), chunk=8, size=(80, 48))
    assert batch.frames.shape == (4, 48, 80, 3)
    assert clips.indices(batch.frames) == [0, 1, 2, 3]
    (whole,) = video.stream(video.sample(), chunk=8)
    whole.frames[:] = 0
    assert (frames == before).all()


def test_views_of_arrays() -> None:
    """Frames in another order in memory are the same frames."""
    frames = np.stack([clips.picture(i) for i in range(4)])
    view = np.asfortranarray(frames)
    assert (watch(Video.from_frames(view, fps=2.0)).frames == frames).all()
    assert Video.from_frames(view, fps=2.0).fingerprint == Video.from_frames(frames, fps=2.0).fingerprint

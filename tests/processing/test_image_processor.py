import numpy as np
import pytest
import torch

from tempo.errors import TempoError
from tempo.processing.image_processor import Geometry, patches, smart_resize

PUBLISHED = Geometry()
NANO = Geometry(resize="direct", patch_size=8, min_pixels=48 * 48, max_pixels=5632)


@pytest.mark.parametrize("given", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_reference_patches(case, given):
    made, grids = [], []
    for frames in case.segments():
        pixels, grid = patches(given(frames[None]), PUBLISHED, kind=case.kind)
        made.append(pixels[0])
        grids.append(list(grid))
    pixels = torch.cat(made)
    expected = case.tensors["pixel_values_every_128th_patch"]
    assert grids == case.tensors["grid_thw"].tolist()
    torch.testing.assert_close(pixels[::128][: len(expected)], expected, atol=1e-5, rtol=0)
    assert pixels.sum(dtype=torch.float64).item() == pytest.approx(case.values["pixel_values_sum"], rel=1e-6)


@pytest.mark.cheap
def test_the_grid_is_known_before_the_pixels(case):
    _, height, width, _ = case.frames.shape
    grids = [list(PUBLISHED.grid(len(frames), width, height, kind=case.kind)) for frames in case.segments()]
    assert grids == case.tensors["grid_thw"].tolist()


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, (96, 48)),
        (640, 360, (96, 48)),
        (640, 480, (80, 64)),
        (360, 640, (48, 96)),
        (48, 48, (48, 48)),
    ],
)
def test_direct_sizes_are_multiples_within_the_limits(width, height, expected):
    size = NANO.stream_size(width, height)
    assert size == expected
    assert all(edge % 16 == 0 for edge in size)
    assert NANO.size_for(*size) == size  # the frames that arrive are not resized again


def test_published_frames_arrive_at_full_size():
    assert PUBLISHED.stream_size(1920, 1080) is None


@pytest.mark.parametrize("size", [(1, 1), (7, 900), (33, 47), (4000, 3000), (100, 19000)])
def test_any_size_comes_within_the_limits(size):
    width, height = smart_resize(*size, 32, 128 * 1024, 768 * 1024)
    assert width % 32 == height % 32 == 0
    assert width * height <= 768 * 1024 or min(width, height) == 32
    assert width * height >= 128 * 1024


def test_a_sliver_is_refused_in_words():
    with pytest.raises(TempoError, match="10×5000"):
        NANO.size_for(10, 5000)


def test_a_patch_holds_its_pixels_and_blocks_follow_the_merging():
    frames = np.zeros((1, 2, 32, 64, 3), np.uint8)
    geometry = Geometry(resize="direct", patch_size=8, min_pixels=1, max_pixels=32 * 64)
    row, column = np.indices((32, 64)) // 8
    frames[..., 0] = row * 8 + column  # every patch has its own red
    pixels, grid = patches(frames, geometry)
    assert grid == (1, 4, 8)
    red = ((pixels[0, :, 0] + 1) * 127.5).round().int().tolist()
    assert red[:8] == [0, 1, 8, 9, 2, 3, 10, 11]
    value = pixels[0].view(32, 3, 2, 8, 8)
    assert (value[:, 0] == value[:, 0, :1, :1, :1]).all()  # one patch, one red
    assert (value[:, 1:] == -1).all()


def test_an_odd_segment_repeats_its_last_frame():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 3, 48, 48, 3), np.uint8)
    odd, grid = patches(frames, NANO)
    even, even_grid = patches(np.concatenate([frames, frames[:, -1:]], axis=1), NANO)
    assert grid == even_grid == (2, 6, 6)
    torch.testing.assert_close(odd, even)


def test_segments_of_a_batch_do_not_see_one_another():
    frames = np.random.default_rng(1).integers(0, 256, (3, 2, 70, 90, 3), np.uint8)
    together, _ = patches(frames, PUBLISHED)
    for index in range(3):
        torch.testing.assert_close(together[index], patches(frames[index : index + 1], PUBLISHED)[0][0])


def test_configuration_errors_name_the_field():
    with pytest.raises(TempoError, match="patchsize"):
        Geometry.from_dict({"patchsize": 8})
    with pytest.raises(TempoError, match="resize"):
        Geometry.from_dict({"resize": "stretch"})
    assert Geometry.from_dict(NANO.to_dict()) == NANO

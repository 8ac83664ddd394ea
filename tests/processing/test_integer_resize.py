"""Resizing in whole numbers is PIL's, to the bit, on whatever device."""

import numpy as np
import pytest
import torch
from PIL import Image

from tempo.processing.integer_resize import resize

SIZES = [
    ((1280, 720), (512, 288)),
    ((720, 1280), (288, 512)),
    ((160, 96), (384, 256)),
    ((500, 281), (512, 272)),
    ((33, 47), (33, 64)),
    ((7, 900), (64, 320)),  # PIL shrinks the height of such a pole first
    ((1, 1), (32, 32)),
]


def noise(shape):
    return np.random.default_rng(1).integers(0, 256, shape)


def black_and_white(shape):
    """As far as a kernel with negative weights overshoots."""
    return (noise(shape) > 127) * 255


def gradient(shape):
    return np.broadcast_to(np.linspace(0, 255, shape[2])[:, None], shape)


@pytest.mark.cheap
@pytest.mark.parametrize("content", [noise, black_and_white, gradient])
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_it_is_what_pil_makes(old, new, content):
    frames_IHWC = content((2, old[1], old[0], 3)).astype(np.uint8)
    expected = [Image.fromarray(frame).resize(new, Image.Resampling.BICUBIC) for frame in frames_IHWC]
    assert np.array_equal(resize(torch.from_numpy(frames_IHWC), *new), np.stack(expected))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_a_gpu_finds_the_same(old, new):
    frames_IHWC = torch.from_numpy(noise((2, old[1], old[0], 3)).astype(np.uint8))
    assert torch.equal(resize(frames_IHWC.cuda(), *new).cpu(), resize(frames_IHWC, *new))

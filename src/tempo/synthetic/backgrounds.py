"""Renders the backgrounds of synthetic scenes: flat, gradient, noise, photographs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import resources

import numpy as np
from PIL import Image

from .script import Background


@lru_cache(maxsize=2)
def _photos(held_out: bool) -> list[Image.Image]:
    """The shipped photographs; those of the held-out folder are never seen in training."""
    folder = resources.files("tempo.assets").joinpath("photos", "heldout" if held_out else "train")
    names = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".jpg")), key=lambda item: item.name
    )
    pictures = []
    for item in names:
        with item.open("rb") as stream:
            pictures.append(Image.open(stream).convert("RGB"))
    return pictures


def _muted(rng: np.random.Generator) -> np.ndarray:
    """A dark or greyish colour, which no thing has."""
    grey = rng.uniform(15, 125)
    return np.clip(grey + rng.uniform(-28, 28, 3), 0, 255).astype(np.float32)


def _resized(field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Stretch float32 [h, w] to `size` = (width, height), smoothly."""
    return np.asarray(Image.fromarray(field).resize(size, Image.Resampling.BICUBIC), np.float32)


def _noise(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Grain of several coarsenesses around a muted colour."""
    out = np.zeros((size[1], size[0]), np.float32)
    for cells, strength in ((3, 22), (7, 16), (17, 11), (41, 7)):
        grid = rng.standard_normal((cells, cells)).astype(np.float32) * np.float32(
            strength * rng.uniform(0.3, 1)
        )
        out += _resized(grid, size)
    return np.clip(
        _muted(rng) + out[..., None] * (1 + 0.15 * rng.standard_normal(3).astype(np.float32)), 0, 170
    )


def _photo(rng: np.random.Generator, size: tuple[int, int], held_out: bool) -> np.ndarray:
    """A crop of a shipped photograph, flipped, dimmed and drained of some of its colour."""
    photos = _photos(held_out)
    photo = photos[int(rng.integers(len(photos)))]
    zoom = min(photo.width / size[0], photo.height / size[1]) * rng.uniform(
        0.5, 0.95
    )  # photo pixels a frame pixel
    width, height = size[0] * zoom, size[1] * zoom
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
    box = (left, top, left + width, top + height)
    crop = np.asarray(photo.resize(size, Image.Resampling.BICUBIC, box=box), np.float32)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    grey = crop.mean(axis=2, keepdims=True)
    saturation, light = np.float32(rng.uniform(0.2, 0.7)), np.float32(rng.uniform(0.4, 0.75))
    return np.clip((grey + (crop - grey) * saturation) * light, 0, 200)


def backdrop(background: Background, size: tuple[int, int], *, held_out: bool = False) -> np.ndarray:
    """The picture behind a scene: float32 [H, W, 3] in 0 … 255 for `size` = (width, height)."""
    rng = np.random.default_rng(background.seed)
    if background.kind == "photo":
        return np.ascontiguousarray(_photo(rng, size, held_out))
    if background.kind == "noise":
        return _noise(rng, size)
    if background.kind == "flat":
        return np.broadcast_to(_muted(rng), (size[1], size[0], 3)).copy()
    if background.kind == "gradient":
        a, b = _muted(rng), _muted(rng)
        slope = rng.standard_normal(2)
        slope /= np.abs(slope).sum()
        x, y = np.linspace(-1, 1, size[0], dtype=np.float32), np.linspace(-1, 1, size[1], dtype=np.float32)
        share = ((slope[0] * x[None] + slope[1] * y[:, None]) + 1) / 2
        return (a + (b - a) * share[..., None].astype(np.float32)).astype(np.float32)
    raise ValueError(f"no background is called {background.kind!r}")


def moving_backdrop(
    background: Background, size: tuple[int, int], *, held_out: bool = False
) -> Callable[[float], np.ndarray]:
    """The picture behind a scene at a share (0 … 1) of its time: uint8 [H, W, 3]."""
    if background.kind != "moving":
        base = backdrop(background, size, held_out=held_out).astype(np.uint8)
        return lambda share: base
    # A window that slides over a larger photograph.
    still = Background("photo", background.seed)
    margin = (size[0] // 4, size[1] // 4)
    photo = backdrop(still, (size[0] + margin[0], size[1] + margin[1]), held_out=held_out).astype(np.uint8)
    angle = np.random.default_rng((background.seed, 1)).uniform(0, 2 * np.pi)

    def at(share: float) -> np.ndarray:
        left, top = (
            round(space * (0.5 + (share - 0.5) * turn))
            for space, turn in zip(margin, (np.cos(angle), np.sin(angle)), strict=True)
        )
        return photo[top : top + size[1], left : left + size[0]]

    return at

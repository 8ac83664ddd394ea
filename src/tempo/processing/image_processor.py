"""From frames to patches: resizing, normalising and cutting, in torch and PIL.

Two ways of resizing, named by the checkpoint's configuration:

- ``published``: what Qwen3-VL's video processing in transformers computes, stage by stage, to the number.
- ``direct``: one size, known before decoding, so that frames arrive at it and nothing is resized twice.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from tempo.errors import TempoError

from . import integer_resize

Kind = Literal["video", "image"]
Grid = tuple[int, int, int]
"""Frame pairs, rows and columns of patches of a segment."""

_ASPECT_LIMIT = 200
_CAP = 512


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How frames become patches. `min_pixels` and `max_pixels` count those of one frame."""

    resize: Literal["published", "direct"] = "published"
    patch_size: int = 16
    frames_per_patch: int = 2
    merge_size: int = 2
    min_pixels: int = 128 * 32 * 32
    max_pixels: int = 768 * 32 * 32
    image_min_pixels: int = 64 * 32 * 32
    image_max_pixels: int = 16384 * 32 * 32
    mean: float = 0.5
    std: float = 0.5

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Geometry:
        """Read from a checkpoint's configuration; an unknown field is an error that names it."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise TempoError(f"config.json: geometry has no field {min(unknown)!r}")
        if values.get("resize", "published") not in ("published", "direct"):
            raise TempoError(
                f"config.json: geometry.resize is {values['resize']!r}; it must be 'published' or 'direct'"
            )
        geometry = cls(**values)
        for least, most in (("min_pixels", "max_pixels"), ("image_min_pixels", "image_max_pixels")):
            if getattr(geometry, least) > getattr(geometry, most):
                raise TempoError(f"config.json: geometry.{least} is larger than geometry.{most}")
        return geometry

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def factor(self) -> int:
        """Both edges are multiples of it: one visual token."""
        return self.patch_size * self.merge_size

    def stream_size(self, width: int, height: int, *, kind: Kind = "video") -> tuple[int, int] | None:
        """The (width, height) to ask the file's decoder for; None where the resizing needs full frames."""
        return self.size_for(width, height, kind=kind) if self.resize == "direct" else None

    def size_for(self, width: int, height: int, *, kind: Kind = "video") -> tuple[int, int]:
        """The (width, height) at which frames of that size are cut into patches."""
        if self.resize == "direct":
            return smart_resize(width, height, self.factor, self.min_pixels, self.max_pixels)
        if kind == "image":
            return smart_resize(width, height, self.factor, self.image_min_pixels, self.image_max_pixels)
        return self.stages(width, height)[-1]

    def stages(self, width: int, height: int) -> list[tuple[int, int]]:
        """The (width, height) behind each stage of the published way for videos, which rounds at each."""
        first = _capped_size(width, height)
        second = _frame_size(*first, factor=2 * self.factor)
        return [first, second, smart_resize(*second, self.factor, self.min_pixels, self.max_pixels)]

    def grid(self, frames: int, width: int, height: int, *, kind: Kind = "video") -> Grid:
        """Patches in time, height and width for a segment of `frames` frames of that size."""
        width, height = self.size_for(width, height, kind=kind)
        return -(-frames // self.frames_per_patch), height // self.patch_size, width // self.patch_size


def patches(
    frames_STHWC: np.ndarray | torch.Tensor, geometry: Geometry, *, kind: Kind = "video"
) -> tuple[torch.Tensor, Grid]:
    """Cut segments of equal shape into normalised patches.

    Args:
        frames_STHWC: uint8 RGB, S segments of T frames each. An odd T is made even by repeating the last
            frame. The patches of a tensor are made on its device.

    Returns:
        float32 patches [S, P, C·frames_per_patch·patch²], in the order in which the vision tower merges them,
        and the grid of one segment (time, height, width) with P = t·h·w.
    """
    segments, count, height, width, _ = frames_STHWC.shape
    frames_IHWC = frames_STHWC.reshape(-1, height, width, 3)
    if geometry.resize == "direct":
        target = geometry.size_for(width, height, kind=kind)
        assert (width, height) == target, (
            f"frames of {width}×{height} were asked for at {target[0]}×{target[1]}"
        )
        frames_ICHW = torch.as_tensor(frames_IHWC).permute(0, 3, 1, 2)
    elif kind == "image":
        frames_ICHW = _resize_image(torch.as_tensor(frames_IHWC), geometry)
    else:
        frames_ICHW = _resize_video(frames_IHWC, geometry)
    height, width = frames_ICHW.shape[2:]
    pixels_STCHW = frames_ICHW.reshape(segments, count, 3, height, width).float()
    pixels_STCHW = (pixels_STCHW / 255 - geometry.mean) / geometry.std
    if pad := -count % geometry.frames_per_patch:
        pixels_STCHW = torch.cat([pixels_STCHW, pixels_STCHW[:, -1:].expand(-1, pad, -1, -1, -1)], dim=1)
    return _cut(pixels_STCHW, geometry)


def _cut(pixels_STCHW: torch.Tensor, geometry: Geometry) -> tuple[torch.Tensor, Grid]:
    """[S, T, C, H, W] → [S, P, C·frames_per_patch·patch²] in merge-block order, and the grid."""
    segments, frames, channels, height, width = pixels_STCHW.shape
    time, patch, merge = geometry.frames_per_patch, geometry.patch_size, geometry.merge_size
    t, h, w = frames // time, height // patch, width // patch
    blocks = pixels_STCHW.reshape(
        segments, t, time, channels, h // merge, merge, patch, w // merge, merge, patch
    )  # S t time C h/m m p w/m m p
    blocks = blocks.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9)  # S t h/m w/m m m C time p p
    return blocks.reshape(segments, t * h * w, channels * time * patch * patch), (t, h, w)


def _resize_video(frames_IHWC: np.ndarray | torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """The published three stages → uint8-valued [I, C, H, W]. Each stage rounds, so none can be left out."""
    height, width = frames_IHWC.shape[1:3]
    first, second, (new_width, new_height) = geometry.stages(width, height)
    if isinstance(frames_IHWC, torch.Tensor):
        for size in (first, second):
            frames_IHWC = integer_resize.resize(frames_IHWC, *size)
    elif second != (width, height):
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:  # PIL resizes without the GIL
            frames_IHWC = np.stack(
                list(threads.map(partial(_resize_frame, sizes=(first, second)), frames_IHWC))
            )
    frames_ICHW = torch.as_tensor(frames_IHWC).permute(0, 3, 1, 2)
    if (new_width, new_height) != second:
        frames_ICHW = F.interpolate(
            frames_ICHW.float(), (new_height, new_width), mode="bicubic", antialias=True, align_corners=False
        )
        frames_ICHW = frames_ICHW.clamp_(0, 255).round_()
    return frames_ICHW


def _resize_frame(frame_HWC: np.ndarray, sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    picture = Image.fromarray(frame_HWC)
    for size in sizes:
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _resize_image(frames_IHWC: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """A still image is resized once, by torch's integer kernel, which rounds unlike the float one."""
    frames_ICHW = frames_IHWC.cpu().permute(0, 3, 1, 2)  # that kernel is the processor's alone
    height, width = frames_IHWC.shape[1:3]
    new_width, new_height = geometry.size_for(width, height, kind="image")
    if (new_width, new_height) == (width, height):
        return frames_IHWC.permute(0, 3, 1, 2)
    resized_ICHW = F.interpolate(
        frames_ICHW, (new_height, new_width), mode="bicubic", antialias=True, align_corners=False
    )
    return resized_ICHW.to(frames_IHWC.device)


def _capped_size(width: int, height: int) -> tuple[int, int]:
    """Stage one: the longer edge at most 512, each edge a multiple of 16 where that shrinks it."""
    longest = max(width, height)
    if longest <= _CAP:
        return width, height
    ratio = _CAP / longest
    return max(16, round(width * ratio / 16) * 16), max(16, round(height * ratio / 16) * 16)


def _frame_size(width: int, height: int, *, factor: int) -> tuple[int, int]:
    """Stage two: each edge a multiple of two visual tokens, and an area of at least four of those."""
    return smart_resize(width, height, factor, 4 * factor**2, 16384 * factor**2)


def smart_resize(width: int, height: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Qwen's rule: the nearest multiples of `factor` whose area lies between the two limits → (width,
    height).
    """
    if max(width, height) > _ASPECT_LIMIT * min(width, height):
        raise TempoError(f"a frame of {width}×{height} is longer than {_ASPECT_LIMIT} times its width")
    new_width = max(factor, round(width / factor) * factor)
    new_height = max(factor, round(height / factor) * factor)
    if new_width * new_height > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
    elif new_width * new_height < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        new_width = math.ceil(width * grow / factor) * factor
        new_height = math.ceil(height * grow / factor) * factor
    return new_width, new_height

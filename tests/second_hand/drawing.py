"""Clips as H.264 files, drawn by Pillow with shading, outlines and cast shadows."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .scenes import PAINTS, WAYS, Clip, Scene, Thing

OVERSAMPLING = 2


def write(clip: Clip, path: Path) -> Path:
    """Encode every frame of a clip."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=clip.fps, options={"crf": "20", "g": str(clip.fps * 2)})
        stream.width, stream.height = clip.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        backdrops = {scene.start: backdrop(scene.backdrop, clip.size, clip.seed) for scene in clip.scenes}
        for number in range(round(clip.seconds * clip.fps)):
            time = (number + 0.5) / clip.fps
            scene = next(s for s in clip.scenes if time < s.end or s is clip.scenes[-1])
            picture = frame(scene, time, backdrops[scene.start])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        container.mux(stream.encode())
    return path


def frame(scene: Scene, time: float, behind: Image.Image) -> Image.Image:
    """What a scene looks like at a time, in seconds of the clip."""
    width, height = behind.size
    canvas = behind.resize((width * OVERSAMPLING, height * OVERSAMPLING), Image.Resampling.BILINEAR)
    shadows = Image.new("L", canvas.size)
    placed = [(thing, *centre(thing, scene, time, (width, height))) for thing in scene.things]
    for thing, x, y in placed:
        radius = thing.size * height * OVERSAMPLING
        offset = 0.18 * radius
        points = outline(thing.name, x * OVERSAMPLING + offset, y * OVERSAMPLING + offset, radius)
        ImageDraw.Draw(shadows).polygon(points, fill=90)
    shadows = shadows.filter(ImageFilter.GaussianBlur(4 * OVERSAMPLING))
    canvas = Image.composite(Image.new("RGB", canvas.size, (25, 25, 30)), canvas, shadows)
    for thing, x, y in placed:
        _paint(canvas, thing, x * OVERSAMPLING, y * OVERSAMPLING, thing.size * height * OVERSAMPLING)
    return canvas.resize((width, height), Image.Resampling.LANCZOS)


def centre(thing: Thing, scene: Scene, time: float, size: tuple[int, int]) -> tuple[float, float]:
    """Where a thing is, in pixels: it starts slowly, is fastest in the middle, and slows down again."""
    width, height = size
    x, y = thing.middle[0] * width, thing.middle[1] * height
    if thing.motion == "still":
        return x, y
    share = min(1.0, max(0.0, (time - scene.start) / (scene.end - scene.start)))
    eased = 0.5 - 0.5 * math.cos(math.pi * share)
    way = thing.travel * min(width, height) * (eased - 0.5)
    across, down = WAYS[thing.motion]
    return x + across * way, y + down * way


def outline(name: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """The corners of a shape around (x, y); round ones have many."""
    if name == "circle":
        return _ring(x, y, radius, 72)
    if name == "square":
        side = radius * 0.88
        return [(x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)]
    if name == "triangle":
        return _ring(x, y + 0.15 * radius, radius * 1.12, 3)
    if name == "diamond":
        return [(x, y - 1.15 * radius), (x + 0.8 * radius, y), (x, y + 1.15 * radius), (x - 0.8 * radius, y)]
    if name == "star":
        outer, inner = _ring(x, y, radius * 1.15, 5), _ring(x, y, radius * 0.5, 5, turn=math.pi / 5)
        return [point for pair in zip(outer, inner, strict=True) for point in pair]
    if name == "heart":
        turns = [2 * math.pi * i / 90 for i in range(90)]
        scale = radius / 16
        return [
            (
                x + scale * 16 * math.sin(t) ** 3,
                y - scale * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)),
            )
            for t in turns
        ]
    raise ValueError(name)


def _ring(x: float, y: float, radius: float, corners: int, *, turn: float = 0.0) -> list[tuple[float, float]]:
    angles = [turn + 2 * math.pi * i / corners for i in range(corners)]
    return [(x + radius * math.sin(a), y - radius * math.cos(a)) for a in angles]


def _paint(canvas: Image.Image, thing: Thing, x: float, y: float, radius: float) -> None:
    """Lighter at the upper left, darker at the lower right, with a thin dark line around."""
    points = outline(thing.name, x, y, radius)
    left, top = (math.floor(min(p[i] for p in points)) - 2 for i in (0, 1))
    right, bottom = (math.ceil(max(p[i] for p in points)) + 3 for i in (0, 1))
    mask = Image.new("L", (right - left, bottom - top))
    local = [(px - left, py - top) for px, py in points]
    ImageDraw.Draw(mask).polygon(local, fill=255)
    rows, columns = np.mgrid[0 : bottom - top, 0 : right - left]
    light = 1.13 - 0.3 * (rows / (bottom - top) + columns / (right - left)) / 2 * 1.6
    shaded = np.clip(np.asarray(PAINTS[thing.paint])[None, None] * light[..., None], 0, 255).astype(np.uint8)
    canvas.paste(Image.fromarray(shaded), (left, top), mask)
    dark = tuple(channel // 2 for channel in PAINTS[thing.paint])
    ImageDraw.Draw(canvas).line([*points, points[0]], fill=dark, width=max(2, round(radius / 22)))


def backdrop(kind: str, size: tuple[int, int], seed: str) -> Image.Image:
    """A quiet picture behind the things, with no colour that a thing could be mistaken for."""
    width, height = size
    rng = np.random.default_rng(hash_of(f"{kind}/{seed}"))
    rows, columns = np.mgrid[0:height, 0:width]
    if kind == "linen":
        weave = 8 * np.sin(rows * 0.9) + 8 * np.sin(columns * 0.9) + rng.normal(0, 5, (height, width))
        grey = 150 + weave
        return _picture(grey, grey - 4, grey - 14)
    if kind == "planks":
        grain = 12 * np.sin(columns / 9 + 3 * np.sin(rows / 60)) + rng.normal(0, 3, (height, width))
        seam = np.where(rows % max(12, height // 6) < 2, -45, 0)
        return _picture(118 + grain + seam, 92 + grain + seam, 70 + grain + seam)
    if kind == "dusk":
        share = rows / height
        return _picture(40 + 60 * share, 48 + 44 * share, 74 + 18 * share)
    if kind == "tiles":
        edge = max(16, min(size) // 7)
        checks = ((rows // edge + columns // edge) % 2) * 26
        return _picture(96 + checks, 104 + checks, 106 + checks)
    far = np.hypot(rows - height / 2, columns - width / 2) / np.hypot(width, height)
    return _picture(188 - 90 * far, 190 - 90 * far, 196 - 90 * far)


def hash_of(text: str) -> int:
    """The same number for a text in every process."""
    value = 0
    for letter in text:
        value = (value * 131 + ord(letter)) % 2**31
    return value


def _picture(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8))

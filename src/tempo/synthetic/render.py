"""Renders scripts to frames, with antialiasing at any size."""

from __future__ import annotations

import numpy as np

from .backgrounds import moving_backdrop
from .pictures import (
    level_of,
    picture,
    sign,
    stretched,
)
from .script import Scene, Script, Thing
from .shapes import DISTANCES
from .vocabulary import COLOURS

_OUTLINE = 0.13  # width of the dark rim, in units of the radius: keeps a thing apart from any background


def _draw(
    frame: np.ndarray,
    thing: Thing,
    centre: tuple[float, float],
    radius: float,
    angle: float,
    tint: np.ndarray,
    extent: tuple[float, float],
) -> None:
    """Blend `thing` into `frame` (uint8 [H, W, 3]) in place, touching only the rectangle that it covers.

    `extent` is what the frame shows, in units of the shorter edge: pixels need not be square.
    """
    height, width = frame.shape[:2]
    per_x, per_y = width / extent[0], height / extent[1]  # pixels a unit
    if thing.shape not in DISTANCES:
        _paste(
            frame,
            thing,
            (centre[0] * per_x, centre[1] * per_y),
            (radius * per_x, radius * per_y),
            angle,
            tint,
        )
        return
    reach = radius * 1.2
    left, right = int((centre[0] - reach) * per_x) - 1, int((centre[0] + reach) * per_x) + 2
    top, bottom = int((centre[1] - reach) * per_y) - 1, int((centre[1] + reach) * per_y) + 2
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        return
    x = ((np.arange(left, right, dtype=np.float32) + 0.5) / per_x - centre[0]) / radius
    y = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / per_y - centre[1]) / radius
    x, y = np.broadcast_arrays(x[None, :].astype(np.float32), y[:, None].astype(np.float32))
    if angle:
        x, y = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        x, y = x.astype(np.float32), y.astype(np.float32)
    pixels = radius * (per_x * per_y) ** 0.5  # how many pixels one radius is
    distance = DISTANCES[thing.shape](x, y).astype(np.float32)
    inside = np.clip(0.5 - distance * pixels, 0, 1)[..., None]
    rim = np.clip(0.5 - (distance - _OUTLINE) * pixels, 0, 1)[..., None]
    patch = frame[top:bottom, left:right].astype(np.float32)
    patch *= 1 - 0.75 * rim
    patch += (tint - patch) * inside
    frame[top:bottom, left:right] = patch + 0.5


def _paste(
    frame: np.ndarray,
    thing: Thing,
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float,
    tint: np.ndarray,
) -> None:
    """Blend a picture or a sign into `frame`; `centre` and `radii` in pixels."""
    if thing.text:
        red, green, blue = tint.astype(int).tolist()
        image = sign(thing.text, (red, green, blue), level_of(radii[1]))
        radii = (radii[0], radii[1] / 2)
    else:
        image = picture(thing.shape, level_of(2 * max(radii)))
    reach = int(np.hypot(*radii)) + 2
    left, top = int(centre[0]) - reach, int(centre[1]) - reach
    size = (2 * reach, 2 * reach)
    stamp = stretched(image, size, radii, angle, middle=(centre[0] - left, centre[1] - top))
    if thing.covered:
        _hide(stamp, thing.covered, (centre[0] - left, centre[1] - top), radii)
    box = (max(top, 0), min(top + size[1], frame.shape[0]), max(left, 0), min(left + size[0], frame.shape[1]))
    if box[0] >= box[1] or box[2] >= box[3]:
        return
    part = stamp[box[0] - top : box[1] - top, box[2] - left : box[3] - left]
    colour, share = part[..., :3], part[..., 3:] / 255
    if not thing.text:
        colour = np.clip(colour * (tint / 255), 0, 255)
    patch = frame[box[0] : box[1], box[2] : box[3]]
    patch[:] = patch + (colour - patch) * share + 0.5


def _hide(stamp: np.ndarray, share: float, middle: tuple[float, float], radii: tuple[float, float]) -> None:
    """Put a grey post in front of a part of a picture, in place: `share` of its width, from the left, or
    from the right where negative. All in pixels of `stamp` (float32 [H, W, 4])."""
    x = np.arange(stamp.shape[1]) + 0.5 - middle[0]
    y = np.arange(stamp.shape[0]) + 0.5 - middle[1]
    behind = np.sign(share) * x < radii[0] * (2 * abs(share) - 1)
    stamp[:, behind] = 0  # a rotated picture reaches beyond its post
    post = (behind & (np.abs(x) <= radii[0]))[None] & (np.abs(y) <= radii[1])[:, None]
    stamp[post] = (40, 40, 40, 255)


def tint_of(thing: Thing, background_seed: int) -> np.ndarray:
    """The thing's colour with a little variation that stays the same for the whole scene; float32 [3]. Of a
    picture: what its own colours are multiplied by, times 255."""
    rng = np.random.default_rng((background_seed, len(thing.shape), int(thing.radius * 1e6)))
    if not thing.colour:
        return (255 * rng.uniform(0.75, 1.1) * rng.uniform(0.85, 1.1, 3)).astype(np.float32)
    return np.clip(np.array(COLOURS[thing.colour], np.float32) + rng.uniform(-14, 14, 3), 0, 255).astype(
        np.float32
    )


def render_scene(
    scene: Scene,
    times: np.ndarray,
    size: tuple[int, int],
    extent: tuple[float, float],
    *,
    held_out: bool = False,
) -> np.ndarray:
    """Frames of one scene at `times` (seconds), as uint8 [T, H, W, 3]; `size` is (width, height) in
    pixels."""
    backdrops = moving_backdrop(scene.background, size, held_out=held_out)
    length = scene.end - scene.start
    tints = [tint_of(thing, scene.background.seed) for thing in scene.things]
    frames = np.empty((len(times), size[1], size[0], 3), np.uint8)
    for index, time in enumerate(times):
        frame = frames[index]
        frame[:] = backdrops((time - scene.start) / length)
        for thing, tint in zip(scene.things, tints, strict=True):
            if thing.seen(time):
                radius, angle = scene.radius(thing, time), scene.angle(thing, time)
                _draw(frame, thing, scene.at(thing, time), radius, angle, tint, extent)
    return frames


def render(script: Script, times: np.ndarray, size: tuple[int, int], *, held_out: bool = False) -> np.ndarray:
    """Frames of `script` at ascending `times` (seconds), as uint8 [T, H, W, 3]; `size` is (width, height)."""
    ends = np.array([scene.end for scene in script.scenes[:-1]])
    which = np.searchsorted(ends, times, side="right")
    parts = [
        render_scene(script.scenes[index], times[which == index], size, script.extent, held_out=held_out)
        for index in np.unique(which)
    ]
    return np.concatenate(parts)

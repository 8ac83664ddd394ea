"""Scripts → frames, drawn with antialiasing at any size."""

from __future__ import annotations

import numpy as np

from tempo.world.backgrounds import backdrop
from tempo.world.script import Scene, Script, Thing
from tempo.world.shapes import DISTANCES
from tempo.world.vocabulary import COLOURS

_OUTLINE = 0.13  # width of the dark rim, in units of the radius: keeps a thing apart from any background


def _draw(
    frame: np.ndarray,
    thing: Thing,
    centre: tuple[float, float],
    tint: np.ndarray,
    extent: tuple[float, float],
) -> None:
    """Blend `thing` into `frame` (uint8 [H, W, 3]) in place, touching only the rectangle that it covers.

    `extent` is what the frame shows, in units of the shorter edge: pixels need not be square.
    """
    height, width = frame.shape[:2]
    per_x, per_y = width / extent[0], height / extent[1]  # pixels a unit
    reach = thing.radius * 1.2
    left, right = int((centre[0] - reach) * per_x) - 1, int((centre[0] + reach) * per_x) + 2
    top, bottom = int((centre[1] - reach) * per_y) - 1, int((centre[1] + reach) * per_y) + 2
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        return
    x = ((np.arange(left, right, dtype=np.float32) + 0.5) / per_x - centre[0]) / thing.radius
    y = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / per_y - centre[1]) / thing.radius
    x, y = np.broadcast_arrays(x[None, :].astype(np.float32), y[:, None].astype(np.float32))
    pixels = thing.radius * (per_x * per_y) ** 0.5  # how many pixels one radius is
    distance = DISTANCES[thing.shape](x, y).astype(np.float32)
    inside = np.clip(0.5 - distance * pixels, 0, 1)[..., None]
    rim = np.clip(0.5 - (distance - _OUTLINE) * pixels, 0, 1)[..., None]
    patch = frame[top:bottom, left:right].astype(np.float32)
    patch *= 1 - 0.75 * rim
    patch += (tint - patch) * inside
    frame[top:bottom, left:right] = patch + 0.5


def tint_of(thing: Thing, background_seed: int) -> np.ndarray:
    """The thing's colour with a little variation that stays the same for the whole scene; float32 [3]."""
    rng = np.random.default_rng((background_seed, len(thing.shape), int(thing.radius * 1e6)))
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
    base = backdrop(scene.background, size, held_out=held_out).astype(np.uint8)
    tints = [tint_of(thing, scene.background.seed) for thing in scene.things]
    frames = np.empty((len(times), size[1], size[0], 3), np.uint8)
    for index, time in enumerate(times):
        frame = frames[index]
        frame[:] = base
        for thing, tint in zip(scene.things, tints, strict=True):
            if thing.start <= time < thing.end:
                _draw(frame, thing, scene.at(thing, time), tint, extent)
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

"""Signed distance functions of the shapes, which render at any size without aliasing.

Every function takes coordinates in units of the shape's radius (x to the right, y down) and returns an
approximate signed distance in the same units: negative inside, positive outside.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _circle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.95


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.82


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x) * 0.866 - (y + 0.95) * 0.5 + 0.03, y - 0.72)


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Fold the plane into half of one of the five points, then measure against that point's edge.
    angle = np.arctan2(x, -y)
    sector = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
    radius = np.hypot(x, y)
    px, py = radius * np.sin(sector), radius * np.cos(sector)
    tip, notch = (0.0, 1.05), (0.42 * np.sin(np.pi / 5), 0.42 * np.cos(np.pi / 5))
    nx, ny = tip[1] - notch[1], notch[0] - tip[0]
    return (px * nx + (py - tip[1]) * ny) / np.hypot(nx, ny)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ax, ay = np.abs(x), np.abs(y)
    return np.maximum(np.minimum(ax, ay) - 0.3, np.maximum(ax, ay) - 0.95)


def _diamond(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.abs(x) * 1.35 + np.abs(y) - 1.02) * 0.6


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ax, up = np.abs(x), 0.35 - y
    lobe = np.hypot(ax - 0.44, up - 0.52) - 0.5
    wedge = np.maximum((ax - up) * 0.7071 - 0.66, np.maximum(up - 0.55, (ax - 0.9)))
    point = np.maximum((ax * 0.78 - (up + 1.0) * 0.62), up - 0.5)
    return np.minimum(lobe, np.maximum(wedge, point))


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.68) - 0.27


DISTANCES: dict[str, Distance] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "diamond": _diamond,
    "heart": _heart,
    "ring": _ring,
}

"""Dense descriptions of a few seconds: everything that can be seen in them, in a fixed order.

Learning to write these is what gets a small model off the ground; see the training log.
"""

from __future__ import annotations

import numpy as np

from .script import Scene, Script, Thing
from .vocabulary import CHANGES, DIRECTIONS


def seen_action(scene: Scene, thing: Thing, times: np.ndarray) -> str | None:
    """What `thing` can be seen to do at `times` (seconds); None where it is not seen, "" where too little is
    seen."""
    inside = times[(times >= scene.start) & (times < scene.end)]
    visible = np.array([thing.seen(float(time)) for time in inside], bool)
    if not visible.any():
        return None
    if thing.action in CHANGES:
        return thing.action if len(inside) >= 3 else ""
    if thing.action in DIRECTIONS:
        return thing.action if visible.sum() >= 2 else ""
    if not visible.all():
        return "appears" if not visible[0] else "disappears"
    return "still" if visible.sum() >= 2 else ""


def first_seen(scene: Scene, thing: Thing, times: np.ndarray) -> float:
    """The first of `times` at which `thing` is there; it is there at one of them."""
    return next(float(time) for time in times if scene.start <= time < scene.end and thing.seen(float(time)))


def describe(script: Script, times: np.ndarray) -> str:
    """What can be seen at `times`: things of one scene from left to right, scenes in order, one line."""
    parts = []
    for scene in script.scenes:
        seen = []
        for thing in scene.things:
            action = seen_action(scene, thing, times)
            if action is None:
                continue
            words = (
                f"{thing.size} {thing.name}"
                + (f" {thing.text}" if thing.text else "")
                + (f" {action}" if action else "")
            )
            seen.append((scene.at(thing, first_seen(scene, thing, times))[0], words))
        if seen:
            parts.append(", ".join(words for _, words in sorted(seen)))
    return "; then ".join(parts) + "." if parts else "nothing."

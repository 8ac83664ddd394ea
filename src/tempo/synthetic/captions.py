"""Dense captions of a few seconds of a script: everything that can be seen in them, in a fixed order.

The first pre-training stages of the embedded model learn to write them; see research/LOG.md.
"""

from __future__ import annotations

import numpy as np

from .script import Scene, Script, Thing
from .vocabulary import CHANGES, DIRECTIONS


def seen_action(scene: Scene, thing: Thing, times: np.ndarray) -> str | None:
    """What `thing` visibly does at `times` (seconds); None: it is not seen; "": too little is seen."""
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


def caption(script: Script, times: np.ndarray) -> str:
    """A one-line caption of the frames at `times` (seconds): scene by scene, things from left to right."""
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

"""Dense descriptions of a few seconds: everything that can be seen in them, in a fixed order.

Learning to write these is what gets a small model off the ground; see the training log.
"""

from __future__ import annotations

import numpy as np

from tempo.world.script import Scene, Script, Thing
from tempo.world.vocabulary import DIRECTIONS


def seen_action(scene: Scene, thing: Thing, times: np.ndarray) -> str | None:
    """What `thing` can be seen to do at `times` (seconds); None where it is not seen, "" where too little is
    seen."""
    inside = times[(times >= scene.start) & (times < scene.end)]
    visible = (inside >= thing.start) & (inside < thing.end)
    if not visible.any():
        return None
    if thing.action in DIRECTIONS:
        return thing.action if visible.sum() >= 2 else ""
    if not visible.all():
        return "appears" if not visible[0] else "disappears"
    return "still" if visible.sum() >= 2 else ""


def describe(script: Script, times: np.ndarray) -> str:
    """What can be seen at `times`: things of one scene from left to right, scenes in order, one line."""
    parts = []
    for scene in script.scenes:
        seen = []
        for thing in scene.things:
            action = seen_action(scene, thing, times)
            if action is None:
                continue
            here = times[(times >= max(scene.start, thing.start)) & (times < min(scene.end, thing.end))]
            words = f"{thing.size} {thing.colour} {thing.shape}" + (f" {action}" if action else "")
            seen.append((scene.at(thing, float(here[0]))[0], words))
        if seen:
            parts.append(", ".join(words for _, words in sorted(seen)))
    return "; then ".join(parts) + "." if parts else "nothing."

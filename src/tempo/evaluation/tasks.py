"""Functions that the tasks on local files refer to in their YAML."""

from __future__ import annotations

from typing import Any

VIDEO = "tempo_video"  # the field of an item with the path of its video


def video_of(doc: dict[str, Any]) -> list[str]:
    """The video of an item; unlike in lmms-eval's tasks, the file need not exist."""
    return [doc[VIDEO]]

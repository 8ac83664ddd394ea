"""What the tasks that run on local files name in their YAML."""

from __future__ import annotations

from typing import Any

VIDEO = "tempo_video"
"""The field of an item that says where its video is."""


def video_of(doc: dict[str, Any]) -> list[str]:
    """The video of an item. Whoever watches it finds out whether it is there; tasks should not."""
    return [doc[VIDEO]]

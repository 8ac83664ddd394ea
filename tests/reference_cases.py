"""The reference vectors: what the published code computed, run by run; see reference/README.md."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from tempo.video.video import Video

REFERENCE = Path(__file__).parent / "reference"


@dataclass(frozen=True)
class Case:
    """One recorded run."""

    name: str
    values: dict[str, Any]

    @cached_property
    def tensors(self) -> dict[str, torch.Tensor]:
        return load_file(REFERENCE / "cases" / f"{self.name}.safetensors")

    @cached_property
    def frames(self) -> np.ndarray:
        return np.load(REFERENCE / "frames" / f"{self.values['frames']}.npz")["frames"]

    @property
    def query(self) -> str:
        return self.values["query"]

    @property
    def fps(self) -> float:
        return self.values["fps"]

    @property
    def kind(self) -> str:
        return self.values.get("kind", "video")

    @property
    def budget(self) -> int:
        return self.values.get("budget", 8192)

    @property
    def options(self) -> dict[str, Any]:
        """What to ask with."""
        return {
            "budget": self.budget,
            "adaptive": self.values.get("adaptive", True),
            "max_new_tokens": 24,
        }

    def segments(self) -> list[np.ndarray]:
        """The frames, eight at a time."""
        return [self.frames[start : start + 8] for start in range(0, len(self.frames), 8)]


CASES = {
    values["name"]: Case(values["name"], values)
    for values in json.loads((REFERENCE / "cases.json").read_text(encoding="utf-8"))
}

# By the video that they are about: these differ in the question or the budget alone.
CASES_BY_VIDEO = {
    frames: [case for case in CASES.values() if case.values["frames"] == frames]
    for frames in dict.fromkeys(case.values["frames"] for case in CASES.values())
}


def video_of(case: Case, tmp_path: Path) -> Video:
    """The case's frames as something to watch; a picture is written to a file."""
    if case.kind == "image":
        Image.fromarray(case.frames[0]).save(tmp_path / "picture.png")
        return Video.open(tmp_path / "picture.png")
    return Video.from_frames(case.frames, fps=case.fps)

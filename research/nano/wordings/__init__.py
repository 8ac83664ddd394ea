"""Questions as different people type them, written by hand: a kind and a template with gaps a line.

`train` is for training, `validation` for choosing; `held_out` is for the one report and nothing else. The
kinds and the gaps ({np}, {a}, {b}) are those of :mod:`tempo.synthetic.templates`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Part = Literal["train", "validation", "held_out"]


def read(part: Part) -> dict[str, list[str]]:
    """The templates of a part by their kind."""
    templates: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / f"{part}.tsv").read_text(encoding="utf-8").splitlines():
        kind, template = line.split("\t")
        templates.setdefault(kind, []).append(template)
    return templates

"""Which of a segment's memory tokens are kept, once it is known how many."""

from __future__ import annotations

from typing import Literal, get_args

Keep = Literal["head", "tail", "random", "merge"]
"""The published model keeps the head; the others are the paper's ablations."""
KEEPS: tuple[Keep, ...] = get_args(Keep)

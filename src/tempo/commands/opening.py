"""From arguments to a model and its options, in the same way for every verb."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tempo.commands.options import given

if TYPE_CHECKING:
    from tempo.engine import Tempo

MODEL_OPTIONS = ("base", "device", "dtype", "attention")
WATCH_OPTIONS = ("fps", "max_frames")
ANSWER_OPTIONS = ("budget", "adaptive", "keep", "max_new_tokens", "temperature")


def load_model(args: argparse.Namespace) -> Tempo:
    """Load the model that the shared options name."""
    import tempo

    return tempo.load(args.model, **given(args, *MODEL_OPTIONS))


def answer_options(args: argparse.Namespace) -> dict[str, Any]:
    """What the user said about answering, as keyword arguments of `Session.ask`."""
    return given(args, *ANSWER_OPTIONS)

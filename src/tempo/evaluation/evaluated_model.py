"""The model that a run evaluates, and a hash by which it is known again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tempo.storage import hashing

from .settings import Settings

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo


def load(settings: Settings, *, device: torch.device, run: Path | None = None) -> Tempo:
    """Load the model, and where it is a run's, write into its manifest what is only known now.

    Raises:
        TempoError: it cannot be loaded, or is another one than the run was begun with.
    """
    import tempo

    from .manifest import note_worker

    model = tempo.load(
        settings.pretrained,
        settings.base,
        device=device,
        dtype=settings.dtype,
        attention=settings.attention,
    )
    if run is not None:
        note_worker(run, model, hash_of(settings))
    return model


def hash_of(settings: Settings) -> str:
    """Hash of the checkpoint's files, and of its base's where it has one; both ends and 64 blocks of each."""
    from tempo.inference.engine import EMBEDDED
    from tempo.modeling.loading import find_checkpoint

    source = find_checkpoint(settings.pretrained or EMBEDDED, base=settings.base)
    files = [
        path
        for folder in (source.folder, source.base)
        if folder is not None
        for path in sorted(folder.iterdir())
        if path.suffix == ".safetensors" or path.name == "config.json"
    ]
    return hashing.of_files(str(path) for path in files)

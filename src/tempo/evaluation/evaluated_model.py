"""Load the model under evaluation, and hash it so that a resumed run cannot change models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tempo.storage import hashing

from .settings import Settings

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo


def load(settings: Settings, *, device: torch.device, run: Path | None = None) -> Tempo:
    """Load the model; for a RUN's folder, record the model and the machine in its manifest.

    Raises:
        TempoError: the model cannot be loaded, or the run was begun with another model.
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
    """Hash the files of the checkpoint and of its base model: both ends and 64 blocks of each file."""
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

"""`tempo.load`: from a checkpoint to a model on one device, or on several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from os import PathLike

import torch

from tempo.checkpoints.checkpoint import (
    ATTENTIONS,
    CheckpointFiles,
    find_files,
    load_prompts,
    with_config,
)
from tempo.checkpoints.checkpoint_files import Weights
from tempo.checkpoints.plain_config import plain_config
from tempo.checkpoints.plain_loading import load_plain
from tempo.devices import pick_devices, pick_dtype, prepare_process
from tempo.errors import TempoError, UsageError
from tempo.inference.engine import EMBEDDED, Tempo, sample
from tempo.networks.config import TempoFields
from tempo.video.sampling_options import SamplingMode
from tempo.video.video import Video


def load(
    path: str | PathLike[str] | None = None,
    base: str | PathLike[str] | None = None,
    *,
    device: str | torch.device | None = None,
    devices: str | Sequence[str | torch.device] | None = None,
    dtype: str | torch.dtype = "auto",
    attention: str = "sdpa",
    ray: str | None = None,
) -> Tempo:
    """Load a model.

    Args:
        path: a checkpoint's folder or hub name, in the published layout or our own. None: the embedded model.
        base: the base model of a published checkpoint, where it is neither beside it nor where it says.
        device: "auto" (and None) is a GPU if there is one.
        devices: several, which watch ranges of a video side by side, such as ["cuda:0", "cuda:1"], or "all":
            every GPU. The decoder is on the first. Beside it, each "cpu" is a process of its own.
        dtype: "auto" is bfloat16 on a GPU, on processors that are faster in it, and where float32 would not
            fit comfortably into memory; else float32.
        attention: how the language models attend: sdpa, eager or flash_attention_2. The vision tower always
            uses sdpa, over all frame pairs at once.
        ray: the address of a Ray cluster whose machines watch ranges of a video side by side: host:port,
            "auto" for the one that this machine belongs to, or "local". The decoder is here. The machines
            must see the model and the videos under the same names.

    Raises:
        TempoError: a part of the model is missing or damaged, a device is not there, or no Ray answers.
        UsageError: an option that does not exist, or `ray` beside `devices`.
    """
    return find(path, base, device=device, devices=devices, dtype=dtype, attention=attention, ray=ray).load()


def find(
    path: str | PathLike[str] | None = None,
    base: str | PathLike[str] | None = None,
    *,
    device: str | torch.device | None = None,
    devices: str | Sequence[str | torch.device] | None = None,
    dtype: str | torch.dtype = "auto",
    attention: str = "sdpa",
    ray: str | None = None,
) -> FoundModel:
    """Look up what :func:`load` loads, which is told there; nothing is read but configurations.

    Raises:
        TempoError: a part of the model is missing, or a device is not there.
        UsageError: an option that does not exist, or `ray` beside `devices`.
    """
    if ray is not None and devices is not None:
        raise UsageError("ray and devices exclude each other: the cluster's machines are the devices")
    if attention not in ATTENTIONS:
        raise UsageError(f"attention={attention!r}: choose from {', '.join(ATTENTIONS)}")
    chosen = pick_devices(device, devices)
    prepare_process(chosen[0])
    if path is None:
        if not (EMBEDDED / "config.json").is_file():
            raise TempoError("the embedded model is missing; name a checkpoint, or reinstall tempo")
        path, name = EMBEDDED, "tempo-nano"
    else:
        name = str(path)
    return FoundModel(find_files(path, base=base), name, chosen, dtype, attention, ray)


@dataclass(frozen=True)
class FoundModel:
    """A model of which only the configuration was read so far; the decoder will be on its first device."""

    files: CheckpointFiles
    name: str
    devices: Sequence[torch.device]
    dtype: str | torch.dtype
    attention: str
    ray: str | None

    @cached_property
    def config(self) -> TempoFields:
        """Raises TempoError: it cannot be right."""
        plain = plain_config(self.files.values)
        if plain is not None:
            return with_config(self.files, plain).config
        from tempo.modeling.loading import read_config_of  # which takes seconds

        return read_config_of(self.files).config

    def load(self) -> Tempo:
        """Read the weights. Raises as :func:`load`."""
        model = self._load()
        if self.ray is not None:
            return self._on_ray(model, self.ray)
        if len(self.devices) == 1:
            return model
        from tempo.distributed.distributed_engine import distribute

        return distribute(model, self.devices)

    def _on_ray(self, model: Tempo, address: str) -> Tempo:
        """Let a cluster read the weights too. Raises as :func:`load`."""
        from tempo.distributed.distributed_engine import distribute_on_ray

        load_there = partial(
            load,
            None if self.files.folder == EMBEDDED else self.files.folder.absolute(),
            None if self.files.base is None else self.files.base.absolute(),
            dtype=str(model.dtype).removeprefix("torch."),
            attention=self.attention,
        )
        return distribute_on_ray(model, address, load_there)

    def _load(self) -> Tempo:
        device = self.devices[0]
        dtype = pick_dtype(self.dtype, device, count_parameters=Weights(self.files.folder).count)
        plain = load_plain(self.files, device=device, dtype=dtype) if self.attention == "sdpa" else None
        if plain is not None:
            return Tempo(*plain, name=self.name)
        from tempo.modeling import TempoQwenForCausalLM  # which takes seconds
        from tempo.modeling.loading import read_config_of

        checkpoint = read_config_of(self.files)
        prompts = load_prompts(checkpoint)
        model = TempoQwenForCausalLM.load(checkpoint, device=device, dtype=dtype, attention=self.attention)
        return Tempo(model, prompts, name=self.name)

    def decoding(
        self,
        video: Video,
        *,
        fps: float | None = None,
        max_frames: int | None = None,
        sampling: SamplingMode = "exact",
    ) -> AbstractContextManager[None]:
        """Decode meanwhile what :meth:`Tempo.watch` will watch, for as long as the block lasts.

        Of several devices and machines each decodes a range of its own, once it is there.

        Raises:
            UsageError: an option that can never work.
            TempoError: the configuration cannot be right, or the video's shape.
        """
        if len(self.devices) > 1 or self.ray is not None:
            return nullcontext()
        size = self.config.make_geometry().stream_size(video.width, video.height, kind=video.kind)
        chosen = sample(self.config, video, fps=fps, max_frames=max_frames, sampling=sampling)
        return video.decoding(chosen, size=size)

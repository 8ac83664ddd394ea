"""A loaded model, ready to watch."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from functools import cached_property, partial
from os import PathLike

import torch

from tempo.assets import NANO
from tempo.devices import available_bytes, pick_device, pick_dtype, prepare_process
from tempo.errors import (
    NoRoomError,
    TempoError,
    UnfamiliarVideoWarning,
    UsageError,
)
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.checkpoint_files import Weights
from tempo.modeling.loading import (
    ATTENTIONS,
    find_source,
    load_prompts,
)
from tempo.processing.prompts import Prompts
from tempo.video.video import Damage, Sampling, Video

from . import memory_plan
from .cache_entry import Kept
from .loaded_model import LoadedModel
from .pipeline import Progress, watch
from .prefix_cache import (
    CacheKind,
    DiskCache,
    DiskShelf,
    MemoryShelf,
    check_kind,
    check_room,
)
from .results import Clock
from .session import Session

EMBEDDED = NANO


def load(
    path: str | PathLike[str] | None = None,
    base: str | PathLike[str] | None = None,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    attention: str = "sdpa",
) -> Tempo:
    """Load a model.

    Args:
        path: a checkpoint's folder or hub name, in the published layout or our own. None: the embedded model.
        base: the base model of a published checkpoint, where it is neither beside it nor where it says.
        device: "auto" is a GPU if there is one.
        dtype: "auto" is bfloat16 on a GPU, on processors that are faster in it, and where float32 would not
            fit comfortably into memory; else float32.
        attention: how the language models attend: sdpa, eager or flash_attention_2. The vision tower always
            uses sdpa, over all frame pairs at once.

    Raises:
        TempoError: a part of the model is missing or damaged, or the device is not there.
        UsageError: an option that does not exist.
    """
    if attention not in ATTENTIONS:
        raise UsageError(f"attention={attention!r}: it can be {', '.join(ATTENTIONS)}")
    chosen_device = pick_device(device)
    prepare_process(chosen_device)
    if path is None:
        if not (EMBEDDED / "config.json").is_file():
            raise TempoError(
                "this installation has no embedded model; name a checkpoint, or install tempo again"
            )
        path, name = EMBEDDED, "tempo-nano"
    else:
        name = str(path)
    source = find_source(path, base=base)
    prompts = load_prompts(source)
    chosen_dtype = pick_dtype(dtype, chosen_device, count_parameters=Weights(source.folder).count)
    model = TempoQwenForCausalLM.load(source, device=chosen_device, dtype=chosen_dtype, attention=attention)
    return Tempo(model, prompts, name=name)


class Tempo(LoadedModel):
    """A model that watches videos; what :func:`load` returns.

    Attributes:
        disk: where `cache="disk"` keeps videos.
    """

    def __init__(self, model: TempoQwenForCausalLM, prompts: Prompts, *, name: str = "tempo") -> None:
        super().__init__(model, prompts, name=name)
        self._warned = False
        self.disk = DiskCache()

    def watch(
        self,
        video: str | PathLike[str] | Video,
        *,
        fps: float | None = None,
        max_frames: int | None = None,
        cache: CacheKind = "device",
        progress: Progress | None = None,
    ) -> Session:
        """Watch a video: everything that does not depend on a question.

        Args:
            video: a file, a folder of images, an address, or an opened :class:`Video`.
            fps: frames a second; None: the model's own.
            max_frames: frames at most, evenly spread where there are more; None: the model's own.
            cache: where the result is kept: "device", "host", "disk" (which survives the process), or "none":
                every question watches the video anew, with the least memory. "auto" is "disk" where this
                video is kept there already, else "none".
            progress: called with (frames watched, frames to watch); with "none" while a question is answered.

        Raises:
            UsageError: an option that can never work.
            TempoError: the video cannot be read, or there is no room to keep it.

        Warns:
            UnfamiliarVideoWarning: once, where the model does not know such videos (`unfamiliar`).
        """
        self.check_process()
        kind = check_kind(cache)
        if not isinstance(video, Video):
            video = Video.open(video)
        if not self._warned and (warning := self.unfamiliar(video)):
            self._warned = True
            warnings.warn(warning, UnfamiliarVideoWarning, stacklevel=2)
        config = self.config
        sampling = video.sample(
            fps=config.fps if fps is None else fps,
            max_frames=config.max_frames if max_frames is None else max_frames,
            min_frames=config.min_frames,
        )
        key = self._key(video, sampling) if kind in ("disk", "auto") else ""
        optional = kind == "auto"
        if optional:
            kind = "disk" if self.disk.has(key) else "none"
        if kind == "none":
            return Session(self, video, sampling, kept=None, progress=progress)
        clock = Clock(self.device)
        found: tuple[Sequence[Kept], Damage] | None = self.disk.open(key) if kind == "disk" else None
        if found is not None:
            if progress is not None:
                progress(len(sampling), len(sampling))
        else:  # or it was damaged
            try:
                found = self._keep(kind, key, video, sampling, clock=clock, progress=progress)
            except NoRoomError:
                if not optional:
                    raise
                return Session(self, video, sampling, kept=None, progress=progress)
        return Session(
            self,
            video,
            sampling,
            kept=found[0],
            damage=found[1],
            timings={name: clock.seconds[name] for name in ("decode", "watch")},
            renew=partial(self._renew, key, video, sampling, progress),
            progress=progress,
        )

    def _keep(
        self,
        kind: CacheKind,
        key: str,
        video: Video,
        sampling: Sampling,
        *,
        clock: Clock,
        progress: Progress | None,
    ) -> tuple[Sequence[Kept], Damage]:
        """Watch a video and keep it: what is kept, and what could not be shown."""
        shelf = self._shelf(kind, key, video, sampling)
        try:
            for batch, reading in watch(self, video, sampling, clock=clock, progress=progress):
                shelf.add(batch.moments, reading)
            if isinstance(shelf, DiskShelf):
                shelf.lasts = video.interrupted is None  # what could not be fetched may come the next time
            return shelf.finish(damage=video.damage), video.damage
        except BaseException:
            if isinstance(shelf, DiskShelf):
                shelf.abandon()
            raise

    def _renew(
        self,
        key: str,
        video: Video,
        sampling: Sampling,
        progress: Progress | None,
        damaged: Sequence[Kept],
        clock: Clock,
    ) -> tuple[Sequence[Kept] | None, Damage]:
        """See :data:`tempo.inference.session.Renew`."""
        self.disk.discard(key, damaged)
        try:
            return self._keep("disk", key, video, sampling, clock=clock, progress=progress)
        except NoRoomError:
            return None, Damage()

    def _shelf(self, kind: CacheKind, key: str, video: Video, sampling: Sampling) -> MemoryShelf | DiskShelf:
        segments = -(-len(sampling) // self.config.segment_frames)
        expected = segments * memory_plan.kept_bytes(
            self.config.compressor(), self.segment_tokens(video), self.dtype
        )
        if kind == "disk":
            return self.disk.shelf(key, expected_bytes=expected)
        device = self.device if kind == "device" else torch.device("cpu")
        check_room(expected, available_bytes(device), cache=kind)
        return MemoryShelf(device)

    def _key(self, video: Video, sampling: Sampling) -> str:
        """Names what is kept: the file's content, the moments watched, the model, and how it reads."""
        reads = {
            "video": video.fingerprint,
            "fps": sampling.fps,
            "model": self._fingerprint,
            "geometry": self.geometry.to_dict(),
            "prompt": self.prompts.segment([0.0], tokens=1).ids,
            "segment_frames": self.config.segment_frames,
        }
        digest = hashlib.sha256(json.dumps(reads, sort_keys=True).encode())
        digest.update(sampling.times.tobytes())
        return digest.hexdigest()[:32]

    @cached_property
    def _fingerprint(self) -> str:
        """Hash of the compressor's weights, by values spread over every tensor."""
        digest = hashlib.sha256(str(self.dtype).encode())
        for name, tensor in sorted(self.model.compressor.vlm.state_dict().items()):
            values = tensor.flatten()[:: max(1, tensor.numel() // 64)].float().cpu()
            digest.update(f"{name}{list(tensor.shape)}".encode())
            digest.update(values.numpy().tobytes())
        return digest.hexdigest()

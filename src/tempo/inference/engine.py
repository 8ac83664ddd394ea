"""From weights to a model that watches videos: `tempo.load` and `Tempo.watch`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from os import PathLike
from typing import Unpack

import torch

from tempo.assets import NANO
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
from tempo.console import Progress, ProgressOption, download_bar, shown_progress
from tempo.devices import available_bytes, pick_device, pick_dtype, prepare_process
from tempo.errors import (
    NoRoomError,
    TempoError,
    UnfamiliarVideoWarning,
    UsageError,
)
from tempo.networks.compressor import PrefillState
from tempo.networks.config import TempoFields
from tempo.networks.tempo_network import TempoNetwork
from tempo.processing.batching import SegmentBatch
from tempo.processing.prompts import Prompts
from tempo.video.remote import scheme_of
from tempo.video.sampling_options import DecodeWorkers, SamplingMode
from tempo.video.video import Damage, Sampling, Video

from .async_answers import run
from .cache_entry import CacheEntry
from .cache_policy import CacheKind, check_kind, places
from .loaded_model import LoadedModel
from .memory_plan import cache_bytes
from .options import WatchOptions
from .phase_timer import PhaseTimer
from .pipeline import Step, Turn, go_on, prefill_video
from .prefix_cache import DiskCache, DiskCacheWriter, MemoryCacheWriter, check_room
from .session import Session

EMBEDDED = NANO

Prefill = Callable[..., Iterator[tuple[SegmentBatch, PrefillState]]]
"""`prefill_video` with how it makes way for others."""


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
    return find(path, base, device=device, dtype=dtype, attention=attention).load()


def find(
    path: str | PathLike[str] | None = None,
    base: str | PathLike[str] | None = None,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    attention: str = "sdpa",
) -> FoundModel:
    """Look up what :func:`load` loads, which is told there; nothing is read but configurations.

    Raises:
        TempoError: a part of the model is missing, or the device is not there.
        UsageError: an option that does not exist.
    """
    if attention not in ATTENTIONS:
        raise UsageError(f"attention={attention!r}: choose from {', '.join(ATTENTIONS)}")
    chosen_device = pick_device(device)
    prepare_process(chosen_device)
    if path is None:
        if not (EMBEDDED / "config.json").is_file():
            raise TempoError("the embedded model is missing; name a checkpoint, or reinstall tempo")
        path, name = EMBEDDED, "tempo-nano"
    else:
        name = str(path)
    return FoundModel(find_files(path, base=base), name, chosen_device, dtype, attention)


@dataclass(frozen=True)
class FoundModel:
    """A model of which only the configuration was read so far."""

    files: CheckpointFiles
    name: str
    device: torch.device
    dtype: str | torch.dtype
    attention: str

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
        dtype = pick_dtype(self.dtype, self.device, count_parameters=Weights(self.files.folder).count)
        plain = None
        if self.attention == "sdpa":
            plain = load_plain(self.files, device=self.device, dtype=dtype)
        if plain is not None:
            return Tempo(*plain, name=self.name)
        from tempo.modeling import TempoQwenForCausalLM  # which takes seconds
        from tempo.modeling.loading import read_config_of

        checkpoint = read_config_of(self.files)
        prompts = load_prompts(checkpoint)
        model = TempoQwenForCausalLM.load(
            checkpoint, device=self.device, dtype=dtype, attention=self.attention
        )
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

        Raises:
            UsageError: an option that can never work.
            TempoError: the configuration cannot be right, or the video's shape.
        """
        size = self.config.make_geometry().stream_size(video.width, video.height, kind=video.kind)
        chosen = _sampling(self.config, video, fps=fps, max_frames=max_frames, sampling=sampling)
        return video.decoding(chosen, size=size)


def _sampling(
    config: TempoFields,
    video: Video,
    *,
    fps: float | None,
    max_frames: int | None,
    start: float | None = None,
    end: float | None = None,
    sampling: SamplingMode = "exact",
) -> Sampling:
    """What a model watches of a video, by its configuration where nothing else is asked for."""
    return video.sample(
        fps=config.fps if fps is None else fps,
        max_frames=config.max_frames if max_frames is None else max_frames,
        min_frames=config.min_frames,
        start=start,
        end=end,
        sampling=sampling,
    )


class Tempo(LoadedModel):
    """A model that watches videos; what :func:`load` returns.

    Attributes:
        disk: where `cache="disk"` keeps videos.
    """

    def __init__(self, model: TempoNetwork, prompts: Prompts, *, name: str = "tempo") -> None:
        super().__init__(model, prompts, name=name)
        self._warned = False
        self.disk = DiskCache()

    def watch(
        self,
        video: str | PathLike[str] | Video,
        *,
        fps: float | None = None,
        max_frames: int | None = None,
        start: float | None = None,
        end: float | None = None,
        sampling: SamplingMode = "exact",
        decode_workers: DecodeWorkers | None = None,
        cache: CacheKind = "device",
        several: bool = False,
        progress: ProgressOption = "auto",
        turn: Turn = nullcontext,
        most_together: int | None = None,
    ) -> Session:
        """Watch a video: everything that does not depend on a question.

        Args:
            video: a file, a folder of images, an address, or an opened :class:`Video`.
            fps: frames a second; None: the model's own.
            max_frames: frames at most, evenly spread where there are more; None: the model's own.
            start: seconds; only what follows is watched, with all of the frames. None: the beginning.
            end: seconds, likewise; None: the end.
            sampling: "exact", or "keyframes": faster, as described at :meth:`Video.sample`.
            decode_workers: sets :attr:`Video.decode_workers`; None leaves it as it is.
            cache: where the result is kept: "device", "host", "disk" (which survives the process), or "none":
                every question watches the video anew, with the least memory. "auto" reuses what the disk has
                of this video; else it keeps nothing for one question, and for several whatever fits.
            several: whether more than one question will be asked; only "auto" takes notice.
            progress: called with (frames watched, frames to watch); with "none" while a question is answered.
                "auto" shows a bar in notebooks and terminals, None shows nothing.
            turn: makes a context manager that is entered for each batch of segments while it is computed, so
                that others can compute between two of them.
            most_together: segments of a batch at most; None: what is fastest.

        Raises:
            UsageError: an option that can never work.
            TempoError: the video cannot be read, or there is no room to keep it.

        Warns:
            UnfamiliarVideoWarning: once, where the model does not know such videos (`unfamiliar`).
        """
        self.check_process()
        kind = check_kind(cache)
        if not isinstance(video, Video):
            video = _opened(video, progress)
        if not self._warned and (warning := self.unfamiliar(video)):
            self._warned = True
            warnings.warn(warning, UnfamiliarVideoWarning, stacklevel=2)
        if decode_workers is not None:
            video.decode_workers = decode_workers
        chosen = _sampling(
            self.config,
            video,
            fps=fps,
            max_frames=max_frames,
            start=start,
            end=end,
            sampling=sampling,
        )
        key = self._key(video, chosen) if kind in ("disk", "auto") else ""
        order = places(kind, on_disk=kind == "auto" and self.disk.has(key), several=several)
        prefill = partial(prefill_video, turn=turn, most_together=most_together)
        for place in order[:-1]:
            with contextlib.suppress(NoRoomError):
                return self._watch(place, key, video, chosen, prefill, progress)
        return self._watch(order[-1], key, video, chosen, prefill, progress)

    async def awatch(
        self,
        video: str | PathLike[str] | Video,
        *,
        progress: Progress | None = None,
        **options: Unpack[WatchOptions],
    ) -> Session:
        """Like `watch`, for event loops: a thread computes, and stops soon after the task is cancelled.

        Args:
            progress: as for `watch`, called in that thread.
        """

        def watch(step: Step) -> Session:
            def move(done: int, total: int) -> None:
                if progress is not None:
                    progress(done, total)
                step()

            return self.watch(video, progress=move, **options)

        return await run(self, watch)

    def _watch(
        self,
        place: CacheKind,
        key: str,
        video: Video,
        sampling: Sampling,
        prefill: Prefill,
        progress: ProgressOption,
    ) -> Session:
        """Watch and keep in one place, or take what is there already. Raises NoRoomError: it is full."""
        if place == "none":
            return Session(self, video, sampling, entries=None, progress=progress)
        timer = PhaseTimer(self.device)
        found: tuple[Sequence[CacheEntry], Damage] | None = self.disk.open(key) if place == "disk" else None
        if found is None:
            found = self._prefill(place, key, video, sampling, prefill, timer=timer, progress=progress)
        elif callable(progress):
            progress(len(sampling), len(sampling))
        return Session(
            self,
            video,
            sampling,
            entries=found[0],
            damage=found[1],
            timings={name: timer.seconds[name] for name in ("decode", "watch")},
            rebuild=partial(self._rebuild, key, video, sampling, prefill, progress),
            progress=progress,
        )

    def _prefill(
        self,
        place: CacheKind,
        key: str,
        video: Video,
        sampling: Sampling,
        prefill: Prefill,
        *,
        timer: PhaseTimer,
        progress: ProgressOption,
        step: Step = go_on,
    ) -> tuple[Sequence[CacheEntry], Damage]:
        """Watch a video and keep it: the cache entries, and what could not be shown."""
        writer = self._writer(place, key, video, sampling)
        try:
            with shown_progress(progress, "watching", "frames") as move:
                for batch, state in prefill(self, video, sampling, timer=timer, progress=move, step=step):
                    writer.add(batch.segments, state)
            if isinstance(writer, DiskCacheWriter):
                writer.is_complete = video.interrupted is None  # what could not be fetched may come next time
            return writer.finish(damage=video.damage), video.damage
        except BaseException:
            if isinstance(writer, DiskCacheWriter):
                writer.abandon()
            raise

    def _rebuild(
        self,
        key: str,
        video: Video,
        sampling: Sampling,
        prefill: Prefill,
        progress: ProgressOption,
        damaged: Sequence[CacheEntry],
        timer: PhaseTimer,
        step: Step,
    ) -> tuple[Sequence[CacheEntry] | None, Damage]:
        """See :data:`tempo.inference.session.Rebuild`."""
        self.disk.discard(key, damaged)
        try:
            return self._prefill(
                "disk", key, video, sampling, prefill, timer=timer, progress=progress, step=step
            )
        except NoRoomError:
            return None, Damage()

    def _writer(
        self, place: CacheKind, key: str, video: Video, sampling: Sampling
    ) -> MemoryCacheWriter | DiskCacheWriter:
        segments = -(-len(sampling) // self.config.segment_frames)
        of_segment = cache_bytes(self.config.compressor(), self.segment_tokens(video), self.dtype)
        expected = segments * of_segment
        if place == "disk":
            return self.disk.writer(key, expected_bytes=expected)
        device = self.device if place == "device" else torch.device("cpu")
        check_room(expected, available_bytes(device), cache=place)
        return MemoryCacheWriter(device)

    def _key(self, video: Video, sampling: Sampling) -> str:
        """Names a cache entry: the file's content, the moments watched, the model, and how it reads."""
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


def _opened(path: str | PathLike[str], progress: ProgressOption) -> Video:
    """Open a video, with a progress bar where it is downloaded first and progress is shown at all."""
    if progress != "auto" or not scheme_of(str(path)):
        return Video.open(path)
    with download_bar() as move:
        return Video.open(path, progress=move)

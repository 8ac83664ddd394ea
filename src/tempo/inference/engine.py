"""From weights to a model that watches videos: `tempo.load` and `Tempo.watch`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property, partial
from os import PathLike
from typing import Unpack

import torch

from tempo.assets import NANO
from tempo.console import Progress, ProgressOption, download_bar, shown_progress
from tempo.devices import available_bytes
from tempo.errors import (
    NoRoomError,
    UnfamiliarVideoWarning,
)
from tempo.networks.config import TempoFields
from tempo.networks.tempo_network import TempoNetwork
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
from .prefix_cache import DiskCache, DiskCacheWriter, MemoryCacheWriter, check_room, discard
from .session import Session
from .watch_request import WatchRequest

EMBEDDED = NANO


def sample(
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
    """A model that watches videos; what :func:`tempo.load` returns.

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
        chosen = sample(
            self.config,
            video,
            fps=fps,
            max_frames=max_frames,
            start=start,
            end=end,
            sampling=sampling,
        )
        request = WatchRequest(
            key=self._key(video, chosen) if kind in ("disk", "auto") else "",
            video=video,
            sampling=chosen,
            progress=progress,
            turn=turn,
            most_together=most_together,
        )
        order = places(kind, on_disk=kind == "auto" and self._is_on_disk(request), several=several)
        for place in order[:-1]:
            with contextlib.suppress(NoRoomError):
                return self.watch_in(place, request)
        return self.watch_in(order[-1], request)

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

    def watch_in(self, place: CacheKind, request: WatchRequest) -> Session:
        """Watch and keep in one place, or take what is there already. Raises NoRoomError: it is full."""
        if place == "none":
            return Session(self, request, entries=None)
        timer = PhaseTimer(self.device)
        found: tuple[Sequence[CacheEntry], Damage] | None = (
            self.disk.open(request.key) if place == "disk" else None
        )
        if found is None:
            found = self._prefill(place, request, timer=timer)
        elif callable(request.progress):
            request.progress(len(request.sampling), len(request.sampling))
        return Session(
            self,
            request,
            entries=found[0],
            damage=found[1],
            timings={name: timer.seconds[name] for name in ("decode", "watch")},
            rebuild=partial(self.rebuild, request),
        )

    def _prefill(
        self, place: CacheKind, request: WatchRequest, *, timer: PhaseTimer, step: Step = go_on
    ) -> tuple[Sequence[CacheEntry], Damage]:
        """Watch a video and keep it: the cache entries, and what could not be shown."""
        video = request.video
        writer = self._writer(place, request)
        try:
            with shown_progress(request.progress, "watching", "frames") as move:
                for batch, state in prefill_video(
                    self,
                    video,
                    request.sampling,
                    timer=timer,
                    progress=move,
                    step=step,
                    turn=request.turn,
                    most_together=request.most_together,
                    part=request.part,
                ):
                    writer.add(batch.segments, state)
            if isinstance(writer, DiskCacheWriter):
                writer.is_complete = video.interrupted is None  # what could not be fetched may come next time
            return writer.finish(damage=video.damage), video.damage
        except BaseException:
            if isinstance(writer, DiskCacheWriter):
                writer.abandon()
            raise

    def rebuild(
        self, request: WatchRequest, damaged: Sequence[CacheEntry], timer: PhaseTimer, step: Step
    ) -> tuple[Sequence[CacheEntry] | None, Damage]:
        """See :data:`tempo.inference.watched_segments.Rebuild`."""
        discard(damaged)
        try:
            return self._prefill("disk", request, timer=timer, step=step)
        except NoRoomError:
            return None, Damage()

    def _writer(self, place: CacheKind, request: WatchRequest) -> MemoryCacheWriter | DiskCacheWriter:
        expected = self.expected_bytes(request)
        if place == "disk":
            return self.disk.writer(request.key, expected_bytes=expected)
        device = self.device if place == "device" else torch.device("cpu")
        check_room(expected, available_bytes(device), cache=place)
        return MemoryCacheWriter(device)

    def expected_bytes(self, request: WatchRequest) -> int:
        """What keeping a video takes."""
        of_segment = cache_bytes(self.config.compressor(), self.segment_tokens(request.video), self.dtype)
        return request.segments(self.config.segment_frames) * of_segment

    def _is_on_disk(self, request: WatchRequest) -> bool:
        return self.disk.has(request.key)

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

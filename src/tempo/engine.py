"""A loaded model, ready to watch."""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from tempo import memory
from tempo.answer import Clock
from tempo.assets import NANO
from tempo.cache import CacheKind, DiskCache, DiskShelf, MemoryShelf, check_kind, check_room
from tempo.cache_entry import Kept
from tempo.devices import pick_device, prepare_process
from tempo.errors import NoRoomError, TempoError, UnfamiliarVideoWarning, UsageError
from tempo.hub import PUBLISHED
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.configuration import SYNTHETIC
from tempo.modeling.folders import Weights
from tempo.modeling.loading import ATTENTIONS, find_source, load_model, load_prompts
from tempo.modeling.pretrained import DTYPES
from tempo.pipeline import Progress, watch
from tempo.prompts import Prompts
from tempo.session import Session
from tempo.video import Damage, Sampling, Video

EMBEDDED = NANO
COMFORTABLE = 0.7  # share of the free memory that weights may take; segments and what is kept need the rest


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
    chosen_dtype = pick_dtype(dtype, chosen_device, weights_of=source.folder)
    model = load_model(source, device=chosen_device, dtype=chosen_dtype, attention=attention)
    return Tempo(model, prompts, name=name)


class Tempo:
    """A model with its wording and its geometry.

    Attributes:
        model: the weights; `model.compressor`, `model.projector` and the decoder.
        prompts, geometry, config: what travels with them.
        name: what it was loaded by.
        disk: where `cache="disk"` keeps videos.
    """

    def __init__(self, model: TempoQwenForCausalLM, prompts: Prompts, *, name: str = "tempo") -> None:
        self.model = model
        self.prompts = prompts
        self.config = model.config
        self.geometry = model.config.make_geometry()
        self.name = name
        self._warned = False
        self.disk = DiskCache()
        self._process = os.getpid()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy that was sent to another process is at home there."""
        self.__dict__ |= state | {"_process": os.getpid()}
        prepare_process(self.device)

    def check_process(self) -> None:
        """See that this is the process in which the model was loaded.

        Raises:
            TempoError: it was forked from that one, and would wait for threads that it does not have.
        """
        if os.getpid() != self._process:
            raise TempoError(
                f"{self.name}: was loaded before this process was forked, and cannot compute in it; call "
                "tempo.load in each worker, or start workers with multiprocessing's spawn method"
            )

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def stop_ids(self) -> set[int]:
        """Tokens that end an answer."""
        ends = self.model.generation_config.eos_token_id
        ends = [] if ends is None else [ends] if isinstance(ends, int) else ends
        return {*ends, self.prompts.end_of_answer}

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

    def unfamiliar(self, video: Video) -> str | None:
        """One line for the user where this model does not know videos like this one, else None.

        The model's configuration says what it was trained on, the video whether it was generated.
        """
        if self.config.trained_on != SYNTHETIC or video.generated:
            return None
        return (
            f"{self.name} knows generated videos only, so its answers about other footage are guesses; "
            f"for real footage, run `tempo download` and use the model {PUBLISHED}"
        )

    def segment_tokens(self, video: Video) -> int:
        """Tokens of a full segment of this video up to the question, with the longest time tags."""
        t, h, w = self.geometry.grid(self.config.segment_frames, video.width, video.height, kind=video.kind)
        tokens = h * w // self.geometry.merge_size**2
        return len(self.prompts.segment([video.duration] * t, tokens=tokens, kind=video.kind).ids)

    def segments_together(self, video: Video, *, room: int, kept: bool = False) -> int:
        """How many segments of this video go through together, with `room` more tokens behind each.

        Args:
            kept: only those tokens are read; what is before them was.
        """
        frames = self.config.segment_frames
        t, h, w = self.geometry.grid(frames, video.width, video.height, kind=video.kind)
        width, height = self.geometry.stream_size(video.width, video.height) or (video.width, video.height)
        return memory.segments_together(
            self.config.compressor(),
            patches=t * h * w,
            tokens=self.segment_tokens(video) + room,
            kept=kept,
            frame_bytes=frames * height * width * 3,
            device=self.device,
            dtype=self.dtype,
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
        """See :data:`tempo.session.Renew`."""
        self.disk.discard(key, damaged)
        try:
            return self._keep("disk", key, video, sampling, clock=clock, progress=progress)
        except NoRoomError:
            return None, Damage()

    def _shelf(self, kind: CacheKind, key: str, video: Video, sampling: Sampling) -> MemoryShelf | DiskShelf:
        segments = -(-len(sampling) // self.config.segment_frames)
        expected = segments * memory.kept_bytes(
            self.config.compressor(), self.segment_tokens(video), self.dtype
        )
        if kind == "disk":
            return self.disk.shelf(key, expected_bytes=expected)
        device = self.device if kind == "device" else torch.device("cpu")
        check_room(expected, memory.available_bytes(device), cache=kind)
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


def pick_dtype(
    dtype: str | torch.dtype, device: torch.device, *, weights_of: Path | None = None
) -> torch.dtype:
    """The dtype to compute in.

    Args:
        weights_of: the folder of a model that is to be loaded. With "auto" it gets bfloat16, also where
            float32 is faster, if its weights would take more than COMFORTABLE of the memory that is there.

    Raises:
        UsageError: a dtype that does not exist.
        TempoError: there are no weights in the folder, or they are damaged.
    """
    if isinstance(dtype, torch.dtype):
        if not dtype.is_floating_point or dtype.itemsize < 2:
            raise UsageError(f"dtype={dtype}: it can be auto, {', '.join(DTYPES)}")
        return dtype
    if dtype == "auto":
        if device.type == "cuda" or _fast_in_bfloat16():
            return torch.bfloat16
        if weights_of is not None:
            taken = Weights(weights_of).count() * torch.float32.itemsize
            if taken > COMFORTABLE * memory.available_bytes(device):
                return torch.bfloat16
        return torch.float32
    if dtype not in DTYPES:
        raise UsageError(f"dtype={dtype!r}: it can be auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


_MEASURING = threading.Lock()


def _fast_in_bfloat16() -> bool:
    """Whether this processor multiplies matrices faster in bfloat16 than in float32."""
    with _MEASURING:  # the number of threads is the whole process's
        return _measured_in_bfloat16()


@cache
def _measured_in_bfloat16() -> bool:
    """The same, measured once.

    Measured, because its flags do not tell: some processors that have the instructions run them at half the
    speed of float32. Many short runs in turn on one thread, of which the shortest counts, so that other work
    on the machine does not change the choice: an answer should be the same one tomorrow.
    """
    # In a thread of its own: what it sets for itself does not reach the caller's.
    with ThreadPoolExecutor(1) as thread:
        seconds = thread.submit(_multiplying_seconds).result()
    return seconds[torch.bfloat16] < seconds[torch.float32]


def _multiplying_seconds() -> dict[torch.dtype, float]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    operands = {
        dtype: (torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype))
        for dtype in (torch.float32, torch.bfloat16)
    }
    seconds = dict.fromkeys(operands, math.inf)
    try:
        for _ in range(40):
            for dtype, (rows, weight) in operands.items():
                started = time.perf_counter()
                torch.nn.functional.linear(rows, weight)
                seconds[dtype] = min(seconds[dtype], time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return seconds

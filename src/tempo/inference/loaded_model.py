"""A model's weights with everything that travels with them: prompts, geometry, limits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from tempo.checkpoints.hub import PUBLISHED
from tempo.devices import prepare_process
from tempo.errors import TempoError
from tempo.markup import fact_table
from tempo.networks.config import SYNTHETIC
from tempo.networks.tempo_network import TempoNetwork
from tempo.processing.prompts import Prompts
from tempo.video.video import Video

from . import memory_plan
from .model_info import ModelInfo


class LoadedModel:
    """What a session computes with.

    Attributes:
        model: the weights; `model.compressor`, `model.projector` and the decoder.
        prompts, geometry, config: what travels with them.
        name: what it was loaded by.
    """

    def __init__(self, model: TempoNetwork, prompts: Prompts, *, name: str = "tempo") -> None:
        self.model = model
        self.prompts = prompts
        self.config = model.config
        self.geometry = model.config.make_geometry()
        self.name = name
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
    def info(self) -> ModelInfo:
        """What can be said of it without its weights."""
        return ModelInfo.of(self.name, self.config)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What it is and where it computes, as rows of a name and a text."""
        config = self.config
        known = "generated videos only" if config.trained_on == SYNTHETIC else "footage"
        return [
            ("model", self.name),
            ("parameters", f"{self._parameters / 1e6:,.1f} million"),
            ("computes", f"in {str(self.dtype).removeprefix('torch.')} on {self.device}"),
            ("knows", known),
            ("watches", f"{config.fps:g} frames per second, at most {config.max_frames}"),
            ("budget", f"{config.visual_token_budget} memory tokens"),
            ("context", f"{config.context} tokens"),
        ]

    @property
    def _parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def __repr__(self) -> str:
        millions = f"{self._parameters / 1e6:,.1f} M parameters"
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{type(self).__name__}({self.name!r}, {millions}, {dtype} on {self.device})"

    def _repr_html_(self) -> str:
        return fact_table(self.facts)

    @property
    def stop_ids(self) -> set[int]:
        """Tokens that end an answer."""
        ends = self.model.generation_config.eos_token_id
        ends = [] if ends is None else [ends] if isinstance(ends, int) else ends
        return {*ends, self.prompts.end_of_answer}

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

    def allocate(
        self, relevance: Sequence[float], *, budget: int | None = None, adaptive: bool = True
    ) -> list[int]:
        """As :meth:`ModelInfo.allocate`."""
        return self.info.allocate(relevance, budget=budget, adaptive=adaptive)

    def segment_tokens(self, video: Video) -> int:
        """Tokens of a full segment of this video up to the question, with the longest time tags."""
        t, h, w = self.geometry.grid(self.config.segment_frames, video.width, video.height, kind=video.kind)
        tokens = h * w // self.geometry.merge_size**2
        return len(self.prompts.segment([video.duration] * t, tokens=tokens, kind=video.kind).ids)

    def segments_per_batch(self, video: Video, *, reserve: int, cached: bool = False) -> int:
        """How many segments of this video go through together, with `reserve` more tokens behind each.

        Args:
            cached: only those tokens are read; what stands before them comes from the cache.
        """
        frames = self.config.segment_frames
        t, h, w = self.geometry.grid(frames, video.width, video.height, kind=video.kind)
        width, height = self.geometry.stream_size(video.width, video.height) or (video.width, video.height)
        return memory_plan.segments_per_batch(
            self.config.compressor(),
            patches=t * h * w,
            tokens=self.segment_tokens(video) + reserve,
            cached=cached,
            frame_bytes=frames * height * width * 3,
            device=self.device,
            dtype=self.dtype,
        )

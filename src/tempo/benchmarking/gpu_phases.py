"""The phases of an answer on a device, each in the plain way and in ways that may be faster.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from tempo.networks.compressor import Compressor, PrefillState
from tempo.networks.kv_cache import KVCache, ScratchBuffer
from tempo.networks.language_model import LanguageModel
from tempo.networks.packed_rows import read_rows
from tempo.networks.qwen3_vl import run_language, vision_features
from tempo.processing.image_processor import Geometry, patches

from .gpu_measures import StaticDecoder, captured, follow_up_in_place, overlapped
from .gpu_timing import REPEATS, Limits, Timing, time_action
from .published_size import (
    GRID,
    MEMORY_TOKENS,
    QUESTION,
    TINY,
    SegmentInputs,
    Size,
    blank_segments,
    build,
    build_decoder,
    empty_compressor,
    empty_decoder,
)
from .segment_flops import SegmentFlops, count_segment_flops, flops_of

KEPT = 22  # memory tokens of a segment that a follow-up keeps
_BATCHES = 4


@dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes:
        together: segments of a batch.
        storyline: tokens that the decoder reads.
        steps: tokens that it writes.
        frame: width and height of a decoded frame.
        repeats: calls of which the median counts.
    """

    size: Size
    device: torch.device
    dtype: torch.dtype
    together: int = 16
    storyline: int = 8192
    steps: int = 64
    frame: tuple[int, int] = (1280, 720)
    repeats: int = REPEATS

    @classmethod
    def tiny(cls, device: torch.device, dtype: torch.dtype) -> Work:
        return cls(TINY, device, dtype, together=2, storyline=32, steps=4, frame=(320, 180), repeats=1)


@dataclass(frozen=True)
class Row:
    """A phase in one way.

    Attributes:
        floor: seconds that it takes at the least; None: not known.
        skipped: why it was not timed.
    """

    phase: str
    measure: str
    timing: Timing | None
    floor: float | None = None
    skipped: str | None = None


class Phases:
    """Builds the models and measures phase after phase; memory is let go in between."""

    def __init__(self, work: Work, limits: Limits) -> None:
        self._work, self._limits = work, limits

    @torch.inference_mode()
    def rows(self) -> Iterator[Row]:
        """Every row, as soon as it is measured."""
        yield from self._pixels()
        yield from self._compressor()
        yield from self._decoder()

    def _time(self, phase: str, measure: str, action: Callable[[], object], floor: float | None) -> Row:
        return Row(phase, measure, time_action(action, self._work.device, repeats=self._work.repeats), floor)

    def _graph(self, phase: str, measure: str, action: Callable[[], object], floor: float | None) -> Row:
        """The same as a replayed graph."""
        if self._work.device.type != "cuda":
            return Row(phase, measure, None, skipped="needs CUDA")
        return self._time(phase, measure, captured(action), floor)

    def _pixels(self) -> Iterator[Row]:
        work, geometry = self._work, Geometry()
        width, height = work.frame
        shape = (work.together, 8, height, width, 3)
        frames_STHWC = torch.randint(0, 256, shape, dtype=torch.uint8)
        on_host = frames_STHWC.numpy()
        yield self._time(
            "pixels",
            "resized on the host, sent as numbers",
            lambda: patches(on_host, geometry)[0].to(work.device, work.dtype),
            None,
        )
        yield self._time(
            "pixels",
            "sent as uint8, resized on the device",
            lambda: patches(frames_STHWC.to(work.device, non_blocking=True), geometry)[0].to(work.dtype),
            None,
        )

    def _compressor(self) -> Iterator[Row]:
        work = self._work
        compressor, flops = build(work.dtype, work.device, work.size), _segment_flops(work.size)
        batches = [blank_segments(work.device, work.dtype, count) for count in (1, work.together)]
        yield from self._vision(compressor, batches, flops)
        yield from self._prefill(compressor, batches, flops)
        yield from self._questions(compressor, batches[-1], flops)

    def _vision(
        self, compressor: Compressor, batches: Sequence[SegmentInputs], flops: SegmentFlops
    ) -> Iterator[Row]:
        for inputs in batches:
            count = len(inputs.ids_SL)
            see = partial(vision_features, compressor.vlm.visual, inputs.pixels_SPC, GRID)
            floor = count * flops.vision / self._limits.flops
            yield self._time("vision", f"segments: {count}", see, floor)
            yield self._graph("vision", f"segments: {count}, graph", see, floor)

    def _prefill(
        self, compressor: Compressor, batches: Sequence[SegmentInputs], flops: SegmentFlops
    ) -> Iterator[Row]:
        one_floor = (flops.vision + flops.language) / self._limits.flops
        for inputs in batches:
            count = len(inputs.ids_SL)
            read = partial(compressor.prefill, inputs.pixels_SPC, GRID, inputs.ids_SL, inputs.spans)
            yield self._time("prefill", f"segments: {count}", read, count * one_floor)
        many, device = batches[-1], self._work.device
        host = [many.pixels_SPC.cpu() for _ in range(_BATCHES)]

        def watch(coming: Callable[[], Iterable[torch.Tensor]]) -> None:
            for pixels_SPC in coming():
                compressor.prefill(pixels_SPC, GRID, many.ids_SL, many.spans)

        floor = _BATCHES * len(many.ids_SL) * one_floor
        for measure, coming in (
            ("copied one by one", lambda: (pixels_SPC.to(device) for pixels_SPC in host)),
            ("pinned and overlapped", lambda: overlapped(host, device)),
        ):
            yield self._time("prefill", f"{_BATCHES} batches, {measure}", partial(watch, coming), floor)

    def _questions(self, compressor: Compressor, batch: SegmentInputs, flops: SegmentFlops) -> Iterator[Row]:
        reserve, question = QUESTION + MEMORY_TOKENS, [0] * QUESTION
        state = compressor.prefill(batch.pixels_SPC, GRID, batch.ids_SL, batch.spans, reserve=reserve)
        length, many = state.cache.length, len(batch.ids_SL)
        rows = [[row[:, :, :, :length]] for row in state.cache.data]
        buffer, device = ScratchBuffer(), self._work.device

        def gathered(tokens: int) -> PrefillState:
            cache = KVCache.gather(rows, segments=many, reserve=tokens, device=device, buffer=buffer)
            return PrefillState(cache, state.position)

        def in_place() -> PrefillState:
            return PrefillState(KVCache(state.cache.data, length), state.position)

        def follow_up() -> None:
            copy = gathered(QUESTION + KEPT)
            compressor.score(copy, question)
            compressor.compress(copy, KEPT)

        scored = many * flops.score / self._limits.flops
        whole = scored + many * flops.compress[KEPT] / self._limits.flops
        yield self._time(
            "score", "segments gathered", lambda: compressor.score(gathered(QUESTION), question), scored
        )
        yield self._time("score", "segments in place", lambda: compressor.score(in_place(), question), scored)
        yield self._time("follow-up", f"keeps {KEPT}, gathered", follow_up, whole)
        again = partial(follow_up_in_place, compressor, state, question, KEPT)
        yield self._time("follow-up", f"keeps {KEPT}, in place", again, whole)
        read = in_place()
        compressor.score(read, question)
        behind, position = read.cache.length, read.position
        for tokens in (KEPT, MEMORY_TOKENS):

            def compress(tokens: int = tokens) -> None:
                found = PrefillState(KVCache(state.cache.data, behind), position)
                compressor.compress(found, tokens)

            floor = many * flops.compress[tokens] / self._limits.flops
            yield self._time("compress", f"tokens: {tokens}", compress, floor)

    def _decoder(self) -> Iterator[Row]:
        work, device = self._work, self._work.device
        decoder, head = build_decoder(work.dtype, device, work.size)
        width = work.size.decoder.hidden_size
        story_1LU = torch.randn(1, work.storyline, width, device=device).to(work.dtype)
        cache = KVCache.allocate(decoder, 1, work.storyline + 2 * work.steps, like=story_1LU)
        place = torch.arange(work.storyline)[None]

        def read() -> None:
            cache.length = 0
            run_language(decoder, story_1LU, place, cache=cache, last_only=True)

        floor = _storyline_flops(work) / self._limits.flops
        yield self._time("storyline", f"tokens: {work.storyline}", read, floor)
        read()
        yield from self._steps(decoder, head, cache)

    def _steps(self, decoder: LanguageModel, head: nn.Linear, cache: KVCache) -> Iterator[Row]:
        """Tokens of an answer; the least is to read all weights and the storyline's keys for each."""
        work = self._work
        weights = sum(one.nbytes for one in decoder.layers.parameters()) + head.weight.nbytes
        kept = cache.data[..., : work.storyline, :].numel() * cache.data.itemsize
        least = work.steps * (weights + kept) / self._limits.bytes

        def plain() -> None:
            cache.length, token = work.storyline, 0
            for _ in range(work.steps):
                x_11U = decoder.embed_tokens(torch.tensor([[token]], device=work.device))
                token = int(head(read_rows(decoder, x_11U, [1], [cache]))[0, 0].float().argmax())

        name = f"{work.steps} steps"
        yield self._time("decoding", f"{name}, as in the engine", plain, least)
        cache.length = work.storyline
        static = StaticDecoder(decoder, head, cache, 0)

        def run(step: Callable[[], object], told: bool) -> None:
            static.position_1.fill_(work.storyline)
            for _ in range(work.steps):
                step()
                if told:
                    static.token_11.item()  # whoever shows the answer waits for each token

        for told, when in ((True, "told each token"), (False, "told at the end")):
            yield self._time("decoding", f"{name}, static, {when}", partial(run, static.step, told), least)
        if work.device.type != "cuda":
            yield Row("decoding", f"{name}, static, graph", None, skipped="needs CUDA")
            return
        static.position_1.fill_(work.storyline)
        replay = captured(static.step)
        for told, when in ((True, "told each token"), (False, "told at the end")):
            yield self._time("decoding", f"{name}, graph, {when}", partial(run, replay, told), least)
        compiled = torch.compile(static.step, mode="reduce-overhead")
        yield self._time("decoding", f"{name}, compiled", partial(run, compiled, True), least)


def _segment_flops(size: Size) -> SegmentFlops:
    """Of a segment, counted on the meta device."""
    meta = torch.device("meta")
    compressor = empty_compressor(size).to(meta).requires_grad_(False)
    one = blank_segments(meta)
    return count_segment_flops(
        compressor, one.pixels_SPC, GRID, one.ids_SL, one.spans, [0] * QUESTION, [KEPT, MEMORY_TOKENS]
    )


def _storyline_flops(work: Work) -> int:
    """Of reading a storyline, counted on the meta device."""
    decoder = empty_decoder(work.size).to("meta").requires_grad_(False)
    story_1LU = torch.empty(1, work.storyline, work.size.decoder.hidden_size, device="meta")
    cache = KVCache.allocate(decoder, 1, work.storyline, like=story_1LU)
    place = torch.arange(work.storyline)[None]
    return flops_of(lambda: run_language(decoder, story_1LU, place, cache=cache, last_only=True))

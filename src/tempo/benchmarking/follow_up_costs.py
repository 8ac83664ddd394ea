"""Measures what a follow-up saves at the published dimensions, on the compressor alone.

A first answer prefills, scores and compresses to all memory tokens, one batch of segments after the other. A
follow-up scores the question and compresses to the tokens that it keeps, on the cached prefill. Times are CPU
seconds of all cores together, because other work on the machine disturbs them least; on a GPU they are
wall-clock seconds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import Qwen3VLConfig

from tempo.inference.memory_plan import cache_bytes
from tempo.networks.compressor import Compressor, PrefillState
from tempo.networks.kv_cache import KVCache, ScratchBuffer

from .published_size import (
    GRID,
    MEMORY_TOKENS,
    QUESTION,
    SegmentInputs,
    Size,
    blank_segments,
    build,
    empty_compressor,
)
from .segment_flops import count_segment_flops


def seconds(device: torch.device) -> float:
    """CPU seconds so far; on a GPU, wall-clock seconds after it has finished its work."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.inference_mode()
def first_answer(compressor: Compressor, one: SegmentInputs) -> tuple[PrefillState, float]:
    """Answer with nothing cached; return the state up to the question and the seconds of the prefill."""
    reserve = QUESTION + MEMORY_TOKENS
    begun = seconds(one.ids_SL.device)
    state = compressor.prefill(one.pixels_SPC, GRID, one.ids_SL, one.spans, reserve=reserve)
    watched = seconds(one.ids_SL.device) - begun
    kept = PrefillState(KVCache(state.cache.data, state.cache.length), state.position)
    compressor.score(state, [0] * QUESTION)
    compressor.compress(state, MEMORY_TOKENS)
    return kept, watched


@torch.inference_mode()
def follow_up(compressor: Compressor, cached: list[torch.Tensor], position: int, tokens: int) -> None:
    """Answer about cached segments [K, 2, G, L, E], with `tokens` memory tokens of each."""
    buffer, words, device = ScratchBuffer(), [0] * QUESTION, cached[0].device
    cache = KVCache.gather(
        [[row] for row in cached], segments=len(cached), reserve=QUESTION, device=device, buffer=buffer
    )
    compressor.score(PrefillState(cache, position), words)
    of_question = cache.data[:, :, :, :, -QUESTION:].clone()
    rows = [[row, own] for row, own in zip(cached, of_question, strict=True)]
    cache = KVCache.gather(rows, segments=len(cached), reserve=tokens, device=device, buffer=buffer)
    compressor.compress(PrefillState(cache, position + QUESTION), tokens)


def prefill_flops(size: Size) -> int:
    """FLOPs of prefilling one segment, counted on the meta device without computing anything."""
    meta = torch.device("meta")
    compressor = empty_compressor(size).to(meta).requires_grad_(False)
    one = blank_segments(meta)
    counted = count_segment_flops(
        compressor, one.pixels_SPC, GRID, one.ids_SL, one.spans, [0] * QUESTION, [1]
    )
    return counted.vision + counted.language


@dataclass(frozen=True)
class FollowUps:
    """What is measured: segments, of which some are watched in a batch, and follow-ups that keep KEPT tokens.

    Attributes:
        peak: TFLOP/s that the device can do at most; None: not known.
    """

    size: Size
    device: torch.device
    dtype: torch.dtype
    segments: int
    together: int
    kept: Sequence[int]
    peak: float | None = None

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def report_follow_ups(work: FollowUps) -> None:
    """Measure, and print a line for the first answer and one for each kind of follow-up."""
    dtype, device, batches = work.dtype, work.device, -(-work.segments // work.together)
    segments = batches * work.together
    compressor = build(dtype, device, work.size)
    one = blank_segments(device, dtype, work.together)
    first_answer(compressor, one)  # warm-up: allocates memory and selects kernels
    begun = seconds(device)
    found = [first_answer(compressor, one) for _ in range(batches)]
    first_time = (seconds(device) - begun) / segments
    watched = sum(took for _, took in found) / segments
    length, position = found[0][0].cache.length, found[0][0].position
    kept = [row[:, :, :, :length].clone() for state, _ in found for row in state.cache.data]
    size = cache_bytes(Qwen3VLConfig(**work.size.compressor), length, dtype)
    print(f"{segments} segments of {length} tokens in {work.dtype_name}, {size / 1e6:.0f} MB kept of each")
    rate = prefill_flops(work.size) / watched / 1e12
    share = "" if work.peak is None else f", {rate / work.peak:.0%} of the peak"
    print(f"first: {first_time:.3g} s a segment; watching: {watched:.3g} s, {rate:.3g} TFLOP/s{share}")
    for tokens in work.kept:
        begun = seconds(device)
        for start in range(0, segments, work.together):
            follow_up(compressor, kept[start : start + work.together], position, tokens)
        again = (seconds(device) - begun) / segments
        print(
            f"follow-up that keeps {tokens}: {again:.3g} s a segment, {again / first_time:.3f} of the first"
        )

"""Counts the floating-point operations (FLOPs) of the compressor for a segment, with torch's counter.

A multiplication with its addition counts as two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tempo.networks.compressor import Compressor
from tempo.networks.kv_cache import KVCache
from tempo.networks.qwen3_vl import vision_features
from tempo.processing.image_processor import Grid
from tempo.processing.prompts import Spans


@dataclass(frozen=True, kw_only=True)
class SegmentFlops:
    """The FLOPs of the compressor for one segment; `compress` by the number of memory tokens."""

    vision: int
    language: int
    score: int
    compress: dict[int, int]
    one_pass: int


def count_segment_flops(
    compressor: Compressor,
    pixels_1PC: torch.Tensor,
    grid: Grid,
    ids_1L: torch.Tensor,
    spans: Spans,
    question_ids: Sequence[int],
    kept: Iterable[int],
) -> SegmentFlops:
    """Count the FLOPs of one segment. On the meta device nothing is computed, and the count is the same."""
    reserve = len(question_ids) + compressor.memory_tokens
    with torch.inference_mode():
        vision = flops_of(lambda: vision_features(compressor.vlm.visual, pixels_1PC, grid))
        watched = flops_of(lambda: compressor.prefill(pixels_1PC, grid, ids_1L, spans, reserve=reserve))
        state = compressor.prefill(pixels_1PC, grid, ids_1L, spans, reserve=reserve)
        score = flops_of(lambda: compressor.score(state, question_ids))
        length, position = state.cache.length, state.position
        compress = {}
        for number in sorted(set(kept)):
            state.cache, state.position = KVCache(state.cache.data, length), position
            compress[number] = flops_of(partial(compressor.compress, state, number))
        ids_1RQ = torch.tensor(question_ids, device=ids_1L.device).expand(1, 1, -1)
        whole = flops_of(lambda: compressor(pixels_1PC, grid, ids_1L, spans, ids_1RQ))
    return SegmentFlops(
        vision=vision, language=watched - vision, score=score, compress=compress, one_pass=whole
    )


def flops_of(action: Callable[[], object]) -> int:
    """The FLOPs of what an action computes with torch."""
    # The math kernel of attention consists of matrix products, which the counter knows on every device.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        action()
    return counter.get_total_flops()

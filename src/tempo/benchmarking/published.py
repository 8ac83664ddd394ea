"""Measures what a follow-up saves at the published dimensions, on the compressor alone.

Run it as `python -m tempo.benchmarking.published`. Weights are random, because only the cost is of interest;
in bfloat16 they take 4 GB. Segments are those of a 16:9 video, eight frames at 512×288, with a prompt and a
question as long as the published ones. A first answer prefills, scores and compresses to all memory tokens,
one batch of segments after the other. A follow-up scores the question and compresses to the tokens that it
keeps, on the cached prefill. Times are CPU seconds of all cores together, because other work on the machine
disturbs them least; on a GPU they are wall-clock seconds.

On a GPU, 1024 frames are `--device cuda --segments 128 --together 16`, with `--peak` its TFLOP/s in bfloat16.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import torch
from torch import nn
from transformers import Qwen3VLConfig

from tempo.inference.memory_plan import cache_bytes
from tempo.modeling.tempo_qwen import build_compressor
from tempo.networks.compressor import Compressor, PrefillState
from tempo.networks.kv_cache import KVCache, ScratchBuffer
from tempo.networks.meta_init import parameters_on_meta
from tempo.processing.image_processor import Grid
from tempo.processing.prompts import Spans

from .flops import count_segment_flops

CPU = torch.device("cpu")
MEMORY_TOKENS = 128
GRID: Grid = (4, 18, 32)
PROMPT, TAG, VISUAL, QUESTION = 20, 18, 144, 30  # tokens: before the first pair, between pairs, of a pair
DIMENSIONS = {
    "text_config": {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
    },
    "vision_config": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "out_hidden_size": 2048,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class SegmentInputs:
    """The inputs of segments, as :meth:`Compressor.prefill` takes them."""

    pixels_SPC: torch.Tensor
    ids_SL: torch.Tensor
    spans: Spans


def blank_segments(
    device: torch.device = CPU, dtype: torch.dtype = torch.float32, count: int = 1
) -> SegmentInputs:
    """Segments of blank frames with a prompt of the usual length: 90 text tokens and 576 visual tokens."""
    starts = [PROMPT + pair * (VISUAL + TAG) for pair in range(GRID[0])]
    t, h, w = GRID
    return SegmentInputs(
        torch.zeros(count, t * h * w, 3 * 2 * 16 * 16, device=device, dtype=dtype),
        torch.zeros(count, starts[-1] + VISUAL + 16, dtype=torch.long, device=device),
        tuple((start, start + VISUAL) for start in starts),
    )


def build(dtype: torch.dtype, device: torch.device = CPU) -> Compressor:
    """The published compressor with random weights."""
    compressor = _dimensions()
    for module in compressor.modules():
        for name, parameter in module.named_parameters(recurse=False):
            values = torch.empty(parameter.shape, dtype=dtype, device=device)
            values = values.fill_(1.0) if values.ndim == 1 else values.uniform_(-0.03, 0.03)
            module.register_parameter(name, nn.Parameter(values, requires_grad=False))
    return compressor.to(device).eval()


def _dimensions() -> Compressor:
    with parameters_on_meta():
        return build_compressor(Qwen3VLConfig(**DIMENSIONS), memory_tokens=MEMORY_TOKENS)


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


def prefill_flops() -> int:
    """FLOPs of prefilling one segment, counted on the meta device without computing anything."""
    meta = torch.device("meta")
    with meta:
        compressor = _dimensions().requires_grad_(False)
    one = blank_segments(meta)
    counted = count_segment_flops(
        compressor, one.pixels_SPC, GRID, one.ids_SL, one.spans, [0] * QUESTION, [1]
    )
    return counted.vision + counted.language


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tempo.benchmarking.published",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--segments", type=int, default=4, metavar="N", help="(default: 4)")
    parser.add_argument(
        "--together", type=int, default=1, metavar="N", help="watched in a batch (default: 1)"
    )
    parser.add_argument(
        "--kept", type=int, nargs="+", default=[22, 32, 64], metavar="K", help="memory tokens"
    )
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--device", type=torch.device, default=CPU, help="(default: cpu)")
    parser.add_argument("--peak", type=float, metavar="TFLOPS", help="what the device can do at most")
    args = parser.parse_args()
    dtype, device, batches = getattr(torch, args.dtype), args.device, -(-args.segments // args.together)
    segments = batches * args.together
    compressor = build(dtype, device)
    one = blank_segments(device, dtype, args.together)
    first_answer(compressor, one)  # warm-up: allocates memory and selects kernels
    begun = seconds(device)
    found = [first_answer(compressor, one) for _ in range(batches)]
    first_time = (seconds(device) - begun) / segments
    watched = sum(took for _, took in found) / segments
    length, position = found[0][0].cache.length, found[0][0].position
    kept = [row[:, :, :, :length].clone() for state, _ in found for row in state.cache.data]
    size = cache_bytes(Qwen3VLConfig(**DIMENSIONS), length, dtype)
    print(f"{segments} segments of {length} tokens in {args.dtype}, {size / 1e6:.0f} MB kept of each")
    rate = prefill_flops() / watched / 1e12
    share = "" if args.peak is None else f", {rate / args.peak:.0%} of the peak"
    print(f"first: {first_time:.3g} s a segment; watching: {watched:.3g} s, {rate:.3g} TFLOP/s{share}")
    for tokens in args.kept:
        begun = seconds(device)
        for start in range(0, segments, args.together):
            follow_up(compressor, kept[start : start + args.together], position, tokens)
        again = (seconds(device) - begun) / segments
        print(
            f"follow-up that keeps {tokens}: {again:.3g} s a segment, {again / first_time:.3f} of the first"
        )


if __name__ == "__main__":
    main()

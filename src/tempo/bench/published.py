"""What a follow-up saves at the published dimensions, on the compressor alone.

Run as `python -m tempo.bench.published`. Weights are random, because only the cost is of interest; in
bfloat16 they take 4 GB. Segments are those of a film in 16:9, eight frames at 512×288, with a prompt and a
question as long as the published ones. A first answer watches, routes and distils all memory tokens, one
segment after the other. A follow-up reads the question and the tokens that it keeps behind what was kept on
the host. Seconds are those of the processor, all cores together, because other work on the machine disturbs
them least.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import torch
from torch import nn
from transformers import Qwen3VLConfig

from tempo import memory
from tempo.modeling.compressor import Compressor, Reading
from tempo.modeling.loading import parameters_on_meta
from tempo.modeling.qwen3_vl import Grid, KeyValues, Space, Spans

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
class Segment:
    """One segment's input, as :meth:`Compressor.watch` takes it."""

    pixels_1PC: torch.Tensor
    ids_1L: torch.Tensor
    spans: Spans


def segment(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> Segment:
    """Blank frames behind a prompt of the usual length: 90 tokens of words and 576 visual ones."""
    starts = [PROMPT + pair * (VISUAL + TAG) for pair in range(GRID[0])]
    t, h, w = GRID
    return Segment(
        torch.zeros(1, t * h * w, 3 * 2 * 16 * 16, device=device, dtype=dtype),
        torch.zeros(1, starts[-1] + VISUAL + 16, dtype=torch.long, device=device),
        tuple((start, start + VISUAL) for start in starts),
    )


def build(dtype: torch.dtype) -> Compressor:
    """The published compressor with random weights."""
    with parameters_on_meta():
        compressor = Compressor(Qwen3VLConfig(**DIMENSIONS), memory_tokens=MEMORY_TOKENS)
    for module in compressor.modules():
        for name, parameter in module.named_parameters(recurse=False):
            values = torch.empty(parameter.shape, dtype=dtype)
            values = values.fill_(1.0) if values.ndim == 1 else values.uniform_(-0.03, 0.03)
            module.register_parameter(name, nn.Parameter(values, requires_grad=False))
    return compressor.eval()


@torch.inference_mode()
def first(compressor: Compressor, one: Segment) -> Reading:
    """A segment with nothing kept; what is read up to the question is returned."""
    room = QUESTION + MEMORY_TOKENS
    reading = compressor.watch(one.pixels_1PC, GRID, one.ids_1L, one.spans, room=room)
    kept = Reading(KeyValues(reading.past.data, reading.past.length), reading.position)
    compressor.route(reading, [0] * QUESTION)
    compressor.distil(reading, MEMORY_TOKENS)
    return kept


@torch.inference_mode()
def follow_up(compressor: Compressor, kept: list[torch.Tensor], position: int, tokens: int) -> None:
    """A question about kept segments [K, 2, H, L, E], of each of which so many memory tokens are kept."""
    space, words = Space(), [0] * QUESTION
    past = KeyValues.gather([[row] for row in kept], room=QUESTION, device=CPU, space=space)
    compressor.route(Reading(past, position), words)
    behind = past.data[:, :, :, :, -QUESTION:].clone()
    rows = [[row, own] for row, own in zip(kept, behind, strict=True)]
    past = KeyValues.gather(rows, room=tokens, device=CPU, space=space)
    compressor.distil(Reading(past, position + QUESTION), tokens)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tempo.bench.published", description=__doc__)
    parser.add_argument("--segments", type=int, default=4, metavar="N", help="(default: 4)")
    parser.add_argument(
        "--kept", type=int, nargs="+", default=[22, 32, 64], metavar="K", help="memory tokens"
    )
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    args = parser.parse_args()
    dtype = getattr(torch, args.dtype)
    compressor = build(dtype)
    one = segment(dtype=dtype)
    first(compressor, one)  # the first time pays for pages and kernels that later ones find
    begun = time.process_time()
    readings = [first(compressor, one) for _ in range(args.segments)]
    whole = (time.process_time() - begun) / args.segments
    length = readings[0].past.length
    kept = [reading.past.data[0, :, :, :, :length].clone() for reading in readings]
    size = memory.kept_bytes(Qwen3VLConfig(**DIMENSIONS), length, dtype)
    print(f"{args.segments} segments of {length} tokens in {args.dtype}, {size / 1e6:.0f} MB kept of each")
    print(f"first: {whole:.2f} s a segment")
    for tokens in args.kept:
        begun = time.process_time()
        follow_up(compressor, kept, readings[0].position, tokens)
        again = (time.process_time() - begun) / args.segments
        print(f"follow-up that keeps {tokens}: {again:.3f} s a segment, {again / whole:.3f} of the first")


if __name__ == "__main__":
    main()

"""Measures the peak memory of one training step of the embedded model, by the length of the video.

    python -m tempo.benchmarking.training_memory --segments 8
    python -m tempo.benchmarking.training_memory --segments 128
    python -m tempo.benchmarking.training_memory --segments 128 --keep-activations

It prints one JSON object: the peak memory of the process, in all and beyond what it used before the step.
Each measurement needs a process of its own, because a process returns nothing to the system.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch

from tempo.assets import NANO
from tempo.checkpoints.checkpoint import load_prompts
from tempo.devices import peak_bytes
from tempo.inference.engine import Tempo
from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.loading import find_checkpoint
from tempo.processing.batching import batches
from tempo.training.answer_objective import AnswerObjective
from tempo.training.config import BudgetConfig
from tempo.training.data.processor import SampleProcessor, block_of
from tempo.video.video import Video


def measure(segments: int, *, chunk: int, recompute: bool) -> dict[str, int]:
    """Peak memory in bytes of loss and gradient of one question about a video of noise."""
    checkpoint = find_checkpoint(NANO)
    model = TempoQwenForCausalLM.load(checkpoint)
    engine = Tempo(model, load_prompts(checkpoint))
    engine.model.requires_grad_(True).train()
    config = engine.config
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, (config.segment_frames * segments, 48, 96, 3), np.uint8)
    video = Video.from_frames(frames, fps=config.fps)
    processor = SampleProcessor(engine.prompts, config, engine.geometry, config.fps, len(frames), 1, 1)
    coming = batches(
        video,
        video.sample(fps=config.fps, max_frames=len(frames)),
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=config.segment_frames,
        batch_size=1,
    )
    parts = [block_of(batch, engine.geometry) for batch in coming]
    stamps = [engine.prompts.timestamp(4.0 * n + 2) for n in range(segments)]
    question = processor.question("What can be seen?", "Noise.")
    example = processor.example(parts, stamps, [question], name="noise", seed="0")
    budget = BudgetConfig(token_dropout=0.0)
    objective = AnswerObjective(model, budget, segment_chunk=chunk, recompute=recompute)
    before = peak_bytes(engine.device)
    with torch.autocast("cpu", torch.bfloat16):
        output = objective([example])
    output.losses["loss"].backward()
    peak = peak_bytes(engine.device)
    return {"segments": segments, "chunk": chunk, "peak_bytes": peak, "step_bytes": peak - before}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segments", type=int, required=True, help="of the video")
    parser.add_argument("--chunk", type=int, default=4, help="segments compressed together (default: 4)")
    parser.add_argument("--keep-activations", action="store_true", help="recompute nothing")
    args = parser.parse_args()
    print(json.dumps(measure(args.segments, chunk=args.chunk, recompute=not args.keep_activations)))


if __name__ == "__main__":
    main()

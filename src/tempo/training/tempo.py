"""Train tempo-nano itself: memory tokens, projector and decoder on top of the base, then everything together.

    python -m tempo.training.tempo --base runs/base/final --out runs/tempo

The compressor learns to write memory tokens and the decoder to read them, each apart from the other; then
both together on clips that grow from one segment to ten minutes. The base's own task, Yes or No to the
routing prompt, stays in the mixture, so that the compressor does not forget what the router reads from it.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from tempo.modeling import TempoQwenConfig, TempoQwenForCausalLM
from tempo.modeling.qwen3_vl import vision_features
from tempo.modeling.saving import save_model
from tempo.preprocess import patches
from tempo.training import reading, writing
from tempo.training.cells import CellHead
from tempo.training.clips import ClipBatch, ClipBatches, Lengths
from tempo.training.facts import Code
from tempo.training.loader import ahead
from tempo.training.nano import GEOMETRY, MEMORY_TOKENS, SYSTEM_PROMPT
from tempo.training.packing import IGNORE, Wording, read_packed
from tempo.training.run import Run, Schedule, autocast, parameter_groups


@dataclass(frozen=True)
class Stage:
    """One leg of the training on clips."""

    name: str
    steps: int
    lengths: Lengths
    lr: float
    compressor: bool = True  # whether it learns too, or only the projector and the decoder


STAGES = (
    Stage("minute", 300, Lengths(rows=40, segments=(1, 2, 2, 4, 8, 12, 16), groups=5, together=5), 2e-3),
    Stage(
        "long",
        150,
        Lengths(rows=128, segments=(1, 2, 4, 8, 16, 32, 64, 128), groups=6, together=5),
        1.5e-3,
        compressor=False,
    ),
)

FACTS_WEIGHT = 0.2


def nano_config(base: Qwen3VLForConditionalGeneration) -> TempoQwenConfig:
    """tempo-nano: a decoder of the size of the base's language model, which it starts from."""
    text = base.config.text_config
    return TempoQwenConfig(
        vocab_size=text.vocab_size,
        hidden_size=text.hidden_size,
        intermediate_size=text.intermediate_size,
        num_hidden_layers=text.num_hidden_layers,
        num_attention_heads=text.num_attention_heads,
        num_key_value_heads=text.num_key_value_heads,
        head_dim=text.head_dim,
        max_position_embeddings=16384,
        rope_parameters={"rope_type": "default", "rope_theta": text.rope_parameters["rope_theta"]},
        tie_word_embeddings=True,
        num_compression_tokens=MEMORY_TOKENS,
        mm_vision_tower_aux_list=["nano-base"],
        mm_projector_type="mlp2x_gelu",
        min_tokens=1,
        visual_token_budget=8192 * MEMORY_TOKENS // 128,
        geometry=dict(GEOMETRY),
        prompts={"compressor_system": SYSTEM_PROMPT},
        compressor_config=base.config.to_dict(),
    )


def from_base(
    base: Qwen3VLForConditionalGeneration, yes_id: int, no_id: int, eos_id: int
) -> TempoQwenForCausalLM:
    """The model before its own training: compressor and decoder start as the base's parts."""
    config = nano_config(base)
    config.eos_token_id = eos_id
    model = TempoQwenForCausalLM(config)
    model.compressor.vlm.load_state_dict(base.model.state_dict())
    model.model.load_state_dict(base.model.language_model.state_dict())
    model.tie_weights()
    with torch.no_grad():
        rows = base.model.language_model.embed_tokens.weight[[yes_id, no_id]]
        model.get_buffer("compressor.relevance_rows").copy_(rows)
    model.generation_config.eos_token_id = eos_id
    return model


def memory(
    model: TempoQwenForCausalLM, cells: CellHead, batch: ClipBatch, wording: Wording
) -> tuple[Tensor, Tensor, dict[str, float]]:
    """The memory tokens [N, D] of a batch, the loss of what the compressor does beside them (routing, cells),
    and how well it does it."""
    compressor: Any = model.compressor
    packed = batch.packed
    visual, deep = vision_features(compressor.vlm.visual, *patches(batch.pairs, model.config.make_geometry()))
    states = read_packed(compressor.vlm, packed, visual, deep, compressor.compression_tokens[0])
    asked = packed.labels_BL != IGNORE
    yes, no = compressor.relevance_rows
    logits = states[asked].float() @ (yes - no)
    truth = (packed.labels_BL[asked] == wording.yes_id).float()
    seeing, seen = cells(visual.flatten(0, 1), batch.cells)
    loss = F.binary_cross_entropy_with_logits(logits, truth) + 0.5 * seeing
    right = (logits > 0) == (truth > 0.5)
    figures = {"routing": right.float().mean().item(), "cells": seen[0].item()}
    return states[packed.memory_BL >= 0], loss, figures


def learn(
    model: TempoQwenForCausalLM,
    cells: CellHead,
    code: Code,
    stage: Stage,
    wording: Wording,
    out: Path,
    *,
    seed: int,
) -> None:
    """One stage on clips."""
    model.requires_grad_(True)
    model.compressor.requires_grad_(stage.compressor)
    both = nn.ModuleList([model, cells])
    groups = parameter_groups(both, stage.lr, decay=0.05, muon=True)
    data = ClipBatches(wording, stage.lengths, steps=stage.steps, seed=seed)
    with Run(out / stage.name, both, groups, Schedule(stage.steps, 30)) as run:
        for batch in ahead(data, run.step):
            with autocast():
                with torch.set_grad_enabled(stage.compressor):
                    states, beside, figures = memory(model, cells, batch, wording)
                tokens = model.projector(states)
                answering, answered = reading.read(model, batch.story, tokens[batch.order_N])
            first = batch.packed.memory_BL[batch.packed.memory_BL >= 0] == 0
            weight = torch.where(first, 1.0, writing.OTHERS_WEIGHT)
            telling, right = code.loss(tokens, batch.facts_NF, weight)
            figures |= {"told": right[first].float().mean().item()} | answered
            # The facts keep the code between the two halves from drifting while both learn.
            loss = answering + FACTS_WEIGHT * telling
            run.update(loss + beside if stage.compressor else loss, figures)


def train(args: argparse.Namespace) -> None:
    out, base_folder = Path(args.out), Path(args.base)
    torch.manual_seed(args.seed)
    wording = Wording(AutoTokenizer.from_pretrained(base_folder), SYSTEM_PROMPT)
    base = Qwen3VLForConditionalGeneration.from_pretrained(base_folder, dtype=torch.float32)
    model = from_base(base, wording.yes_id, wording.no_id, wording.end_id)
    code = Code(model.model.embed_tokens.weight.detach().clone(), wording.plain)
    cells = CellHead(base.config.text_config.hidden_size)
    writing.see(model, cells, wording, out / "seeing", seed=args.seed)
    writing.learn(model, cells, code, wording, out / "writing", seed=args.seed)
    reading.learn(model, code, wording, out / "reading", seed=args.seed)
    for number, stage in enumerate(STAGES):
        learn(model, cells, code, stage, wording, out, seed=args.seed + number)
        save_model(deepcopy(model).to(torch.bfloat16), out / f"{stage.name}-weights", tokenizer=base_folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", required=True, help="folder of the trained base")
    parser.add_argument(
        "--out", required=True, help="folder of the run: logs, checkpoints, weights of every stage"
    )
    parser.add_argument("--seed", type=int, default=11)
    train(parser.parse_args())


if __name__ == "__main__":
    main()

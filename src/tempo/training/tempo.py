"""Train tempo-nano itself: memory tokens, projector and decoder on top of the base, then everything together.

    python -m tempo.training.tempo --base runs/base/final --out runs/tempo

Clips grow from one segment to ten minutes. The base's own task, Yes or No to the routing prompt,
stays in the
mixture, so that the compressor does not forget what the router reads from it.
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
from tempo.training.cells import CellHead
from tempo.training.clips import ClipBatch, ClipBatches
from tempo.training.loader import ahead
from tempo.training.nano import GEOMETRY, MEMORY_TOKENS, SYSTEM_PROMPT
from tempo.training.packing import IGNORE, Wording, read_packed
from tempo.training.run import Run, Schedule


@dataclass(frozen=True)
class Stage:
    """One leg of the training: how long the clips are, and how fast what learns."""

    name: str
    steps: int
    rows: int  # segments a step
    segments: tuple[int, ...]
    questions: int
    lr: float
    compressor: bool = True  # whether it learns too, or only the projector and the decoder


STAGES = (
    Stage("short", 300, 32, (1, 2, 2, 3), 6, 1e-3),
    Stage("minute", 170, 48, (1, 2, 4, 8, 12, 16), 6, 6e-4),
    Stage("long", 40, 128, (32, 64, 128), 8, 3e-4, compressor=False),
)


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


def forward(
    model: TempoQwenForCausalLM, batch: ClipBatch, wording: Wording
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One batch through the whole model.

    Returns:
        Answer logits [n, vocabulary] of the learnt tokens, their labels [n], relevance logits and their truth
        [2, m], and the visual tokens [P·V, D].
    """
    compressor: Any = model.compressor
    packed = batch.packed
    with torch.set_grad_enabled(compressor.compression_tokens.requires_grad):
        visual, deep = vision_features(
            compressor.vlm.visual, *patches(batch.pairs, model.config.make_geometry())
        )
        states = read_packed(compressor.vlm, packed, visual, deep, compressor.compression_tokens[0])
    here = packed.memory_BL >= 0
    asked = packed.labels_BL != IGNORE
    yes, no = compressor.relevance_rows
    routing = torch.stack(
        [states[asked].float() @ (yes - no), (packed.labels_BL[asked] == wording.yes_id).float()]
    )
    memory = model.projector(states[here][batch.order])
    story = model.model.embed_tokens(batch.ids_NL)
    story = story.masked_scatter(batch.memory_NL[..., None], memory.to(story.dtype))
    hidden = model.model(inputs_embeds=story, use_cache=False).last_hidden_state
    learnt = batch.labels_NL != IGNORE
    return model.lm_head(hidden[learnt]).float(), batch.labels_NL[learnt], routing, visual.flatten(0, 1)


def exact(logits: Tensor, batch: ClipBatch) -> dict[str, float]:
    """The share of answers whose every token is right, by kind of question."""
    learnt = batch.labels_NL != IGNORE
    right = torch.ones_like(learnt)
    right[learnt] = logits.argmax(-1) == batch.labels_NL[learnt]
    whole = right.all(1)
    kinds = sorted(set(batch.kinds))
    chosen = {kind: torch.tensor([k == kind for k in batch.kinds]) for kind in kinds}
    figures = {kind: whole[mask].float().mean().item() for kind, mask in chosen.items()}
    asked = torch.tensor([k != "describe" for k in batch.kinds])
    return {"answers": whole[asked].float().mean().item(), **figures}


def train(args: argparse.Namespace) -> None:
    out, base_folder = Path(args.out), Path(args.base)
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    wording = Wording(tokenizer, SYSTEM_PROMPT)
    base = Qwen3VLForConditionalGeneration.from_pretrained(base_folder, dtype=torch.float32)
    model = from_base(base, wording.yes_id, wording.no_id, wording.end_id)
    # The dense task that the tower began with goes on: answers alone teach it shapes too slowly.
    cells = CellHead(base.config.text_config.hidden_size)
    for number, stage in enumerate(STAGES):
        learn(model, cells, stage, wording, out, seed=args.seed + number)
        save_model(deepcopy(model).to(torch.bfloat16), out / f"{stage.name}-weights", tokenizer=base_folder)


def learn(
    model: TempoQwenForCausalLM, cells: CellHead, stage: Stage, wording: Wording, out: Path, *, seed: int
) -> None:
    """One stage on clips."""
    model.compressor.requires_grad_(stage.compressor)
    fresh = [*model.projector.parameters(), *cells.parameters()]
    fresh += [model.compressor.compression_tokens] if stage.compressor else []
    known = {id(p) for p in fresh}
    others = [p for p in model.parameters() if id(p) not in known and p.requires_grad]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "lr": stage.lr, "weight_decay": 0.05},
        {"params": [p for p in others if p.ndim < 2], "lr": stage.lr, "weight_decay": 0.0},
        {"params": fresh, "lr": 2 * stage.lr, "weight_decay": 0.0},
    ]
    data = ClipBatches(
        wording,
        steps=stage.steps,
        seed=seed,
        rows=stage.rows,
        segments=stage.segments,
        questions=stage.questions,
    )
    both = nn.ModuleList([model, cells])
    with Run(out / stage.name, both, groups, Schedule(stage.steps, 30)) as run:
        for batch in ahead(data, run.step):
            with torch.autocast("cpu", torch.bfloat16):
                logits, labels, routing, visual = forward(model, batch, wording)
                seeing, right = cells(visual, batch.cells)
            answering = F.cross_entropy(logits, labels)
            routed = F.binary_cross_entropy_with_logits(routing[0], routing[1])
            figures = exact(logits, batch)
            figures["routing"] = ((routing[0] > 0) == (routing[1] > 0.5)).float().mean().item()
            figures["cells"] = right[0].item()
            run.update(answering + 0.5 * routed + 0.5 * seeing, figures)


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

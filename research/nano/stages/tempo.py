"""Train tempo-nano itself: memory tokens, projector and decoder on top of the base, then everything together.

    python -m research.nano.stages.tempo --base runs/base/final --out runs/tempo

The compressor learns to write memory tokens and the decoder to read them, each apart from the other; then the
decoder reads what the compressor writes, on clips of one segment to ten minutes. The base's own task, Yes or
No to the routing prompt, stays in the mixture, so that the compressor does not forget what the router reads
from it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from research.nano.config import (
    GEOMETRY,
    MEMORY_TOKENS,
    RELEVANCE_FLOOR,
    SYSTEM_PROMPT,
)
from research.nano.packing import Wording
from research.nano.run import device_of
from research.nano.targets import Code
from tempo.modeling import TempoQwenConfig, TempoQwenForCausalLM
from tempo.modeling.configuration import SYNTHETIC

from . import alignment, compressor, decoder


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
        trained_on=SYNTHETIC,
        relevance_floor=RELEVANCE_FLOOR,
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


def train(args: argparse.Namespace) -> None:
    out, base_folder = Path(args.out), Path(args.base)
    torch.manual_seed(args.seed)
    wording = Wording(AutoTokenizer.from_pretrained(base_folder), SYSTEM_PROMPT)
    base = Qwen3VLForConditionalGeneration.from_pretrained(base_folder, dtype=torch.float32)
    model = from_base(base, wording.yes_id, wording.no_id, wording.end_id)
    code = Code(model.model.embed_tokens.weight.detach().clone(), wording.plain)
    model = model.to(device_of(args.device))
    compressor.see(model, wording, out / "seeing", seed=args.seed)
    compressor.learn(model, code, wording, out / "writing", seed=args.seed)
    decoder.learn(model, code, wording, out / "reading", seed=args.seed)
    alignment.learn(model, wording, out / "joining", seed=args.seed)
    alignment.save(model, out / "weights", base_folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", required=True, help="folder of the trained base")
    parser.add_argument("--out", required=True, help="folder of the runs: logs, checkpoints, weights")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train(parser.parse_args())


if __name__ == "__main__":
    main()

"""tempo-nano's base, the small vision-language model that its compressor starts from: made, and taken out.

While it is trained it is the compressor of a Tempo model, so that one trainer does for all stages.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from .config import base_config, build_tokenizer
from .weights import load_trained


def initialize(out: Path, *, seed: int, samples: int = 1500) -> None:
    """Write a base with random weights, and the tokenizer, trained on `samples` scripts."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(samples)
    Qwen3VLForConditionalGeneration(base_config(tokenizer)).save_pretrained(out)
    tokenizer.save_pretrained(out)


def extract(out: Path, *, model: str) -> None:
    """Write the compressor of the Tempo model in `model` as a model of its own."""
    trained = load_trained(model).compressor.vlm
    base = Qwen3VLForConditionalGeneration(trained.config)
    base.model.load_state_dict(trained.state_dict())
    base.tie_weights()
    base.save_pretrained(out)
    AutoTokenizer.from_pretrained(model).save_pretrained(out)

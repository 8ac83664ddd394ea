"""tempo-nano's base, the small vision-language model that its compressor starts from: made, and taken out.

While it is trained it is the compressor of a Tempo model, so that one trainer does for all stages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from tempo.checkpoints.checkpoint import base_rows
from tempo.modeling.saving import save_model

from .config import base_config, build_tokenizer
from .weights import load_trained


def initialize(out: Path, *, seed: int, samples: int = 1500) -> None:
    """Write a base with random weights, and the tokenizer, trained on `samples` scripts."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(samples)
    Qwen3VLForConditionalGeneration(base_config(tokenizer)).save_pretrained(out)
    tokenizer.save_pretrained(out)


def extract(out: Path, *, model: str) -> None:
    """Take the base out of the Tempo model in `model`, and let that model's decoder begin as the base's
    language model. The two are written into the folders base and model of `out`."""
    trained: Any = load_trained(model)
    vlm = trained.compressor.vlm
    base = Qwen3VLForConditionalGeneration(vlm.config)
    base.model.load_state_dict(vlm.state_dict())
    base.tie_weights()
    base.save_pretrained(out / "base")
    AutoTokenizer.from_pretrained(model).save_pretrained(out / "base")
    trained.model.load_state_dict(vlm.language_model.state_dict())
    with torch.no_grad():
        trained.compressor.relevance_rows.copy_(base_rows(out / "base"))
    save_model(trained, out / "model", tokenizer=out / "base")

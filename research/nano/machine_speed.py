"""How fast this machine trains, by a piece of the work itself."""

from __future__ import annotations

import time

import torch
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel

from tempo.devices import pick_device, pick_dtype

from .config import LANGUAGE_MODEL, VOCABULARY

ROWS, TOKENS, REPEATS = 32, 128, 3


def probe(device: str = "auto") -> float:
    """Seconds of a training step of tempo-nano's language model, the fastest of three.

    A generic transformer would not do: where matrices are multiplied fast, most of a step is norms, casts and
    attention between few tokens.
    """
    place = torch.device(pick_device(device))
    model = Qwen3VLTextModel(Qwen3VLTextConfig(**LANGUAGE_MODEL)).to(place)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(VOCABULARY, (ROWS, TOKENS), generator=generator).to(place)
    bfloat16 = pick_dtype("auto", place) == torch.bfloat16
    taken = []
    for _ in range(REPEATS + 1):  # the first warms up
        begun = time.perf_counter()
        with torch.autocast(place.type, torch.bfloat16, enabled=bfloat16):
            loss = model(ids).last_hidden_state.square().mean()
        loss.backward()
        loss.item()  # waits for a GPU
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])

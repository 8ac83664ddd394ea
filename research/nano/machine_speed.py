"""How fast this machine trains, by a piece of work of the embedded model's size."""

from __future__ import annotations

import time

import torch
from torch import nn

from tempo.devices import pick_device, pick_dtype

WIDTH, HEADS, LAYERS, TOKENS = 256, 4, 4, 128  # about those of tempo-nano's parts
ROWS, REPEATS = 32, 3


def probe(device: str = "auto") -> float:
    """Seconds of a training step of a small transformer, the fastest of three."""
    place = torch.device(pick_device(device))
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).to(place)
    rows = torch.randn(ROWS, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0)).to(place)
    bfloat16 = pick_dtype("auto", place) == torch.bfloat16
    taken = []
    for _ in range(REPEATS + 1):  # the first warms up
        begun = time.perf_counter()
        with torch.autocast(place.type, torch.bfloat16, enabled=bfloat16):
            loss = model(rows).square().mean()
        loss.backward()
        loss.item()  # waits for a GPU
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])

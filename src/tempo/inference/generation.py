"""The decode phase: the answer, token by token.

A loop of our own over the layers of the Hugging Face model. It yields as it goes, can be stopped between two
tokens, computes only the last token in the prompt's last layer, and equals their `generate` where that is
greedy.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

import torch

from tempo.errors import NonFiniteError
from tempo.networks.kv_cache import KVCache
from tempo.networks.qwen3_vl import run_language
from tempo.networks.tempo_network import TempoNetwork
from tempo.processing.prompts import TextEncoder

# Below it the likeliest token is certain: nothing else is within reach, and dividing by less would overflow.
COLDEST = 1e-6


def generate(
    model: TempoNetwork,
    inputs_embeds_LU: torch.Tensor,
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
    temperature: float = 0.0,
    top_p: float = 1.0,
) -> Iterator[int]:
    """Read the storyline, then yield the ids of the answer; the one that ended it is the last.

    Args:
        temperature: 0: always the likeliest token. Otherwise one is drawn, with torch's global generator.
        top_p: draw only among the likeliest tokens that have this much probability together.

    Raises:
        NonFiniteError: the logits are not finite.
    """
    decoder, x_1LU = model.model, inputs_embeds_LU[None]
    cache = KVCache.allocate(decoder, 1, len(inputs_embeds_LU) + max_new_tokens, like=x_1LU)
    for _ in range(max_new_tokens):
        with torch.inference_mode():
            positions_1L = torch.arange(cache.length, cache.length + x_1LU.shape[1])[None]
            last_11U = run_language(decoder, x_1LU, positions_1L, cache=cache, last_only=True)
            logits_Z = model.lm_head(last_11U)[0, 0].float()
            likeliest, highest = _likeliest(logits_Z)
            if not math.isfinite(highest):
                raise NonFiniteError.in_dtype(model.dtype)
            token = likeliest if temperature < COLDEST else _draw(logits_Z, temperature, top_p)
        yield token
        if token in stop_ids:
            return
        with torch.inference_mode():
            x_1LU = decoder.embed_tokens(torch.tensor([[token]], device=inputs_embeds_LU.device))


def _likeliest(logits_Z: torch.Tensor) -> tuple[int, float]:
    """The likeliest token and its logit, read together. Where there is a NaN, it counts as the largest."""
    index = logits_Z.argmax()
    token, highest = torch.stack([index.to(logits_Z.dtype), logits_Z[index]]).tolist()
    return int(token), highest  # float32 holds every id below 2**24


def _draw(logits_Z: torch.Tensor, temperature: float, top_p: float) -> int:
    chance_Z, order_Z = (logits_Z / temperature).softmax(-1).sort(descending=True)
    before_Z = chance_Z.cumsum(-1) - chance_Z
    chance_Z[1:][before_Z[1:] >= top_p] = 0  # the likeliest one always stays
    return int(order_Z[torch.multinomial(chance_Z, 1)])


def pieces(encoder: TextEncoder, ids: Iterable[int]) -> Iterator[tuple[list[int], str]]:
    """(all ids so far, the text that is new) with each id; a character that is not whole yet is held back."""
    so_far: list[int] = []
    told = ""
    for token in ids:
        so_far.append(token)
        text = encoder.decode(so_far)
        if text.endswith("�") or not text.startswith(told):
            yield so_far, ""
            continue
        yield so_far, text[len(told) :]
        told = text
    rest = encoder.decode(so_far)
    if rest != told and rest.startswith(told):
        yield so_far, rest[len(told) :]

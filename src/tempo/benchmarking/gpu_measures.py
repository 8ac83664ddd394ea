"""What may make a GPU faster, each beside the plain way that gives the same numbers.

None of it is in the engine: each has to show on a GPU first that it pays. Without one, everything but the
captured graphs runs on the CPU as well, where tests hold it to the plain way.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from tempo.networks.attention import grouped_sdpa, rotate
from tempo.networks.compressor import Compressor, PrefillState
from tempo.networks.kv_cache import KVCache
from tempo.networks.language_model import LanguageModel

_WARM_UPS = 3


class StaticDecoder:
    """Greedy decoder steps over a cache of fixed size: every step launches the same kernels on the same
    memory, so that a graph of them can be replayed. The token stays on the device and is fed back there.

    Args:
        cache: of one segment, with the storyline read; its capacity is that of the answer as well.
        token: the first one of the answer.
    """

    def __init__(self, decoder: LanguageModel, head: nn.Module, cache: KVCache, token: int) -> None:
        self._decoder: Any = decoder
        self._head, self._data = head, cache.data
        # A step attends to all of it, and masks what is not written yet; but 0 times NaN is NaN.
        cache.data[..., cache.length :, :].zero_()
        device = cache.data.device
        self._column_L = torch.arange(cache.data.shape[4], device=device)
        self.position_1 = torch.tensor([cache.length], device=device)
        self.token_11 = torch.tensor([[token]], device=device)

    def step(self) -> torch.Tensor:
        """Read the token and write the next one [1, 1], which is overwritten by the next step."""
        x_1LU = self._decoder.embed_tokens(self.token_11)
        rope = self._decoder.rotary_emb(x_1LU, self.position_1[None])
        seen_111L = (self._column_L <= self.position_1)[None, None, None]
        for layer in self._decoder.layers:
            x_1LU = x_1LU + self._attend(layer.self_attn, layer.input_layernorm(x_1LU), rope, seen_111L)
            x_1LU = x_1LU + layer.mlp(layer.post_attention_layernorm(x_1LU))
        logits_11Z = self._head(self._decoder.norm(x_1LU)).float()
        self.token_11.copy_(logits_11Z.argmax(-1))
        self.position_1 += 1
        return self.token_11

    def _attend(
        self,
        attention: Any,
        normed_1LU: torch.Tensor,
        rope: tuple[torch.Tensor, torch.Tensor],
        seen_111L: torch.Tensor,
    ) -> torch.Tensor:
        heads = (1, 1, -1, attention.head_dim)
        query_1ALE = attention.q_norm(attention.q_proj(normed_1LU).view(heads)).transpose(1, 2)
        key_1GLE = attention.k_norm(attention.k_proj(normed_1LU).view(heads)).transpose(1, 2)
        value_1GLE = attention.v_proj(normed_1LU).view(heads).transpose(1, 2)
        past = self._data[:, attention.layer_idx]
        past[:, 0].index_copy_(2, self.position_1, rotate(key_1GLE, *rope))
        past[:, 1].index_copy_(2, self.position_1, value_1GLE)
        out_1LAE, _ = grouped_sdpa(
            attention, rotate(query_1ALE, *rope), past[:, 0], past[:, 1], seen_111L, attention.scaling
        )
        return attention.o_proj(out_1LAE.flatten(2))


def captured(action: Callable[[], object]) -> Callable[[], object]:
    """A CUDA graph of what an action launches; calling it replays that on the same memory."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            action()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = action()

    def replay() -> object:
        graph.replay()
        return found

    return replay


def overlapped(batches: Iterable[torch.Tensor], device: torch.device) -> Iterator[torch.Tensor]:
    """Each batch on the device, where the next one is copied from pinned memory while it is computed with."""
    if device.type != "cuda":
        yield from (batch.to(device) for batch in batches)
        return
    copying = torch.cuda.Stream(device)
    coming: torch.Tensor | None = None
    for batch in batches:
        pinned = batch.pin_memory()
        with torch.cuda.stream(copying):
            following = pinned.to(device, non_blocking=True)
        if coming is not None:
            yield coming
        torch.cuda.current_stream(device).wait_stream(copying)
        following.record_stream(torch.cuda.current_stream(device))
        coming = following
    if coming is not None:
        yield coming


def follow_up_in_place(
    compressor: Compressor, state: PrefillState, question: list[int], tokens: int
) -> torch.Tensor:
    """The first memory tokens behind a question, on kept segments that have room for both, without a copy.

    What is read is forgotten, so that the next question finds the state as it was.
    """
    before = PrefillState(KVCache(state.cache.data, state.cache.length), state.position)
    compressor.score(before, question)
    return compressor.compress(before, tokens)

"""Qwen3's language model in plain torch: the decoder, and the one inside Qwen3-VL.

The modules have the names, shapes and arithmetic of those in transformers, so that weights fit. Without a
cache numbers are equal to the last bit; behind one, attention that copies no keys rounds differently.
:func:`tempo.networks.qwen3_vl.run_language` runs either. What is here is what the released models use, which
loads in a fraction of the time that importing transformers' models takes. For everything else there is
:class:`tempo.modeling.TempoQwenForCausalLM`.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .attention import grouped_sdpa, rotate
from .config import LanguageConfig
from .kv_cache import KVCache


class LanguageModel(nn.Module):
    """Embedding, layers and the last norm. It has no output head."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = RotaryTable(config)


class Layer(nn.Module):
    """Attention and MLP, each behind its norm and added to what goes in."""

    def __init__(self, config: LanguageConfig, index: int) -> None:
        super().__init__()
        self.self_attn = Attention(config, index)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        x_SLD: torch.Tensor,
        *,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None,
        position_ids: None,
        past_key_values: KVCache | None,
    ) -> torch.Tensor:
        """The arguments are those of transformers' layers."""
        x_SLD = x_SLD + self.self_attn(
            self.input_layernorm(x_SLD), position_embeddings, attention_mask, past_key_values
        )
        return x_SLD + self.mlp(self.post_attention_layernorm(x_SLD))


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    is_causal = True

    def __init__(self, config: LanguageConfig, index: int) -> None:
        super().__init__()
        self.layer_idx = index
        self.head_dim = config.head_dim
        self.scaling = config.head_dim**-0.5
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        asking, shared = (
            config.num_attention_heads * self.head_dim,
            config.num_key_value_heads * self.head_dim,
        )
        self.q_proj = nn.Linear(config.hidden_size, asking, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, shared, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, shared, bias=False)
        self.o_proj = nn.Linear(asking, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)

    def forward(
        self,
        x_SLD: torch.Tensor,
        rope: tuple[torch.Tensor, torch.Tensor],
        mask_11QL: torch.Tensor | None,
        cache: KVCache | None,
    ) -> torch.Tensor:
        heads = (*x_SLD.shape[:2], -1, self.head_dim)
        query_SAQE = rotate(self.q_norm(self.q_proj(x_SLD).view(heads)).transpose(1, 2), *rope)
        key_SGLE = rotate(self.k_norm(self.k_proj(x_SLD).view(heads)).transpose(1, 2), *rope)
        value_SGLE = self.v_proj(x_SLD).view(heads).transpose(1, 2)
        if cache is not None:
            key_SGLE, value_SGLE = cache.update(key_SGLE, value_SGLE, self.layer_idx)
        out_SQAE, _ = grouped_sdpa(self, query_SAQE, key_SGLE, value_SGLE, mask_11QL, scaling=self.scaling)
        return self.o_proj(out_SQAE.flatten(2))


class GatedMLP(nn.Module):
    """down(silu(gate(x)) · up(x))."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class RMSNorm(nn.Module):
    """Computed in float32, scaled in the dtype of what comes in."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return self.weight * wide.to(x.dtype)


class RotaryTable(nn.Module):
    """Cosines and sines for positions that count in one direction, or in time, row and column."""

    inv_freq: torch.Tensor

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.sections = config.mrope_section
        steps = torch.arange(0, config.head_dim, 2, dtype=torch.float) / config.head_dim
        self.register_buffer("inv_freq", 1.0 / config.rope_theta**steps, persistent=False)

    @torch.no_grad()
    def forward(self, x_SLD: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine [S or 1, L, E] in the dtype of `x_SLD`.

        Args:
            positions: [S or 1, L], or for three directions [3, S or 1, L].
        """
        angle = positions[..., None].float() * self.inv_freq.float()
        if self.sections is not None:
            angle = self._interleaved(angle)
        angle = torch.cat([angle, angle], dim=-1)
        return angle.cos().to(x_SLD.dtype), angle.sin().to(x_SLD.dtype)

    def _interleaved(self, angle: torch.Tensor) -> torch.Tensor:
        """Of [3, S, L, E/2] every third frequency of the rows and of the columns, the rest of the time."""
        assert self.sections is not None
        mixed = angle[0].clone()
        for axis in (1, 2):
            turns = slice(axis, 3 * self.sections[axis], 3)
            mixed[..., turns] = angle[axis, ..., turns]
        return mixed

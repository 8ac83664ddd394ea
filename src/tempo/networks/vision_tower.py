"""Qwen3-VL's vision tower in plain torch, with the names and shapes of the one in transformers.

It holds the weights; :func:`tempo.networks.qwen3_vl.vision_features` is the way through it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .config import VisionConfig

_EPSILON = 1e-6


class VisionTower(nn.Module):
    """Patches → visual tokens in the language model's width, and those of the deepstack layers."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.spatial_merge_size = config.spatial_merge_size
        self.deepstack_visual_indexes = config.deepstack_visual_indexes
        self.patch_embed = _PatchEmbedding(config)
        self.pos_embed = nn.Embedding(config.num_position_embeddings, config.hidden_size)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.merger = _Merger(config, normed_first=True)
        self.deepstack_merger_list = nn.ModuleList(
            _Merger(config, normed_first=False) for _ in config.deepstack_visual_indexes
        )


class _PatchEmbedding(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(config.in_channels, config.hidden_size, kernel_size=kernel, stride=kernel)


class _Block(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=_EPSILON)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=_EPSILON)
        self.attn = _Attention(config)
        self.mlp = _MLP(config)


class _Attention(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)


class _MLP(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.linear_fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear_fc2(F.gelu(self.linear_fc1(x), approximate="tanh"))


class _Merger(nn.Module):
    """Joins merge × merge neighbouring patches into a token; the norm comes before or behind that."""

    def __init__(self, config: VisionConfig, *, normed_first: bool) -> None:
        super().__init__()
        self.joined = config.hidden_size * config.spatial_merge_size**2
        self.normed_first = normed_first
        self.norm = nn.LayerNorm(config.hidden_size if normed_first else self.joined, eps=_EPSILON)
        self.linear_fc1 = nn.Linear(self.joined, self.joined)
        self.linear_fc2 = nn.Linear(self.joined, config.out_hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x if self.normed_first else x.view(-1, self.joined))
        return self.linear_fc2(F.gelu(self.linear_fc1(x.view(-1, self.joined))))

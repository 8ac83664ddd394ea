"""Memory tokens → the decoder's embeddings."""

from __future__ import annotations

import re

from torch import nn

from tempo.errors import TempoError


def build_projector(kind: str, width_in: int, width_out: int) -> nn.Module:
    """`linear`, or `mlpNx_gelu` with N layers.

    Raises:
        TempoError: another kind.
    """
    if kind == "linear":
        return nn.Linear(width_in, width_out)
    match = re.fullmatch(r"mlp([1-9]\d*)x_gelu", kind)
    if match is None:
        raise TempoError(
            f"config.json: mm_projector_type {kind!r} is not supported; tempo knows 'linear' and 'mlp2x_gelu'"
        )
    layers: list[nn.Module] = [nn.Linear(width_in, width_out)]
    for _ in range(int(match[1]) - 1):
        layers += [nn.GELU(), nn.Linear(width_out, width_out)]
    return nn.Sequential(*layers)

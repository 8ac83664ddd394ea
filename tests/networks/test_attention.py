"""Grouped attention against transformers' own, which repeats keys and values."""

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tempo.networks.attention import grouped_sdpa


@pytest.mark.parametrize(("heads", "shared"), [(4, 2), (6, 1), (3, 3)])
def test_queries_in_a_row_equal_repeated_keys(heads, shared):
    torch.manual_seed(0)
    layer = torch.nn.Module()
    layer.num_key_value_groups, layer.is_causal = heads // shared, True
    query = torch.randn(2, 5, heads, 16).transpose(1, 2)
    key, value = torch.randn(2, 3, shared, 32, 16)[:, 0, :, :17], torch.randn(2, shared, 17, 16)
    seen = torch.ones(5, 17, dtype=torch.bool).tril(12)[None, None]
    for mask in (seen, torch.zeros(1, 1, 5, 17).masked_fill(~seen, torch.finfo(torch.float32).min)):
        ours, _ = grouped_sdpa(layer, query, key, value, mask, scaling=0.25)
        theirs, _ = sdpa_attention_forward(layer, query, key, value, mask, scaling=0.25)
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_without_a_mask_it_is_causal():
    torch.manual_seed(0)
    layer = torch.nn.Module()
    layer.num_key_value_groups, layer.is_causal = 2, True
    query, key, value = torch.randn(1, 4, 6, 16), torch.randn(1, 2, 6, 16), torch.randn(1, 2, 6, 16)
    plain, _ = grouped_sdpa(layer, query, key, value, None, scaling=0.25)
    masked, _ = grouped_sdpa(
        layer, query, key, value, torch.ones(6, 6, dtype=torch.bool).tril()[None, None], scaling=0.25
    )
    torch.testing.assert_close(plain, masked, atol=1e-6, rtol=1e-5)

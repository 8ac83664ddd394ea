"""Our way through Qwen3-VL against Hugging Face's own `forward`, on random weights."""

from itertools import pairwise

import pytest
import torch
from transformers import Qwen3VLConfig, Qwen3VLModel

from tempo.networks.kv_cache import KVCache, ScratchBuffer
from tempo.networks.qwen3_vl import prefix_positions, run_language, vision_features

VIDEO_PAD, START, END = 60, 61, 62


def build(attention: str = "sdpa", seed: int = 0) -> Qwen3VLModel:
    torch.manual_seed(seed)
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": 64,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 40,
            "num_heads": 2,
            "patch_size": 4,
            "out_hidden_size": 32,
            "num_position_embeddings": 25,
            "deepstack_visual_indexes": [0, 2],
        },
        video_token_id=VIDEO_PAD,
        vision_start_token_id=START,
        vision_end_token_id=END,
    )
    model = Qwen3VLModel._from_config(config, attn_implementation=attention)
    for parameter in model.parameters():  # norms and biases too, so that nothing is left out by being 1 or 0
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return build()


def prompt(pairs: int, tokens: int) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    ids, spans = [1, 2, 3], []
    for pair in range(pairs):
        ids += [4 + pair, 5, START]
        spans.append((len(ids), len(ids) + tokens))
        ids += [VIDEO_PAD] * tokens + [END]
    return ids, tuple(spans)


@pytest.mark.parametrize("grid", [(1, 4, 6), (3, 6, 4), (2, 2, 2), (4, 10, 8)])
def test_vision_features_equal_theirs_for_a_batch_of_segments(model, grid):
    t, h, w = grid
    pixels_SPC = torch.randn(2, t * h * w, 3 * 2 * 4 * 4)
    main, deepstack = vision_features(model.visual, pixels_SPC, grid)
    theirs = model.visual(pixels_SPC.flatten(0, 1), grid_thw=torch.tensor([grid] * 2))
    torch.testing.assert_close(main.flatten(0, 1), theirs.pooler_output, atol=1e-4, rtol=1e-4)
    assert len(deepstack) == len(theirs.deepstack_features) == 2
    for ours, other in zip(deepstack, theirs.deepstack_features, strict=True):
        torch.testing.assert_close(ours.flatten(0, 1), other, atol=1e-4, rtol=1e-4)


def test_vision_features_can_be_learnt_from(model):
    pixels_SPC = torch.randn(1, 24, 96, requires_grad=True)
    main, deepstack = vision_features(model.visual, pixels_SPC, (1, 4, 6))
    (main.sum() + sum(d.square().sum() for d in deepstack)).backward()
    assert pixels_SPC.grad.abs().sum() > 0
    assert all(p.grad is not None for p in model.visual.parameters())
    model.zero_grad()


@pytest.mark.parametrize("grid", [(1, 4, 6), (3, 6, 4), (4, 2, 8)])
def test_positions_equal_theirs(model, grid):
    t, h, w = grid
    ids, spans = prompt(t, h * w // 4)
    ids += [7, 8, 9]
    ours, following = prefix_positions(len(ids), spans, grid, merge=2)
    ids_1L = torch.tensor([ids])
    theirs, delta = model.get_rope_index(
        ids_1L, mm_token_type_ids=(ids_1L == VIDEO_PAD).int() * 2, video_grid_thw=torch.tensor([grid])
    )
    assert ours.tolist() == theirs[:, 0].tolist()
    assert following == len(ids) + delta.item()


def through(model, ids_SL, spans, grid, pixels_SPC, *, cache=None, last_only=False):
    main, deepstack = vision_features(model.visual, pixels_SPC, grid)
    index = torch.cat([torch.arange(*span) for span in spans])
    x = model.language_model.embed_tokens(ids_SL).index_copy(1, index, main)
    positions, following = prefix_positions(ids_SL.shape[1], spans, grid, merge=2)
    out = run_language(
        model.language_model,
        x,
        positions,
        cache=cache,
        deepstack=deepstack,
        visual_index=index,
        last_only=last_only,
    )
    return out, following


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.no_grad()
def test_the_whole_way_equals_their_forward(attention):
    model, grid = build(attention), (2, 4, 6)
    ids, spans = prompt(2, 6)
    ids_SL = torch.tensor([[*ids, 7, 8], [9, *ids[1:], 10, 11]])
    pixels_SPC = torch.randn(2, 48, 96)
    ours, _ = through(model, ids_SL, spans, grid, pixels_SPC)
    theirs = model(
        input_ids=ids_SL,
        pixel_values_videos=pixels_SPC.flatten(0, 1),
        video_grid_thw=torch.tensor([grid] * 2),
        mm_token_type_ids=(ids_SL == VIDEO_PAD).int() * 2,
    ).last_hidden_state
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("cuts", [(20,), (12, 19, 20), (26,)])
@torch.no_grad()
def test_reading_in_pieces_equals_reading_at_once(attention, cuts):
    model, grid = build(attention, seed=1), (2, 4, 6)
    language = model.language_model
    ids, spans = prompt(2, 6)
    tail = torch.arange(7).expand(2, -1)
    ids_SL = torch.cat([torch.tensor([ids, [*ids[:-1], 9]]), tail], dim=1)
    pixels_SPC = torch.randn(2, 48, 96)
    once, _ = through(model, ids_SL, spans, grid, pixels_SPC)

    cache = KVCache.allocate(language, 2, len(ids) + 7, like=once)
    pieces, following = [], 0
    out, following = through(model, ids_SL[:, : len(ids)], spans, grid, pixels_SPC, cache=cache)
    pieces.append(out)
    edges = [0, *(c - 19 for c in cuts if c > 19), 7]
    for start, end in pairwise(edges):
        if start == end:
            continue
        positions = torch.arange(following + start, following + end).expand(3, -1)
        pieces.append(
            run_language(language, language.embed_tokens(tail[:, start:end]), positions, cache=cache)
        )
    torch.testing.assert_close(torch.cat(pieces, dim=1), once, atol=1e-4, rtol=1e-4)
    assert cache.length == len(ids) + 7


def test_gathered_rows_are_copies_in_the_order_asked_for():
    data = torch.randn(3, 2, 2, 2, 5, 4)
    more = torch.randn(2, 2, 2, 3, 4)
    rows = [[data[2], more], [data[0], more]]
    gathered = KVCache.gather(rows, segments=2, reserve=4, device=torch.device("cpu"), buffer=ScratchBuffer())
    assert gathered.data.shape == (2, 2, 2, 2, 12, 4)
    assert gathered.length == 8
    torch.testing.assert_close(gathered.data[0, ..., :5, :], data[2])
    torch.testing.assert_close(gathered.data[1, ..., 5:8, :], more)
    before = data.clone()
    gathered.data.zero_()
    torch.testing.assert_close(data, before)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.no_grad()
def test_the_last_token_alone_is_that_of_all_and_leaves_the_same_behind(attention):
    model, grid = build(attention, seed=2), (2, 4, 6)
    language = model.language_model
    ids, spans = prompt(2, 6)
    ids_SL, pixels_SPC = torch.tensor([ids, [*ids[:-1], 9]]), torch.randn(2, 48, 96)
    tail_SQD = language.embed_tokens(torch.tensor([[3, 1, 4], [1, 5, 9]]))

    def read(*, last_only):
        cache = KVCache.allocate(language, 2, len(ids) + 4, like=tail_SQD)
        out, at = through(model, ids_SL, spans, grid, pixels_SPC, cache=cache, last_only=last_only)
        outs = [out[:, -1:]]
        for piece in (tail_SQD, tail_SQD[:, :1]):
            positions = torch.arange(at, at + piece.shape[1]).expand(3, -1)
            outs.append(run_language(language, piece, positions, cache=cache, last_only=last_only)[:, -1:])
            at += piece.shape[1]
        return outs, cache

    plain, kept = read(last_only=False)
    alone, kept_alone = read(last_only=True)
    for one, other in zip(alone, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert kept_alone.length == kept.length == len(ids) + 4
    torch.testing.assert_close(kept_alone.data, kept.data, atol=1e-5, rtol=1e-4)

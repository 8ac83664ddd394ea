import pytest
import torch

from tempo.networks.compressor import PrefillState
from tempo.networks.kv_cache import KVCache, ScratchBuffer
from tempo.processing.image_processor import patches


@pytest.fixture(scope="module")
def segment(tiny):
    """Two segments of equal layout: (pixels, grid, ids, spans)."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 4, 64, 96, 3), generator=generator, dtype=torch.uint8)
    pixels_SPC, grid = patches(frames.numpy(), tiny.geometry)
    prompts = [tiny.prompts.segment([t, t + 1], tokens=grid[1] * grid[2] // 4) for t in (0.25, 2.25)]
    return pixels_SPC, grid, torch.tensor([p.ids for p in prompts]), prompts[0].spans


@pytest.fixture(scope="module")
def questions(tiny):
    return [
        tiny.prompts.question(text)
        for text in ("What colour is it?", "How many circles are there, and where do they go?", "Why?")
    ]


def plainly(compressor, pixels_SPC, grid, ids_SL, spans, questions):
    """Relevance [S] and memory [S, M, D] of one question, [S, N] and [S, N, M, D] of several."""
    longest = max(map(len, questions))
    padded = torch.tensor([[q + [0] * (longest - len(q)) for q in questions]] * len(ids_SL))
    lengths = torch.tensor([[len(q) for q in questions]] * len(ids_SL))
    relevance_SN, memory_SNMD = compressor(pixels_SPC, grid, ids_SL, spans, padded, lengths)
    return (relevance_SN[:, 0], memory_SNMD[:, 0]) if len(questions) == 1 else (relevance_SN, memory_SNMD)


@torch.no_grad()
def test_one_watched_prefix_serves_many_questions_exactly(tiny, segment, questions):
    compressor = tiny.model.compressor
    kept = compressor.prefill(*segment)
    before = kept.cache.data.clone()
    for question in [*questions, questions[0]]:
        rows, room = [[row] for row in kept.cache.data], len(question) + 32
        cache = KVCache.gather(
            rows, segments=len(rows), reserve=room, device=kept.cache.data.device, buffer=ScratchBuffer()
        )
        state = PrefillState(cache, kept.position)
        relevance_S = compressor.score(state, question)
        memory_SMD = compressor.compress(state, 32)
        plain_S, plain_SMD = plainly(compressor, *segment, [question])
        torch.testing.assert_close(relevance_S, plain_S, atol=1e-6, rtol=0)
        torch.testing.assert_close(memory_SMD, plain_SMD, atol=1e-5, rtol=0)
    assert torch.equal(kept.cache.data, before)


@torch.no_grad()
def test_the_first_memory_tokens_do_not_depend_on_the_rest(tiny, segment, questions):
    compressor = tiny.model.compressor
    _, all_SMD = plainly(compressor, *segment, [questions[0]])
    for count in (1, 7, 31):
        state = compressor.prefill(*segment, reserve=len(questions[0]) + count)
        compressor.score(state, questions[0])
        some_SkD = compressor.compress(state, count)
        torch.testing.assert_close(some_SkD, all_SMD[:, :count], atol=1e-5, rtol=0)


@torch.no_grad()
def test_questions_of_different_length_share_a_batch(tiny, segment, questions):
    compressor = tiny.model.compressor
    longest = max(map(len, questions))
    pair = [questions[1], questions[2]]
    padded = torch.tensor([q + [0] * (longest - len(q)) for q in pair])
    relevance_S, memory_SMD = (
        part[:, 0] for part in compressor(*segment, padded[:, None], torch.tensor([[len(q)] for q in pair]))
    )
    for index, question in enumerate(pair):
        one = [part[index : index + 1] if isinstance(part, torch.Tensor) else part for part in segment]
        alone_S, alone_SMD = plainly(compressor, *one, [question])
        torch.testing.assert_close(relevance_S[index : index + 1], alone_S, atol=1e-6, rtol=0)
        torch.testing.assert_close(memory_SMD[index : index + 1], alone_SMD, atol=1e-5, rtol=0)


@torch.no_grad()
def test_questions_that_share_a_segment_do_not_see_one_another(tiny, segment, questions):
    compressor = tiny.model.compressor
    relevance_SN, memory_SNMD = plainly(compressor, *segment, questions)
    for index, question in enumerate(questions):
        alone_S, alone_SMD = plainly(compressor, *segment, [question])
        torch.testing.assert_close(relevance_SN[:, index], alone_S, atol=1e-6, rtol=0)
        torch.testing.assert_close(memory_SNMD[:, index], alone_SMD, atol=1e-5, rtol=0)


@torch.no_grad()
def test_relevance_is_the_base_models_yes_against_its_no(tiny, segment, questions, reference):
    """Their whole model, with its own head, on the same input."""
    from transformers import Qwen3VLForConditionalGeneration

    base = Qwen3VLForConditionalGeneration.from_pretrained(reference / "qwen3-vl-tiny").eval()
    compressor = tiny.model.compressor
    base.model.load_state_dict(compressor.vlm.state_dict())
    rows = compressor.relevance_rows
    yes, no = (tiny.prompts.compressor.id(word) for word in ("Yes", "No"))
    base.lm_head.weight = torch.nn.Parameter(base.lm_head.weight.clone())  # untied, as the published router
    base.lm_head.weight[[yes, no]] = rows
    pixels_SPC, grid, ids_SL, _ = segment
    ids = torch.cat([ids_SL, torch.tensor([questions[1]] * 2)], dim=1)
    logits = base(
        input_ids=ids,
        pixel_values_videos=pixels_SPC.flatten(0, 1),
        video_grid_thw=torch.tensor([grid] * 2),
        mm_token_type_ids=(ids == tiny.prompts.compressor.id("<|video_pad|>")).int() * 2,
        logits_to_keep=1,
    ).logits[:, 0]
    expected_S = logits[:, [yes, no]].softmax(-1)[:, 0]
    relevance_S, _ = plainly(compressor, *segment, [questions[1]])
    torch.testing.assert_close(relevance_S, expected_S, atol=1e-5, rtol=0)


def test_gradients_reach_every_part(tiny, segment, questions):
    compressor = tiny.model.compressor
    compressor.requires_grad_(True)
    try:
        relevance_S, memory_SMD = plainly(compressor, *segment, [questions[0]])
        (memory_SMD.square().sum() + relevance_S.sum()).backward()
        without = [n for n, p in compressor.named_parameters() if p.grad is None]
        assert without == []
    finally:
        compressor.zero_grad()
        compressor.requires_grad_(False)

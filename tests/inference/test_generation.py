import pytest
import torch

from tempo.inference.generation import DecodeOptions, generate, pieces
from tempo.processing.prompts import TextEncoder


@pytest.fixture
def inputs_embeds_LU():
    return torch.randn(40, 128, generator=torch.Generator().manual_seed(3))


def test_greedy_equals_transformers_generate(tiny, tiny_of_transformers, inputs_embeds_LU):
    options = {"max_new_tokens": 16, "do_sample": False}
    theirs = tiny_of_transformers.generate(inputs_embeds=inputs_embeds_LU[None], **options)[0]
    ours = list(
        generate(tiny.model, inputs_embeds_LU, DecodeOptions(max_new_tokens=16, stop_ids=tiny.stop_ids))
    )
    assert ours == theirs.tolist()


def test_it_stops_after_a_stop_token(tiny, inputs_embeds_LU):
    free = list(generate(tiny.model, inputs_embeds_LU, DecodeOptions(max_new_tokens=8, stop_ids=())))
    stop = free[3]
    stopped = list(generate(tiny.model, inputs_embeds_LU, DecodeOptions(max_new_tokens=8, stop_ids={stop})))
    assert stopped == free[: free.index(stop) + 1]


def test_drawing_follows_the_distribution(tiny, tiny_of_transformers, inputs_embeds_LU):
    """The first token of 400 draws, against the softmax of the model's own logits."""
    with torch.no_grad():
        logits_V = tiny_of_transformers(inputs_embeds=inputs_embeds_LU[None]).logits[0, -1] / 0.7
    chance_V = logits_V.softmax(-1)
    torch.manual_seed(0)
    options = {"max_new_tokens": 1, "stop_ids": (), "temperature": 0.7}
    drawn = [next(generate(tiny.model, inputs_embeds_LU, DecodeOptions(**options))) for _ in range(400)]
    top = chance_V.topk(20).indices
    expected, found = chance_V[top].sum().item(), sum(t in top.tolist() for t in drawn) / 400
    assert abs(found - expected) < 4 * (expected * (1 - expected) / 400) ** 0.5 + 1e-9
    greedy = logits_V.argmax().item()
    assert next(generate(tiny.model, inputs_embeds_LU, DecodeOptions(**options, top_p=1e-6))) == greedy
    nucleus = set(
        chance_V.sort(descending=True)
        .indices[: 1 + int((chance_V.sort(descending=True).values.cumsum(0) < 0.3).sum())]
        .tolist()
    )
    assert {
        next(generate(tiny.model, inputs_embeds_LU, DecodeOptions(**options, top_p=0.3))) for _ in range(50)
    } <= nucleus


def test_pieces_join_to_the_text_and_never_split_a_character(reference):
    encoder = TextEncoder.from_folder(reference / "tempo-tiny")
    text = "naïve 🎬 東京 café"
    ids = encoder.text(text)
    out = list(pieces(encoder, ids))
    assert "".join(piece for _, piece in out) == text
    assert not any("\ufffd" in piece for _, piece in out)
    assert out[-1][0] == ids


def test_a_character_that_is_never_finished_is_still_told(reference):
    encoder = TextEncoder.from_folder(reference / "tempo-tiny")
    ids = encoder.text("ok 🎬")[:-1]
    assert "".join(piece for _, piece in pieces(encoder, ids)) == encoder.decode(ids)

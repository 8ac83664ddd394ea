"""The measure at the published dimensions reads what the compressor would, on one of its form but small."""

import torch

from tempo.benchmarking import published
from tempo.benchmarking.published import (
    blank_segments,
    build,
    first_answer,
    follow_up,
)


def test_a_follow_up_goes_on_where_the_first_answer_had_read(monkeypatch):
    text = published.DIMENSIONS["text_config"] | {
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": 16,
    }
    vision = published.DIMENSIONS["vision_config"] | {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": 64,
        "deepstack_visual_indexes": [0],
    }
    small = {"text_config": text, "vision_config": vision, "tie_word_embeddings": True}
    monkeypatch.setattr(published, "DIMENSIONS", small)
    compressor, one = build(torch.float32), blank_segments()
    written = []
    compress = compressor.compress
    monkeypatch.setattr(compressor, "compress", lambda *given: written.append(compress(*given)))
    kept, watched = first_answer(compressor, one)
    assert watched > 0
    length = kept.cache.length
    assert length == one.ids_SL.shape[1]
    follow_up(compressor, [kept.cache.data[0, :, :, :, :length]] * 2, kept.position, 5)
    whole, again = written
    assert (whole.shape, again.shape) == ((1, 128, 64), (2, 5, 64))
    torch.testing.assert_close(again, whole[:, :5].expand(2, -1, -1), atol=1e-4, rtol=1e-4)

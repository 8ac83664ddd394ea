"""The measure at the published dimensions reads what the compressor would, on one of its form but small."""

import torch

from tempo.benchmarking.follow_up_costs import first_answer, follow_up
from tempo.benchmarking.published_size import TINY, blank_segments, build


def test_a_follow_up_goes_on_where_the_first_answer_had_read(monkeypatch):
    compressor, one = build(torch.float32, size=TINY), blank_segments()
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

import threading

import numpy as np
import pytest

from tempo.processing.batching import batches
from tempo.processing.image_processor import Geometry, patches
from tempo.video.video import Video

NANO = Geometry(resize="direct", patch_size=8, min_pixels=48 * 48, max_pixels=5632)


def watch(tiny, frames, *, fps=2.0, batch_size=4):
    video = Video.from_frames(frames, fps=fps)
    return batches(
        video, video.sample(), prompts=tiny.prompts, geometry=NANO, segment_frames=8, batch_size=batch_size
    )


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (203, 48, 96, 3), np.uint8)


def test_batches_hold_every_segment_once_in_order_and_of_one_layout(tiny, frames):
    made = list(watch(tiny, frames))
    assert [moment.index for batch in made for moment in batch.segments] == list(range(26))
    assert sum(batch.frames for batch in made) == 203
    assert max(len(batch.segments) for batch in made) == 4
    for batch in made:
        pads = batch.ids_SL == tiny.prompts.compressor.id("<|video_pad|>")
        assert batch.ids_SL.shape[0] == batch.pixels_SPC.shape[0] == len(batch.segments)
        assert (pads == pads[0]).all()
        assert pads[0].sum() * 4 == batch.pixels_SPC.shape[1] == np.prod(batch.grid)
        assert [i for start, end in batch.spans for i in range(start, end)] == pads[0].nonzero()[
            :, 0
        ].tolist()
    # The tags grow by a digit at 10 s and 100 s, and the last segment is short: no batch crosses that.
    firsts = {batch.segments[0].index for batch in made}
    assert {2, 3, 25} <= firsts
    assert made[-1].grid == (2, 6, 12)


def test_a_segment_reads_the_times_of_its_own_frame_pairs(tiny, frames):
    made = list(watch(tiny, frames[:27], fps=1.5, batch_size=1))
    decode = tiny.prompts.compressor.tokenizer.decode
    for batch in made:
        text = decode(batch.ids_SL[0].tolist(), skip_special_tokens=False)
        first = batch.segments[0].index * 8
        count = min(8, 27 - first)
        for pair in range(
            0, count, 2
        ):  # the last segment has three frames: its second pair ends one frame later
            assert f"<{(first + pair + 0.5) / 1.5:.1f} seconds><|vision_start|>" in text
        assert text.count(" seconds>") == -(-count // 2)


def test_patches_are_those_of_each_segment_alone(tiny, frames):
    made = list(watch(tiny, frames[:40]))
    for batch in made:
        for moment, pixels_PC in zip(batch.segments, batch.pixels_SPC, strict=True):
            alone, _ = patches(frames[None, moment.index * 8 : moment.index * 8 + 8], NANO)
            assert (alone[0] == pixels_PC).all()


def test_closing_it_ends_the_threads(tiny, frames):
    before = set(threading.enumerate())
    stream = watch(tiny, frames, batch_size=1)
    next(stream)
    stream.close()
    begun = [thread for thread in threading.enumerate() if thread not in before]
    for thread in begun:
        thread.join(10)
    assert not any(thread.is_alive() for thread in begun)

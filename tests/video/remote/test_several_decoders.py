"""A video behind an address, by several decoders where they are asked for."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import numpy as np

from tempo.video.video import Video
from web import Site


def test_the_frames_of_the_file_and_no_thread_left(web: Site, long_film: Path) -> None:
    address = web.serve("/long.mp4", long_film)
    streams = []
    for path, workers in ((str(long_film), 1), (address, 1), (address, 3)):
        video = Video.open(path)
        video.decode_workers = workers
        streams.append(list(video.stream(video.sample(fps=10.0), chunk=8)))
        assert not video.damage
    for stream in streams[1:]:
        for got, expected in zip(stream, streams[0], strict=True):
            np.testing.assert_array_equal(got.frames, expected.frames)
            np.testing.assert_array_equal(got.times, expected.times)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tempo-decode")]


def test_a_connection_that_breaks_is_told_as_with_one(web: Site, long_film: Path, impatient: None) -> None:
    """A half that is there is watched; the rest counts as lost, and nothing hangs."""
    damages = []
    for workers in (1, 3):
        address = web.serve(f"/{workers}.mp4", long_film)
        video = Video.open(address)
        video.decode_workers = workers
        batches = video.stream(video.sample(fps=10.0), chunk=8)
        taken = [next(batches)]
        web.pages.clear()  # whatever is asked for from now on is not there any more
        taken += list(batches)
        damages.append(bool(video.damage) or sum(map(len, taken)) == 100)
    assert damages == [True, True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tempo-decode")]


def test_another_process_decodes_with_as_many(web: Site, long_film: Path) -> None:
    video = Video.open(web.serve("/film.mp4", long_film))
    video.decode_workers = 3
    sent = pickle.loads(pickle.dumps(video))
    assert sent.decode_workers == 3
    assert sent.duration == video.duration

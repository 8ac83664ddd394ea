"""Videos at http addresses, served from this machine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.errors import TempoError
from tempo.video import Sampling, Video


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves whole files only: it does not know about ranges."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_video_is_watched_from_its_address(tmp_path: Path, address: str) -> None:
    clips.write(
        tmp_path / "clip.mp4", count=60, options={"g": "12"}, container_options={"movflags": "faststart"}
    )
    video = Video.open(f"{address}/clip.mp4")
    assert video.duration == pytest.approx(2.0, abs=0.05)
    (batch,) = video.stream(Sampling(np.array([0.01, 1.01, 1.91]), 1.0), chunk=8)
    assert clips.indices(batch.frames) == [0, 30, 57]
    assert video.fingerprint == Video.open(f"{address}/clip.mp4").fingerprint


def test_an_address_without_a_video(tmp_path: Path, address: str) -> None:
    (tmp_path / "page.html").write_text("<p>No video here</p>")
    for name in ("missing.mp4", "page.html"):
        with pytest.raises(TempoError, match=name) as caught:
            Video.open(f"{address}/{name}")
        assert "\n" not in str(caught.value)

"""Videos served from this machine, and patience for servers that never answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import clips
from tempo.video.remote import (
    transport,
)
from web import Site, site

sys.path.insert(0, str(Path(__file__).parent))  # a module beside this one (remote_checks) is imported by name


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def web() -> Iterator[Site]:
    with site() as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 0.3)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Fifty pictures, ten a second, in files whose index stands at either end, or that have none."""
    folder = tmp_path_factory.mktemp("films")
    options = {"count": 50, "rate": 10, "options": {"g": "10"}}
    fast = {"container_options": {"movflags": "faststart"}}
    made = {
        "index first": clips.write(folder / "first.mp4", **options, **fast),
        "index last": clips.write(folder / "last.mp4", **options),
        "mkv": clips.write(folder / "film.mkv", **options),
        "ts": clips.write(folder / "film.ts", **options),
        "fragments": clips.write(
            folder / "fragments.mp4", **options, container_options={"movflags": "frag_keyframe+empty_moov"}
        ),
    }
    assert made["index last"].read_bytes().index(b"moov") > made["index last"].read_bytes().index(b"mdat")
    return made


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred noisy pictures with their numbers: a megabyte, the index first."""
    random = np.random.default_rng(1)

    def draw(index: int) -> np.ndarray:
        picture = clips.picture(index, (192, 128)).astype(np.int16)
        return np.clip(picture + random.integers(-60, 60, picture.shape), 0, 255).astype(np.uint8)

    return clips.write(
        tmp_path_factory.mktemp("long") / "long.mp4",
        count=100,
        rate=10,
        size=(192, 128),
        options={"g": "10", "crf": "20", "preset": "ultrafast"},
        container_options={"movflags": "faststart"},
        draw=draw,
    )

"""What is downloaded or fetched in parts: limits, progress, what is left behind, reading like any file."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from remote_checks import refusal, watched

from tempo.errors import UsageError
from tempo.video.clips import cut
from tempo.video.remote import (
    RemoteFile,
    blocks,
)
from tempo.video.video import Video
from web import Site


def test_what_is_too_large_to_be_downloaded(
    web: Site, films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPO_MAX_DOWNLOAD_GB", "0.000002")  # 2 kB
    film, size = films["index last"], films["index last"].stat().st_size
    assert size > 2_000
    for length in ("true", "chunked"):
        sent = web.sent
        line = refusal(web.serve("/film.mp4", film.read_bytes() * 5000, ranges="ignored", length=length))
        assert "too large" in line
        assert "TEMPO_MAX_DOWNLOAD_GB" in line
        assert web.sent - sent < size * 5000
    bomb = web.serve("/bomb.mp4", bytes(50_000_000), encoding="gzip")
    assert "too large" in refusal(bomb)
    assert watched(Video.open(web.serve("/film.mp4", film))) == list(range(50)), (
        "nothing has to be downloaded"
    )
    noise = np.random.default_rng(1).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert "too large" in refusal(web.serve("/noise.png", tmp_path / "noise.png"))
    monkeypatch.setenv("TEMPO_MAX_DOWNLOAD_GB", "1e9")
    line = refusal(web.serve("/film.mp4", film, ranges="ignored", length="9" * 16))
    assert "free; set TMPDIR" in line
    for wrong in ("-1", "much", "nan"):
        monkeypatch.setenv("TEMPO_MAX_DOWNLOAD_GB", wrong)
        with pytest.raises(UsageError, match="TEMPO_MAX_DOWNLOAD_GB"):
            Video.open(web.serve("/film.mp4", film, ranges="ignored"))


def test_a_download_tells_how_far_it_is(web: Site, films: dict[str, Path]) -> None:
    size = films["ts"].stat().st_size
    for length, total in (("true", size), ("chunked", None)):
        told: list[tuple[int, int | None]] = []
        address = web.serve("/film.ts", films["ts"], ranges="ignored", length=length)
        Video.open(address, progress=lambda done, all_of_it, told=told: told.append((done, all_of_it)))
        assert told[-1][0] >= size
        assert {whole for _, whole in told[:-1]} <= {total}
        assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_nothing_is_left_behind(web: Site, films: dict[str, Path], tmp_path: Path) -> None:
    address = web.serve("/film.ts", films["ts"].read_bytes() * 40, ranges="ignored", stall_at=500_000)
    code = f"import tempo; tempo.Video.open({address!r})"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        asked = len(web.requests)
        process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)})
        while len(web.requests) == asked or not open_files_in(tmp_path, process.pid):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(30)
        assert list(tmp_path.iterdir()) == []


def open_files_in(folder: Path, process: int) -> list[str]:
    """Files in `folder` that a process has open, also those without a name."""
    links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
    return [link for link in links if link.startswith(f"{folder}/")]


@pytest.mark.parametrize("has_open_files", [True, False])
def test_the_temporary_file_goes_with_the_video(
    web: Site, films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_open_files: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(blocks, "HAS_OPEN_FILES", has_open_files)
    for options in ({}, {"ranges": "ignored"}):
        video = Video.open(web.serve("/film.mp4", films["index last"], **options))
        assert len(list(tmp_path.iterdir())) == (0 if has_open_files else 1)
        assert watched(video) == list(range(50))
        del video
        gc.collect()
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk(web: Site, long_film: Path, tmp_path: Path) -> None:
    """What can be fetched again is not kept then; a download is one line."""
    code = """
import resource, sys, tempo
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
video = tempo.Video.open(sys.argv[1])
print(sum(len(batch) for batch in video.stream(video.sample(fps=10), chunk=32)))
try:
    tempo.Video.open(sys.argv[2])
except tempo.TempoError as error:
    print(error)
"""
    parts, whole = web.serve("/parts.mp4", long_film), web.serve("/whole.mp4", long_film, ranges="ignored")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, parts, whole],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    frames, line = done.stdout.splitlines()
    assert frames == "100"
    assert line.startswith(f"{whole}: cannot be downloaded to {tmp_path} (")
    assert "set TMPDIR" in line


@pytest.mark.parametrize("options", [{}, {"ranges": "ignored"}], ids=["parts", "downloaded"])
def test_clips_are_cut_out(
    web: Site, films: dict[str, Path], tmp_path: Path, options: dict[str, str]
) -> None:
    video = Video.open(web.serve("/a%20film.mkv", films["mkv"], **options))
    clip = cut(video, 2.5, 4.0, tmp_path)
    assert clip.copied
    assert clip.path.name.startswith("a film_")
    assert clip.path.suffix == ".mkv"
    assert watched(Video.open(clip.path)) == list(range(20, 40))


def test_reading_like_any_other_file(web: Site, long_film: Path) -> None:
    data = long_film.read_bytes()
    file = RemoteFile(web.serve("/film.mp4", long_film)).reader()
    random = np.random.default_rng(3)
    for offset in random.integers(0, len(data) + 1000, 100).tolist():
        assert file.seek(offset) == offset
        count = int(random.integers(0, 200_000))
        assert file.read(count) == data[offset : offset + count]
        assert file.tell() == offset + len(data[offset : offset + count])
    file.seek(-5, os.SEEK_END)
    assert file.read() == data[-5:]

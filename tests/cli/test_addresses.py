"""The commands on http addresses: what they print is what they print of the file."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from web import Site, site

from .conftest import TINY, environment, write_video

QUESTION = "What colour is the square?"
TINY_MODEL = ("--model", TINY, "--dtype", "float32", "--max-new-tokens", "4")


@pytest.fixture
def web() -> Iterator[Site]:
    with site() as running:
        yield running


def test_ask_says_of_an_address_what_it_says_of_the_file(tempo, clip, web):
    local = json.loads(tempo("ask", clip, QUESTION, *TINY_MODEL, "--json").stdout)
    for number, options in enumerate(({}, {"ranges": "ignored", "length": "chunked"})):
        address = web.serve(f"/film-{number}.mp4", clip, **options)
        done = tempo("ask", address.replace("http://", "HTTP://me:secret@"), QUESTION, *TINY_MODEL, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        answer = json.loads(done.stdout)
        assert answer["video"]["path"] == address.replace("http://", "HTTP://")
        # An address is not known by its content, which would have to be fetched whole.
        known = {"path": str(clip), "fingerprint": local["video"]["fingerprint"]}
        assert answer["video"] | known == local["video"]
        for part in ("answer", "token_ids", "segments", "visual_tokens"):
            assert answer[part] == local[part], part


def test_an_address_that_cannot_be_fetched_is_one_line(fails, web):
    address = f"{web.address}/film.mp4"
    assert fails("ask", address, QUESTION, *TINY_MODEL) == (
        f"{address}: cannot be fetched: the server has no such file (404 Not Found); check the address"
    )
    assert "cannot be fetched" in fails("chat", address, *TINY_MODEL)
    web.serve("/film.mp4", b"\0" * 200_000, ranges="ignored")
    assert "too large" in fails("ask", address, QUESTION, *TINY_MODEL, TEMPO_MAX_DOWNLOAD_GB="0.0001")


def test_batch_takes_addresses_and_goes_on_behind_one_that_fails(tempo, clip, web, tmp_path):
    good, missing = web.serve("/film.mp4", clip, ranges="ignored"), f"{web.address}/missing.mp4"
    cases, results = tmp_path / "cases.jsonl", tmp_path / "results.jsonl"
    cases.write_text(
        "".join(json.dumps({"video_path": path, "query": QUESTION}) + "\n" for path in (missing, good))
    )
    done = tempo("batch", cases, "--output", results, *TINY_MODEL)
    assert done.returncode == 1
    failed, answered = sorted(
        map(json.loads, results.read_text().splitlines()), key=lambda case: "error" not in case
    )
    assert "404" in failed["error"]
    assert failed["video_path"] == missing
    assert answered["video_path"] == good
    assert "error" not in answered


def test_a_terminal_shows_how_far_a_download_is(web, tmp_path):
    film = write_video(tmp_path / "film.mp4").read_bytes()
    padding = 20_000_000
    data = film + padding.to_bytes(4, "big") + b"free" + bytes(padding - 8)
    address = web.serve("/film.mp4", data, ranges="ignored")
    code = f"from tempo.cli.model_loading import open_video; open_video({address!r})"
    shown, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=terminal, env=environment(tmp_path, TERM="xterm", COLUMNS="100")
    )
    os.close(terminal)
    output = b""
    try:
        while piece := os.read(shown, 1 << 16):
            output += piece
    except OSError:  # the other end was closed
        pass
    assert process.wait(60) == 0
    assert "downloading" in output.decode()
    assert "of 21 MB" in output.decode()

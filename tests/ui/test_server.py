"""Starting and ending the server."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tempo.cli.main import main
from tempo.errors import TempoError


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


def test_a_path_that_is_not_there_is_refused_before_anything_is_loaded(capsys):
    assert main(["ui", "--library", "/no/such/films"]) == 1
    assert capsys.readouterr().err == "tempo: /no/such/films: no such file or folder; check the path\n"


def test_a_folder_is_no_video_and_a_file_no_library(film, capsys):
    assert main(["ui", str(film.parent)]) == 2
    assert f"offer its videos with --library {film.parent}" in capsys.readouterr().err
    assert main(["ui", "--library", str(film)]) == 2
    assert "a file, not a folder; leave out --library" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_ports_that_cannot_be(port, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["ui", "--port", port])
    assert ended.value.code == 2
    assert "--port: must be a number between 1 and 65535" in capsys.readouterr().err


@pytest.mark.slow
def test_a_port_that_is_taken_is_said(serve):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(TempoError, match="is not available; choose another with --port"):
            serve(port=taken.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_leaves_nothing_behind(tmp_path, end):
    port, home = free_port(), tmp_path / "home"
    home.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "tempo", "ui", "--port", str(port)],
        env={**os.environ, "TMPDIR": str(tmp_path), "HOME": str(home), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout.readline() == f"http://127.0.0.1:{port}/  (stop with Ctrl-C)\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=120) as page:
            text = page.read().decode()
        assert 'src="app.js"' in text
        with socket.socket() as other, pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
            other.connect(("127.0.0.2", port))
        running.send_signal(end)
        out, err = running.communicate(timeout=120)
    finally:
        running.kill()
    assert (running.returncode, out, err) == (0, "", "")
    assert [path for path in Path(tmp_path).iterdir() if path.name.startswith("tempo-ui")] == []

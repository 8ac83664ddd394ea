"""`tempo doctor`: one screen of true findings, and what is wrong is told and is the exit status."""

import json
import platform

from tempo.version import __version__


def test_findings_as_text_and_as_json(tempo, tmp_path):
    done = tempo("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tempo is ready to use" in done.stdout
    assert len(done.stdout.splitlines()) <= 40, "it fits on a screen"
    for words in (
        __version__,
        platform.python_version(),
        "H.264",
        "sdpa",
        str(tmp_path / "cache"),
        "GB free",
    ):
        assert words in done.stdout
    assert "OMP_NUM_THREADS" in done.stdout or " 1 cores" in done.stdout


def test_what_is_wrong_is_the_exit_status(tempo):
    done = tempo("doctor", "--json", TEMPO_CACHE_GB="much")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert {"program", "machine", "devices", "decoder", "attention", "models", "folders"} <= found.keys()
    (problem,) = found["problems"]
    assert "TEMPO_CACHE_GB='much'" in problem

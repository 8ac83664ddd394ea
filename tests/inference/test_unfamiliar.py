"""A model that knows generated videos only says so about any other, once, on every way to it."""

import json
import re
import shutil
import warnings
from pathlib import Path

import pytest

import clips
import tempo
from tempo.cli.main import main
from tempo.inference.engine import EMBEDDED
from tempo.synthetic.video_files import FileSpec, make_file
from tempo.ui.open_video import Watched

pytestmark = pytest.mark.skipif(not (EMBEDDED / "config.json").is_file(), reason="no embedded model yet")

KNOWS = "tempo-nano knows generated videos only"
HOW = "`tempo download`"
ABSENT = "a white cross"  # not in the generated film


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    path = tmp_path_factory.mktemp("generated") / "film.mp4"
    make_file(path, FileSpec(seconds=12, height=120, fps=5), seed="unfamiliar", questions=8)
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A film that tempo did not generate."""
    return clips.write(tmp_path_factory.mktemp("other") / "other.mp4", count=60, rate=5, options={"g": "5"})


@pytest.fixture(scope="module")
def nano():
    return tempo.load()


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Call the command line; (status, stdout, stderr)."""
    monkeypatch.setenv("TEMPO_CACHE", str(tmp_path / "cache"))

    def run(*arguments, typed=""):
        typed_path = tmp_path / "typed.txt"
        typed_path.write_text(typed, encoding="utf-8")
        with warnings.catch_warnings(), typed_path.open(encoding="utf-8") as file:
            monkeypatch.setattr("sys.stdin", file)
            status = main(list(map(str, arguments)))
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def watch_quietly(model, video):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.watch(video, max_frames=8)


def test_python_warns_once_and_only_about_other_videos(generated, other):
    model = tempo.load()
    assert watch_quietly(model, generated).warnings == ()
    with pytest.warns(tempo.UnfamiliarVideoWarning, match=KNOWS) as caught:
        session = model.watch(other, max_frames=8)
    assert Path(caught[0].filename) == Path(__file__)
    assert HOW in session.warnings[0]
    assert session.ask("What is there?", max_new_tokens=1).warnings == session.warnings
    watch_quietly(model, other)


def test_a_model_that_claims_nothing_says_nothing(other, tmp_path, tiny):
    assert watch_quietly(tiny, other).warnings == ()
    folder = shutil.copytree(EMBEDDED, tmp_path / "tuned")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config.pop("trained_on") == "synthetic"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert watch_quietly(tempo.load(folder), other).warnings == ()


def test_ask_says_it_on_stderr_and_in_the_json(call, generated, other):
    status, said, told = call("ask", other, "What is there?", "--json", "--max-new-tokens", "2")
    assert status == 0
    assert told.count("\n") == 1
    assert told.startswith(f"tempo: {KNOWS}")
    assert HOW in told
    found = json.loads(said)
    assert not found["video"]["generated"]
    assert [f"tempo: {line}\n" for line in found["warnings"]] == [told]

    status, said, told = call("ask", generated, "What is there?", "--json", "--max-new-tokens", "2")
    assert (status, told) == (0, "")
    found = json.loads(said)
    assert found["video"]["generated"]
    assert found["warnings"] == []


def test_chat_says_it_once(call, generated, other):
    status, _, told = call("chat", other, "--max-new-tokens", "2", typed="What is there?\nAnd then?\n")
    assert (status, told.count(KNOWS), told.count("\n")) == (0, 1, 1)
    assert call("chat", generated, "--max-new-tokens", "2", typed="What is there?\n")[2] == ""


@pytest.mark.slow
def test_batch_says_it_once(call, generated, other, tmp_path):
    cases, results = tmp_path / "cases.jsonl", tmp_path / "results.jsonl"
    asked = [(generated, "What is there?"), (other, "What is there?"), (other, "And then?")]
    lines = (json.dumps({"video_path": str(video), "query": query}) for video, query in asked)
    cases.write_text("\n".join(lines), encoding="utf-8")
    status, said, told = call("batch", cases, "--output", results, "--json", "--max-new-tokens", "2")
    assert (status, told.count(KNOWS), told.count("\n")) == (0, 1, 1)
    assert len(json.loads(said)["warnings"]) == 1
    found = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert [bool(record["warnings"]) for record in found] == [False, True, True]


def test_moments_says_it_and_finds_nothing_where_nothing_is(call, generated, other, tmp_path):
    status, said, told = call("moments", other, ABSENT, "--json")
    assert (status, told.count(KNOWS), told.count("\n")) == (0, 1, 1)
    assert [f"tempo: {line}\n" for line in json.loads(said)["warnings"]] == [told]

    status, said, told = call("moments", generated, ABSENT, "--clips", tmp_path / "clips")
    assert (status, told) == (0, "")
    assert re.fullmatch(r"nothing stands out \(best 0\.\d\d\)\n", said)
    assert list((tmp_path / "clips").iterdir()) == []
    status, said, told = call("moments", generated, ABSENT, "--json")
    found = json.loads(said)
    assert (status, told, found["moments"], found["warnings"]) == (0, "", [], [])
    assert max(segment["relevance"] for segment in found["segments"]) > 0


def test_the_page_says_it_below_the_player(nano, generated, other):
    def shown(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session = nano.watch(path, max_frames=8)
        return "".join(Watched.of(session).warnings)

    assert shown(other).count(KNOWS) == 1
    assert KNOWS not in shown(generated)

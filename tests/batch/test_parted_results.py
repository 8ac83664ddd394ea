"""Results where nothing can be appended to: an object store (fsspec's own), and a Parquet file."""

import json
import uuid

import fsspec
import pyarrow.parquet
import pytest

from tempo.batch.parted_results import PartedResults
from tempo.cli.main import main
from tempo.errors import TempoError
from tests.cli.conftest import TINY, write_video


def record(name, **more):
    return {"id": name, "video_path": "a.mp4", "query": "who?", "settings": {}, **(more or {"answer": "x"})}


@pytest.fixture(params=["memory", "parquet", "parquet in memory"])
def output(request, tmp_path):
    name = uuid.uuid4().hex
    ending = ".parquet" if "parquet" in request.param else ".jsonl"
    return f"memory://{name}/r{ending}" if "memory" in request.param else str(tmp_path / f"r{ending}")


def test_what_was_stored_is_there_after_a_kill_and_after_an_end(output):
    first = PartedResults(output)
    first.append(record("a"))
    first.append(record(2, error="no such file"))
    # Killed here: nothing was closed.
    second = PartedResults(output)
    assert second.records == first.records
    second.append(record("c"))
    second.close()
    third = PartedResults(output)
    assert [one["id"] for one in third.records] == ["a", 2, "c"]
    third.remove_failures()
    third.close()
    assert [one["id"] for one in PartedResults(output).records] == ["a", "c"]
    filesystem, path = fsspec.core.url_to_fs(output)
    assert not filesystem.exists(f"{path}.parts")


def test_killed_between_joining_and_tidying_nothing_is_there_twice(output):
    results = PartedResults(output)
    results.append(record("a"))
    filesystem, path = fsspec.core.url_to_fs(output)
    (part,) = filesystem.ls(f"{path}.parts", detail=False)
    data = filesystem.cat_file(part)
    results.close()
    filesystem.makedirs(f"{path}.parts")
    filesystem.pipe_file(part, data)
    assert [one["id"] for one in PartedResults(output).records] == ["a"]


def test_something_else_is_left_alone(output):
    filesystem, path = fsspec.core.url_to_fs(output)
    filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
    filesystem.pipe_file(path, b"my novel")
    with pytest.raises(TempoError, match="not results of a batch run"):
        PartedResults(output)
    assert filesystem.cat_file(path) == b"my novel"


@pytest.mark.slow
def test_a_run_writes_parquet_that_others_read_and_resumes_from_it(tmp_path, capsys):
    video = write_video(tmp_path / "a.mp4", seconds=2)
    cases = tmp_path / "cases.jsonl"
    cases.write_text("\n".join(json.dumps({"video_path": str(video), "query": q}) for q in ("who?", "when?")))
    output = str(tmp_path / "results.parquet")
    call = ["batch", str(cases), "--output", output, "--model", str(TINY), "--dtype", "float32", "--json"]
    call += ["--device", "cpu", "--max-new-tokens", "4"]
    assert main(call) == 0
    rows = pyarrow.parquet.read_table(output).to_pylist()
    assert [row["query"] for row in rows] == ["who?", "when?"]
    for row in rows:
        result = json.loads(row["result"])
        assert row["answer"] == result["answer"]
        assert result["segments"]
    capsys.readouterr()
    assert main(call) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["answered"], summary["done_before"]) == (2, 2)

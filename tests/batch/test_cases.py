"""Cases: what is read, what is refused, and which of them share a video."""

import json

import pytest

from tempo.batch.cases import group, read_cases
from tempo.errors import TempoError

ONE = {"video_path": "a.mp4", "query": "what?"}


def read(tmp_path, text, **settings):
    path = tmp_path / "cases"
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return read_cases(path, settings)


@pytest.mark.parametrize(
    "text",
    [
        '[{"video_path": "a.mp4", "query": "who?"}, {"video_path": "b.mp4", "query": "wo — 世界?"}]',
        '{"video_path": "a.mp4", "query": "who?"}\n\n{"video_path": "b.mp4", "query": "wo — 世界?"}\n',
        '\ufeff{"video_path": "a.mp4", "query": "who?"}\r\n{"video_path": "b.mp4", "query": "wo — 世界?"}',
    ],
)
def test_json_and_jsonl_say_the_same(tmp_path, text):
    cases = read(tmp_path, text)
    assert [(c.number, c.id, c.video_path, c.query, c.error) for c in cases] == [
        (1, 1, "a.mp4", "who?", ""),
        (2, 2, "b.mp4", "wo — 世界?", ""),
    ]


def test_one_object_over_several_lines_is_one_case(tmp_path):
    assert len(read(tmp_path, json.dumps(ONE, indent=2))) == 1


def test_a_cases_own_options_go_first(tmp_path):
    (case,) = read(tmp_path, [ONE | {"id": "x", "options": {"budget": 64}}], budget=32, fps=1.0)
    assert case.settings == {"budget": 64, "fps": 1.0}
    assert (case.id, case.named) == ("x", True)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (7, "object"),
        ({"query": "what?"}, "'video_path' is missing"),
        ({"video_path": "a.mp4"}, "'query' is missing"),
        (ONE | {"query": "  "}, "'query'"),
        (ONE | {"video_path": None}, "'video_path'"),
        (ONE | {"id": [1]}, "'id'"),
        (ONE | {"options": [1]}, "'options'"),
        (ONE | {"options": {"budgets": 3}}, "'budgets'"),
        (ONE | {"options": {"budget": "many"}}, "'budget' must be a whole number"),
        (ONE | {"options": {"budget": True}}, "'budget'"),
        (ONE | {"options": {"fps": float("nan")}}, "'fps'"),
        (ONE | {"options": {"adaptive": 1}}, "'adaptive'"),
        (ONE | {"budget": 64}, "move 'budget' into 'options'"),
    ],
)
def test_a_senseless_case_says_why_and_the_others_stay(tmp_path, value, says):
    bad, good = read(tmp_path, [value, ONE])
    assert says in bad.error
    assert not good.error
    json.dumps(bad.failure(bad.error), allow_nan=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no cases"),
        ("[]", "no cases"),
        ("[{]", "not JSON"),
        (json.dumps(ONE) + "\n{oops\n", "line 2"),
        ("video_path,query\n", "line 1"),
        ([ONE | {"id": "x"}, ONE, ONE | {"id": "x"}], "cases 1 and 3"),
        ([ONE, ONE | {"id": 1}], "same id"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, says):
    with pytest.raises(TempoError, match=says) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "cases") in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "binary", "."):
        with pytest.raises(TempoError, match=str(tmp_path)):
            read_cases(tmp_path / name, {})


def test_cases_of_one_video_watched_alike_are_together(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "same.mp4").symlink_to(tmp_path / "a.mp4")
    a, same = str(tmp_path / "a.mp4"), str(tmp_path / "same.mp4")
    cases = read(
        tmp_path,
        [
            {"video_path": a, "query": "1"},
            {"video_path": "http://127.0.0.1/x.mp4", "query": "2"},
            {"video_path": same, "query": "3", "options": {"budget": 9}},
            {"video_path": a, "query": "4", "options": {"fps": 1}},
        ],
    )
    groups = group(cases)
    assert [[case.query for case in one.cases] for one in groups] == [["1", "3"], ["2"], ["4"]]
    assert groups[2].sampling == {"fps": 1}

"""Results: whatever kills the writer, whole lines stay, and nothing is counted twice."""

import json
import os

import pytest

from tempo.batch.cases import Case
from tempo.batch.result_log import Results, completed
from tempo.errors import TempoError


def case(number, query="what?", *, name=None, **settings):
    return Case(number, name or number, name is not None, "a.mp4", query, settings)


def answered(one):
    return {**one.header(), "answer": f"as {one.query}", "n": 1.5}


def test_cut_off_at_any_byte_it_goes_on_from_the_last_whole_line(tmp_path):
    cases = [case(1, "who?"), case(2, "wo — 世界?"), case(3, "b")]
    whole = "".join(json.dumps(answered(one), ensure_ascii=False) + "\n" for one in cases).encode()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        path = tmp_path / "results.jsonl"
        path.write_bytes(whole[:length])
        results = Results(path)
        left = [one for one in cases if one.number not in completed(cases, results.records, path)]
        # A line that lacks nothing but its end is whole.
        assert len(left) == 3 - sum(length >= end - 1 for end in ends), length
        for one in left:
            results.append(answered(one))
        results.close()
        assert path.read_bytes() == whole
        path.unlink()


@pytest.mark.parametrize("zeroes", [2, 512, 5000])
def test_zeroes_that_a_power_failure_leaves_are_dropped_and_that_case_is_asked_again(tmp_path, zeroes):
    """A file system may have made a file longer before its data came to the disk."""
    cases = [case(1, "who?"), case(2, "wo — 世界?"), case(3, "b")]
    lines = [(json.dumps(answered(one), ensure_ascii=False) + "\n").encode() for one in cases]
    lost = b"\0" * zeroes
    for left, end in (
        (lines[:2], lost),
        (lines[:2], lost + b"\n"),
        (lines[:2], lines[2][:20] + lost),
        (lines[:2], lines[2][:20] + lost + b"\n"),
        (lines[:2], lost[:-1] + b"\n" + lost),
        ([lines[0], lines[1][:-1]], lost),  # nothing but the line's end is lost
        ([], lost),
    ):
        path = tmp_path / "results.jsonl"
        path.write_bytes(b"".join(left) + end)
        results = Results(path)
        found = completed(cases, results.records, path)
        assert sorted(found) == [1, 2][: len(left)], end[:30]
        for one in cases:
            if one.number not in found:
                results.append(answered(one))
        results.close()
        assert path.read_bytes() == b"".join(lines)


def test_a_lost_line_between_whole_ones_is_asked_again(tmp_path):
    """What an earlier run wrote behind the zeroes stays."""
    path = tmp_path / "results.jsonl"
    first, last = (json.dumps(answered(one)) for one in (case(1, "a"), case(3, "c")))
    path.write_text(f"{first}\n" + "\0" * 100 + f"\n{last}\n")
    results = Results(path)
    assert sorted(completed([case(1, "a"), case(2, "b"), case(3, "c")], results.records, path)) == [1, 3]
    results.close()


def test_two_runs_do_not_write_to_one_file(tmp_path):
    path = tmp_path / "results.jsonl"
    first = Results(path)
    with pytest.raises(TempoError, match="another run"):
        Results(path)
    first.close()
    Results(path).close()


@pytest.mark.parametrize(
    "content",
    [
        *("\0\0\0\x20ftypisom\0\0\2\0 a video", "notes\0\0", "\n\n"),
        *("notes\n", "[1, 2]\n", '{"id": 1}\n', "notes without an end", '{"answer": 1}\n{"id": 2}\n'),
    ],
)
def test_a_file_of_something_else_is_left_alone(tmp_path, content):
    path = tmp_path / "mine"
    path.write_text(content)
    with pytest.raises(TempoError, match="choose another --output"):
        Results(path)
    assert path.read_text() == content


def test_places_that_cannot_be_written(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "results.jsonl", "/dev/null"):
        with pytest.raises(TempoError, match=str(path)):
            Results(type(tmp_path)(path))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_a_full_disk_is_told(tmp_path):
    results = Results(tmp_path / "results.jsonl")
    os.dup2(os.open("/dev/full", os.O_WRONLY), results._file)
    with pytest.raises(TempoError, match="cannot be written"):
        results.append(answered(case(1)))
    results.close()


def test_failures_are_forgotten_all_at_once_and_the_rest_stays(tmp_path):
    path = tmp_path / "results.jsonl"
    results = Results(path)
    results.append(case(1).failure("no such file"))
    results.append(answered(case(2)))
    results.remove_failures()
    results.append(answered(case(3)))
    results.close()
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [2, 3]
    assert [file.name for file in tmp_path.iterdir()] == ["results.jsonl"]


def test_half_a_surrogate_pair_can_be_written(tmp_path):
    results = Results(tmp_path / "results.jsonl")
    results.append(answered(case(1, "\ud83d?")))
    results.close()
    results = Results(tmp_path / "results.jsonl")
    assert results.records[0]["query"] == "\ud83d?"
    results.close()


# --- which cases are done ---------------------------------------------------------------------------------


def numbers(cases, records):
    return sorted(completed(cases, records, "results.jsonl"))


def test_cases_may_be_moved_added_and_removed():
    old = [case(1, "a"), case(2, "b"), case(3, "c", name="x")]
    records = [answered(one) for one in old]
    new = [case(1, "new"), case(2, "c", name="x"), case(3, "b")]
    assert numbers(new, records) == [2, 3]


def test_equal_cases_are_each_done_once():
    same = [case(1), case(2), case(3)]
    assert numbers(same, [answered(same[0]), answered(same[1])]) == [1, 2]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (case(1, "a", name="x"), case(1, "b", name="x")),
        (case(1, "a", name="x"), case(1, "a", name="x", budget=64)),
        (case(1, "a"), case(1, "a", model="other")),
    ],
)
def test_results_of_other_options_are_not_mixed(before, now):
    with pytest.raises(TempoError, match="other options"):
        numbers([now], [answered(before)])

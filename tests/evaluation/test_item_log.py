"""The lines that a run leaves behind."""

import pytest

from tempo.errors import TempoError
from tempo.evaluation.item_log import (
    ItemLog,
    ItemRecord,
    count_records,
    read_records,
)


def record(item, **values):
    return ItemRecord(task="t", item=item, asked="a", question="?", video="v.mp4", **values)


def test_what_was_written_is_read(tmp_path):
    log = ItemLog(tmp_path)
    first = record(0, text="B\nand more", about={"duration": "short"}, seconds={"total": 1.5})
    log.add(first)
    ItemLog(tmp_path, rank=1).add(record(1, text="é"))
    assert count_records(tmp_path) == 2
    found = read_records(tmp_path)
    assert found["t", 0] == first
    assert found["t", 1].text == "é"


def test_a_line_that_a_kill_cut_off_is_left_out_and_swallows_nothing(tmp_path):
    ItemLog(tmp_path).add(record(0, text="A"))
    ItemLog(tmp_path).add(record(1, text="B"))
    path = tmp_path / "answers-0.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    ItemLog(tmp_path).add(record(2, text="C"))
    assert {key[1]: one.text for key, one in read_records(tmp_path).items()} == {0: "A", 2: "C"}


def test_zeroes_that_a_power_failure_left_are_left_out_and_swallow_nothing(tmp_path):
    ItemLog(tmp_path).add(record(0, text="A"))
    path = tmp_path / "answers-0.jsonl"
    path.write_bytes(path.read_bytes() + bytes(512))
    ItemLog(tmp_path).add(record(1, text="B"))
    path.write_bytes(path.read_bytes() + bytes(512) + b"\n")
    assert {key[1]: one.text for key, one in read_records(tmp_path).items()} == {0: "A", 1: "B"}


@pytest.mark.parametrize("text", ["two\u2028lines", "next\x85line", "half \ud83d of a pair", "\x0b\x1c"])
def test_any_text_is_read_as_it_was_written(tmp_path, text):
    ItemLog(tmp_path).add(record(0, text=text))
    assert read_records(tmp_path)["t", 0].text == text


def test_an_answer_wins_over_an_error_wherever_it_stands(tmp_path):
    ItemLog(tmp_path, rank=0).add(record(0, text="A"))
    ItemLog(tmp_path, rank=0).add(record(1, error="gone"))
    ItemLog(tmp_path, rank=1).add(record(0, error="gone"))
    ItemLog(tmp_path, rank=1).add(record(1, text="B"))
    assert [one.text for one in read_records(tmp_path).values()] == ["A", "B"]


def test_something_else_in_the_file_is_named(tmp_path):
    (tmp_path / "answers-0.jsonl").write_text('{"other": 1}\n')
    with pytest.raises(TempoError, match=r"answers-0\.jsonl, line 1"):
        read_records(tmp_path)

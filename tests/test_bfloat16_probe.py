"""The choice between bfloat16 and float32 is measured once for a machine and then remembered."""

import json

import pytest

from tempo import bfloat16_probe


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache folder, and a process that has not measured yet."""
    monkeypatch.setenv("TEMPO_CACHE", str(tmp_path / "cache"))
    bfloat16_probe._remembered_or_measured.cache_clear()
    yield tmp_path / "cache"
    bfloat16_probe._remembered_or_measured.cache_clear()


def asked_anew() -> bool:
    """What another process would find."""
    bfloat16_probe._remembered_or_measured.cache_clear()
    return bfloat16_probe.is_faster_in_bfloat16()


def test_what_was_measured_is_remembered(folder):
    measured = bfloat16_probe.is_faster_in_bfloat16()
    (file,) = folder.iterdir()
    values = json.loads(file.read_text())
    assert values["bfloat16_is_faster"] is measured
    file.write_text(json.dumps(values | {"bfloat16_is_faster": not measured}))
    assert asked_anew() is not measured


def test_another_torch_is_measured_for_itself(folder, monkeypatch):
    bfloat16_probe.is_faster_in_bfloat16()
    monkeypatch.setattr("torch.__version__", "99.0")
    asked_anew()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"bfloat16_is_faster": "yes"}', "\x00"])
def test_a_damaged_file_is_replaced(folder, content):
    measured = bfloat16_probe.is_faster_in_bfloat16()
    (file,) = folder.iterdir()
    file.write_text(content)
    assert asked_anew() is measured
    assert json.loads(file.read_text())["bfloat16_is_faster"] is measured


def test_a_folder_that_cannot_be_written_is_no_error(folder):
    folder.write_text("a file in its place")
    assert isinstance(bfloat16_probe.is_faster_in_bfloat16(), bool)
    assert folder.read_text() == "a file in its place"

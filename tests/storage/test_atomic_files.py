"""Atomic files: after every way to end, a path holds the old content or the whole new one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tempo.storage.atomic_files import replacing, write_atomically


def test_text_and_bytes_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "größer\n")
    assert path.read_bytes() == b"gr\xc3\xb6\xc3\x9fer\n"
    write_atomically(path, b"\r\n")
    assert path.read_bytes() == b"\r\n"
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(part: Path) -> None:
        part.write_text("half of the n")
        raise ValueError("of the writer")

    with pytest.raises(ValueError, match="of the writer"), replacing(path) as part:
        fail(part)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_removing_the_temporary_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as part:
        part.unlink()
    assert path.read_text() == "old"


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tempo.storage.atomic_files import replacing\n"
        "with replacing(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half of the n')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode != 0
    assert path.read_text() == "old"


def test_the_longest_name_that_a_file_can_have(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomically(path, "whole")
    assert path.read_text() == "whole"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_atomically(tmp_path / "atomic", "x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1]

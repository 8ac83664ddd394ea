"""Reads and writes JSON Lines files such that a crash or a power failure loses the last line at most."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def json_line(value: Any) -> bytes:
    """VALUE on one line, its end included; readable text where UTF-8 can hold it."""
    try:
        return (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can name and UTF-8 cannot hold
        return (json.dumps(value, allow_nan=False) + "\n").encode()


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of every line that holds something.

    A power failure may leave zeroes in the place of what was written last; they are left out. Only a line
    feed ends a line: texts may hold characters that Python takes for line ends too.
    """
    text = path.read_bytes().decode("utf-8", "replace")
    for number, line in enumerate(text.split("\n"), 1):
        if line := line.replace("\0", "").strip():
            yield number, line

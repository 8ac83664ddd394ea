"""The page on recipes: its table of fields is the code's, its commands are accepted."""

import re
import shlex
from pathlib import Path

from tempo.cli.main import parser_of
from tempo.training.config import documented

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


def test_every_field_is_in_the_table_as_it_is_in_the_code():
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \| (.*) \| (.*) \|$", TEXT.partition("## Every field")[2], re.M)
    expected = [
        (name, kind, f"`{default}`" if default else "", meaning)
        for name, kind, default, meaning in documented()
    ]
    assert [tuple(cell.strip() for cell in row) for row in rows] == expected


def test_its_commands_are_accepted():
    lines = re.findall(r"^\$ tempo train (.*)$", TEXT, re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        args = parser_of("train").parse_args(shlex.split(line))
        if args.recipe is not None:
            assert (ROOT / args.recipe).is_file()

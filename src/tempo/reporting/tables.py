"""Tables of a report, as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Table:
    """Rows of cells below a head; the first column is the name of the row.

    Attributes:
        notes: sentences that stand below.
        words: whether the cells are words, not numbers.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    words: bool = False


def to_markdown(title: str, tables: Sequence[Table], *, before: Sequence[str] = ()) -> str:
    """A document of tables, below its title and the paragraphs `before` them."""
    parts = [f"# {title}", *before, *map(_markdown, tables)]
    return "\n\n".join(parts) + "\n"


def to_html(table: Table) -> str:
    """A table, its title and its notes."""
    rows = [_row("th", table.head), *(_row("td", row) for row in table.rows)]
    kind = ' class="words"' if table.words else ""
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in table.notes)
    return (
        f'<h2>{escape(table.title)}</h2>\n<div class="wide"><table{kind}>\n'
        + "\n".join(rows)
        + f"\n</table></div>\n{notes}"
    )


def _markdown(table: Table) -> str:
    lines = [_line(table.head), "|---" * len(table.head) + "|", *map(_line, table.rows)]
    return "\n\n".join([f"## {table.title}", "\n".join(lines), *table.notes])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

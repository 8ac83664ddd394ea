"""Runs the example notebooks and writes what they print into them: `python docs/run_notebooks.py`.

All of them run in one kernel, one after the other, each from an empty namespace and in a folder of its own:
importing torch takes longer than most cells.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).with_name("notebooks")
RESET = "get_ipython().run_line_magic('reset', '-f'); import os; os.mkdir({name!r}); os.chdir({name!r})"
BACK = "import os; os.chdir('..')"


def execute(folder: Path, work: Path) -> dict[str, Any]:
    """Run the notebooks of FOLDER in the empty folder WORK and return them by name, with their outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    books = {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}
    together = nbformat.v4.new_notebook(metadata=next(iter(books.values())).metadata)
    for name, book in books.items():
        first = nbformat.v4.new_code_cell(RESET.format(name=name))
        together.cells += [first, *book.cells, nbformat.v4.new_code_cell(BACK)]
    NotebookClient(together, timeout=600, resources={"metadata": {"path": str(work)}}).execute()
    for book in books.values():
        number = 0
        for cell in book.cells:
            cell.metadata.pop("execution", None)  # times, which differ from run to run
            if cell.cell_type == "code":
                number += 1
                cell.execution_count = number
                cell.outputs = _joined(cell.outputs)
                for output in cell.outputs:
                    if "execution_count" in output:
                        output.execution_count = number
    return books


def _joined(outputs: list[Any]) -> list[Any]:
    """The outputs of a cell; text that came in several messages is one."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        for name, book in execute(NOTEBOOKS, Path(work)).items():
            nbformat.write(book, NOTEBOOKS / f"{name}.ipynb")


if __name__ == "__main__":
    main()

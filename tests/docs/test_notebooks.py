"""The example notebooks run, and still print what is stored in them."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def printed(book):
    """The words that a notebook prints, cell by cell, without numbers, which machines round differently."""
    return [
        NUMBER.sub("#", "".join(output["text"] for output in cell.outputs if output.output_type == "stream"))
        for cell in book.cells
        if cell.cell_type == "code"
    ]


def kinds(book):
    """What each cell shows: formats, and streams by their name."""
    return [
        sorted({output.get("name") or "/".join(sorted(output.data)) for output in cell.outputs})
        for cell in book.cells
        if cell.cell_type == "code"
    ]


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("nbclient")
    spec = importlib.util.spec_from_file_location("run_notebooks", DOCS / "run_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_notebook_runs_and_shows_what_is_stored(script, tmp_path):
    import nbformat

    executed = script.execute(DOCS / "notebooks", tmp_path)
    assert set(executed) == {"analyst", "engineer", "researcher"}
    for name, book in executed.items():
        stored = nbformat.read(DOCS / "notebooks" / f"{name}.ipynb", as_version=4)
        assert kinds(book) == kinds(stored), name
        assert not [shown for shown in kinds(book) if "stderr" in shown]
        assert [cell.source for cell in book.cells] == [cell.source for cell in stored.cells]
    assert printed(executed["analyst"]) == printed(
        nbformat.read(DOCS / "notebooks" / "analyst.ipynb", as_version=4)
    )
    assert {"answer.html", "moments.srt"} <= {path.name for path in (tmp_path / "analyst").iterdir()}


def test_notebooks_are_small_and_name_no_folder_of_ours(script):
    for path in (DOCS / "notebooks").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert len(text) < 300_000
        assert not re.search(r"/(?:home|root|work|tmp|usr)/", text)
        assert '"stderr"' not in text

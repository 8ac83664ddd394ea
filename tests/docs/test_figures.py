"""The pictures in the repository are those that the script draws."""

import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["how_it_works", "allocation", "badge_licence", "badge_python"])
def test_committed_figures_are_what_the_script_draws(name):
    drawn = runpy.run_path(str(DOCS / "make_figures.py"))[name]()
    committed = (DOCS / "figures" / f"{name}.svg").read_text(encoding="utf-8")
    assert drawn == committed, "run: python docs/make_figures.py"


def test_nothing_leaves_the_picture():
    root = ElementTree.parse(DOCS / "figures" / "how_it_works.svg").getroot()
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = root.findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(boxes) > 100
    for box in boxes:
        x, y, w, h = (float(box.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0, box.attrib
        assert y >= 0, box.attrib
        assert x + w <= width, box.attrib
        assert y + h <= height, box.attrib

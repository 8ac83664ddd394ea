"""Links in the README, the pages and the log lead to files, and to headings, that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "research" / "LOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def without_code(page):
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page):
    """What a heading's link ends in: lower case, without marks, with hyphens for blanks."""
    headings = re.findall(r"^#+ (.*)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        path, _, anchor = target.partition("#")
        if path.startswith(("http:", "https:")):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def test_the_tree_in_the_readme_is_that_of_the_source():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"```\n(src/tempo/.*?)```", readme, re.DOTALL)
    shown, parents = set(), []
    for indent, name in re.findall(r"^( *)([\w./-]+)/", tree, re.MULTILINE):
        depth = len(indent) // 2
        parents = [*parents[:depth], name]
        folder = "/".join(parents)
        assert (ROOT / folder).is_dir(), folder
        shown.add(folder)
    packages = {f"src/tempo/{path.parent.name}" for path in (ROOT / "src" / "tempo").glob("*/__init__.py")}
    assert packages <= shown

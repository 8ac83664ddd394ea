"""What the documentation site does to pages that are read in the repository too."""

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# Up and out of docs/, or into a folder as such.
OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./[^)\s]*|[^):\s]*/)\)")
NOTEBOOK = re.compile(r"(\(notebooks/\w+)\.ipynb\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Each notebook becomes a page with the outputs that are stored in it; the file is there to download."""
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            cells = json.loads(Path(file.abs_src_path).read_text(encoding="utf-8"))["cells"]
            name = Path(file.src_uri).name
            text = "\n\n".join([*map(_cell, cells), f"[Download this notebook]({name})"])
            files.append(File.generated(config, file.src_uri.removesuffix(".ipynb") + ".md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links to files of the repository that are no pages become plain text: the site stands without them."""
    if page.file.src_uri.startswith("notebooks/"):
        return markdown
    return NOTEBOOK.sub(r"\1.md)", OUTSIDE.sub(r"\1", markdown))


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    return "\n\n".join([f"```python\n{source}\n```", *filter(None, map(_output, cell["outputs"]))])


def _output(output: dict[str, Any]) -> str:
    """What a cell showed, in the richest form that a page can show."""
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = {kind: "".join(value) for kind, value in output["data"].items()}
    shown = data.get("image/svg+xml") or data.get("text/html")
    if shown is not None:
        return f"<div>{' '.join(shown.split())}</div>" if shown.strip() else ""
    return f"```text\n{data['text/plain']}\n```"

"""List installed, cached and downloadable models.

For each FOLDER, report whether it holds a model that tempo can load, its layout, and whether it is complete.
The command downloads nothing and uses no network. The exit status is 1 if a FOLDER cannot be loaded.

Examples:
  tempo models
  tempo models tempo-6b checkpoints/Tempo-6B
  tempo models --json
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folders", metavar="FOLDER", nargs="*", type=Path, help="a folder that may hold a model"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print the list; the status is 1 if one of the folders cannot be loaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # the Hub client reads it on import, below
    from tempo.console import Output

    from .answer_report import print_json

    found = [_embedded(), *map(_folder, args.folders), *_on_the_hub()]
    if args.json:
        print_json({"models": found})
    else:
        Output().print(_table(found))
    broken = {"no model", "incomplete"}
    return 1 if any(one["state"] in broken for one in found[1 : 1 + len(args.folders)]) else 0


def _embedded() -> dict[str, Any]:
    from tempo.assets import NANO

    here = (NANO / "config.json").is_file()
    return {
        "name": "tempo-nano",
        "state": "installed" if here else "not installed",
        "bytes": _size(NANO) if here else 0,
        "remark": "the default; understands only synthetic videos (`tempo synthetic make`)",
    }


def _folder(folder: Path) -> dict[str, Any]:
    """Describe a folder without loading its weights."""
    from tempo.errors import TempoError
    from tempo.modeling import TempoQwenForCausalLM
    from tempo.modeling.loading import check_checkpoint, find_checkpoint

    try:
        if not folder.is_dir():
            raise TempoError("no such folder")
        source = find_checkpoint(folder)
    except TempoError as error:
        return {"name": str(folder), "state": "no model", "bytes": 0, "remark": str(error)}
    remark = "layout tempo" if source.base is None else f"layout published, base model {source.base}"
    state = "complete"
    try:
        check_checkpoint(TempoQwenForCausalLM, source)
    except TempoError as error:
        state, remark = "incomplete", str(error)
    return {"name": str(folder), "state": state, "bytes": _size(source.folder), "remark": remark}


def _on_the_hub() -> list[dict[str, Any]]:
    """The models in the Hub's cache, and the published weights in any case."""
    from tempo.checkpoints import hub

    found = []
    for one in hub.cached_models():
        problem = one.problem or _problem_of_base(one.folder)
        remark = f"{problem}; resume with: tempo download {one.name}" if problem else ""
        if one.name == hub.PUBLISHED:
            remark = "; ".join(filter(None, ["non-commercial research only", remark]))
        state = "incomplete" if problem else "cached"
        found.append({"name": one.name, "state": state, "bytes": one.size, "remark": remark})
    if all(one["name"] != hub.PUBLISHED for one in found):
        found.append(
            {
                "name": hub.PUBLISHED,
                "state": "available",
                "bytes": 0,
                "remark": "non-commercial research only; get it with: tempo download",
            }
        )
    return found


def _problem_of_base(folder: Path) -> str:
    """What is wrong with the base model that a cached model needs, or ""."""
    from tempo.checkpoints import hub

    base = hub.base_of(folder)
    if base is None or base.count("/") != 1:
        return ""
    here = hub.cached(base)
    return here.problem if here is not None else f"its base model {base} is not cached"


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _table(found: list[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tempo.console import ACCENT, FAINT
    from tempo.formatting import printable, size

    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("model", style=ACCENT, overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("remark", style=FAINT, overflow="fold")
    for one in found:
        shown = size(one["bytes"]) if one["bytes"] else ""
        table.add_row(*map(Text, (printable(one["name"]), one["state"], shown, printable(one["remark"]))))
    return table

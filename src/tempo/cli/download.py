"""Download a model from the Hugging Face Hub, for later use by its name and without a network.

Without NAME, the command downloads the published weights. Their licence allows academic and non-commercial
research only; the command shows it and downloads nothing before you accept it. The base model that a
checkpoint needs comes with it. After an interruption, run the same command again to resume.

Examples:
  tempo download
  tempo download --accept                      # in a script, without the question
  tempo download Vision-CAIR/Tempo-6B --dry-run
"""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="a Hub name (default: Vision-CAIR/Tempo-6B)")
    parser.add_argument("--accept", action="store_true", help="accept the licence that is shown")
    parser.add_argument("--dry-run", action="store_true", help="show what would be downloaded, and stop")


def run(args: argparse.Namespace) -> None:
    """Show the licence, ask for consent, download."""
    from tempo.checkpoints import hub
    from tempo.errors import UsageError

    name = args.name or hub.PUBLISHED
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UsageError(f"{name}: not a Hub name of the form owner/model")
    print(hub.licence_of(name), flush=True)
    _fetch(name, args, hub.PUBLISHED)


def _fetch(name: str, args: argparse.Namespace, published: str) -> None:
    from tempo.checkpoints import hub
    from tempo.formatting import size

    files = hub.files_of(name)
    missing = hub.missing_bytes(name, files)
    whole = sum(file.size for file in files)
    here = f", {size(whole - missing)} already here" if 0 < missing < whole else ""
    print(f"{name}: {size(whole)} in {len(files)} files{here if missing else ', all here'}", flush=True)
    if args.dry_run:
        return
    if missing:
        _check_accepted(args)
    folder = hub.fetch(name, files)
    base = hub.base_of(folder)
    if base is not None and base.count("/") == 1:
        others = hub.files_of(base)
        if lacking := hub.missing_bytes(base, others):
            print(hub.licence_of(base))
            print(f"{base}, its base model: {size(lacking)} to download", flush=True)
        hub.fetch(base, others)
    print(f"ready: --model {name}")


def _check_accepted(args: argparse.Namespace) -> None:
    """Raises TempoError unless the user accepts the licence, by option or at the terminal."""
    from tempo.errors import TempoError

    if args.accept:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise TempoError("nothing was downloaded: pass --accept if you accept this licence")
    try:
        said = input("Do you accept this licence? [y/N] ")
    except EOFError:
        said = ""
    if said.strip().lower() not in ("y", "yes"):
        raise TempoError("nothing was downloaded: the licence was not accepted")

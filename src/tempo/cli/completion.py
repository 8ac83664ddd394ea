"""Print a script that completes commands, options and their values in your shell.

The script holds the options of this version of tempo; print it again after an update.

Examples:
  tempo completion bash > ~/.local/share/bash-completion/completions/tempo
  tempo completion zsh >> ~/.zshrc
  tempo completion fish > ~/.config/fish/completions/tempo.fish
"""

from __future__ import annotations

import argparse

from .shell_completion import SHELLS, verbs_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", metavar="SHELL", choices=tuple(SHELLS), help=", ".join(SHELLS))


def run(args: argparse.Namespace) -> None:
    """Print the script for the parsers of all commands."""
    from .main import VERBS, parser_of

    verbs = [verb for name, summary in VERBS.items() for verb in verbs_of(name, parser_of(name), summary)]
    print(SHELLS[args.shell](verbs), end="")

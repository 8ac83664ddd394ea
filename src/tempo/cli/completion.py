"""Print a script that lets a shell complete verbs, options and their values.

It is written from the options of this very version; print it again after an update.

Examples:
  tempo completion bash > ~/.local/share/bash-completion/completions/tempo
  tempo completion zsh >> ~/.zshrc
  tempo completion fish > ~/.config/fish/completions/tempo.fish
"""

from __future__ import annotations

import argparse

from .shell_completion import SHELLS, verbs_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SHELL."""
    parser.add_argument("shell", metavar="SHELL", choices=tuple(SHELLS), help=", ".join(SHELLS))


def run(args: argparse.Namespace) -> None:
    """Read every verb's parser and print the script."""
    from .main import VERBS, parser_of

    verbs = [verb for name, summary in VERBS.items() for verb in verbs_of(name, parser_of(name), summary)]
    print(SHELLS[args.shell](verbs), end="")

"""The command line, ``tempo COMMAND …``: find the command's module, parse its options, run it, report errors.

A command is one module in :mod:`tempo.cli`. To add one, write ``cli/NAME.py`` with

* a docstring: the text of ``tempo NAME --help``, ending in a block that begins with ``Examples:``,
* ``add_arguments(parser)``, which declares the options on an :class:`argparse.ArgumentParser`,
* ``run(args)``, which does the work and returns the exit status (``None`` is 0),

and add one line to ``VERBS`` below. :mod:`tempo.cli.options` declares the options that several commands
share. A command with subcommands (``tempo synthetic make``) calls ``parser.add_subparsers``.

Only the module of the given command is imported, and it imports torch and other slow packages inside ``run``:
help and usage errors appear at once.

Exit status: 0 success, 1 an error that the user can fix, 2 wrong usage, 130 stopped with Ctrl-C. Errors are
one line on stderr that begins with ``tempo:``. ``TEMPO_DEBUG=1`` in the environment shows the traceback too.
"""

import argparse
import contextlib
import difflib
import importlib
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from tempo.errors import TempoError, UsageError, describe, is_full
from tempo.version import __version__

VERBS = {
    "ask": "answer a question about a video",
    "batch": "answer many questions about many videos; resume after an interruption",
    "bench": "measure latency, memory and FLOPs against baselines",
    "chat": "hold a conversation about a video",
    "completion": "print a completion script for bash, zsh or fish",
    "convert": "convert a checkpoint between the published layout and one self-contained folder",
    "doctor": "check hardware and dependencies and suggest speed-ups",
    "download": "download the published weights, or another model, from the Hugging Face Hub",
    "eval": "evaluate a model on published benchmarks with lmms-eval",
    "models": "list installed, cached and downloadable models",
    "moments": "find the moments of a video that match a description, and cut them out",
    "serve": "serve a model to OpenAI clients over HTTP",
    "synthetic": "make videos with known content, and measure a model on them",
    "train": "train a model from a recipe, or resume a run",
    "ui": "serve a page in the browser for asking questions about videos",
}

FIRST_STEPS = """\
Examples:
  tempo synthetic make films                          # videos that the embedded model understands
  tempo ask films/0-000.mp4 "Which way does the pink triangle move?"
  tempo download                                  # the published weights, for real footage
  tempo ask holiday.mp4 "When does the dog jump into the water?" --model Vision-CAIR/Tempo-6B
  tempo ask --help
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that names the help to read."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("formatter_class", _HelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Print MESSAGE as ``tempo: …`` and exit with status 2."""
        message = re.sub(r"^argument ([^:]+): ", r"\1: ", message)
        _say(f"{message} (see {self.prog} --help)")
        sys.exit(2)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(100, _terminal_columns()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``tempo`` with the arguments ARGV (default: those of the process) and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _reopen_closed_streams()
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except TempoError as error:
        _say(str(error), error)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        _say("stopped")
        return 130
    except BrokenPipeError:  # the reader of our output is gone, as `head` is after its last line
        _drop_output()
        return 141
    except Exception as error:
        _say(describe(error), error)
        if isinstance(error, OSError) and is_full(error):
            _drop_output()  # stdout may be on the full disk
        return 1


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in VERBS:
        return _overview(arguments)
    verb, *rest = arguments
    _quieten_libraries()
    _replace_bad_characters()
    args = parser_of(verb).parse_args(rest)
    return _module(verb).run(args) or 0


def parser_of(verb: str) -> Parser:
    """Return the parser of the arguments after VERB."""
    module = _module(verb)
    description, _, examples = (module.__doc__ or "").partition("Examples:")
    parser = Parser(
        prog=f"tempo {verb}",
        description=description.strip(),
        epilog=f"Examples:{examples.rstrip()}\n" if examples else None,
    )
    module.add_arguments(parser)
    return parser


def _module(verb: str) -> Any:
    return importlib.import_module(f"tempo.cli.{verb}")


def _overview(arguments: list[str]) -> int:
    """Handle `tempo` without a known command: print the help or the version, or suggest a command."""
    listing = "\n".join(f"  {verb:<10} {summary}" for verb, summary in VERBS.items())
    parser = Parser(
        prog="tempo",
        usage="tempo COMMAND …",
        description=f"Ask questions about long videos.\n\nCommands (each has its own --help):\n{listing}",
        epilog=FIRST_STEPS,
    )
    parser.add_argument("--version", action="version", version=f"tempo {__version__}")
    if not arguments:
        parser.print_help(sys.stderr)
        return 2
    if not arguments[0].startswith("-"):
        near = difflib.get_close_matches(arguments[0], VERBS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        parser.error(f"unknown command {arguments[0]!r}{hint}")
    parser.parse_args(arguments)
    parser.error("name a command first")


def _quieten_libraries() -> None:
    """Silence the libraries' warnings and progress bars, so that stderr holds tempo's own lines only."""
    if _debugging():
        return
    warnings.simplefilter("ignore")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _reopen_closed_streams() -> None:
    """Open the null device in place of a stream that the shell closed with `>&-`."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - to the end


def _drop_output() -> None:
    """Send the rest of stdout nowhere; Python would fail again when it flushes the stream at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _replace_bad_characters() -> None:
    """Replace characters that a stream cannot encode or decode, instead of failing on them."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say(message: str, error: Exception | None = None) -> None:
    """Print MESSAGE as one line on stderr, after the traceback of ERROR if TEMPO_DEBUG is set."""
    from tempo.console import say

    if error is not None and _debugging():
        traceback.print_exception(error)
    say(message)


def _debugging() -> bool:
    return os.environ.get("TEMPO_DEBUG", "") not in ("", "0")


def _terminal_columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 100

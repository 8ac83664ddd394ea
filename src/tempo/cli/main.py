"""The command line: ``tempo VERB …``.

A verb is one module in :mod:`tempo.cli`. To add one, write ``cli/NAME.py`` with

* a docstring: what ``tempo NAME --help`` says, ending in a block that begins with ``Examples:``,
* ``add_arguments(parser)``: declares the options on an :class:`argparse.ArgumentParser` of the verb's own,
* ``run(args)``: does the work and returns the exit status (``None`` is 0),

and add one line to ``VERBS`` below. Options that several verbs share are declared in
:mod:`tempo.cli.options`. A verb with verbs of its own (``tempo synthetic make``) calls
``parser.add_subparsers``.

Only the module of the verb that was asked for is imported, and it imports torch and whatever else is slow
inside ``run``: help and usage errors answer at once.

Exit status: 0 done, 1 something that the user can mend, 2 wrong usage, 130 stopped with Ctrl-C. Errors are
one line on stderr behind ``tempo:``. With ``TEMPO_DEBUG=1`` in the environment the traceback is shown too.
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

from tempo.errors import (
    TempoError,
    UsageError,
    is_full,
    told,
)
from tempo.version import __version__

VERBS = {
    "ask": "answer a question about a video",
    "batch": "answer many questions about many videos, and go on where a run was stopped",
    "bench": "measure what an answer costs: seconds, memory, operations, beside other ways to get one",
    "chat": "talk about a video, with answers as they are written",
    "completion": "print a script that lets bash, zsh or fish complete this command",
    "convert": "write a checkpoint in the other layout: published, or one folder that loads by itself",
    "eval": "measure a model on published benchmarks with lmms-eval, and report what came out",
    "doctor": "show what this machine watches videos with, and what would make it faster",
    "download": "fetch the published weights, or another model, from the hub",
    "models": "list the models that are installed, cached, or to be had",
    "moments": "find the moments of a video that matter for something, and cut them out",
    "serve": "serve a model to OpenAI clients over HTTP, and watch each video once for all of them",
    "synthetic": "make videos with known content, and measure a model on them",
    "train": "train a model as a recipe says, or go on with a run that was stopped",
    "ui": "open a page in the browser: a video, questions, and the moments that the answers rest on",
}

FIRST_STEPS = """\
Examples:
  tempo synthetic make films                          # videos that the embedded model knows
  tempo ask films/0-000.mp4 "Which way does the pink triangle move?"
  tempo download                                  # the model for real footage
  tempo ask holiday.mp4 "When does the dog jump into the water?" --model Vision-CAIR/Tempo-6B
  tempo ask --help
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that also says where the help is."""

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
    _open_what_is_closed()
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
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        _drop_output()
        return 141
    except Exception as error:
        _say(told(error), error)
        if isinstance(error, OSError) and is_full(error):
            _drop_output()  # it may be what is full
        return 1


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in VERBS:
        return _overview(arguments)
    verb, *rest = arguments
    _quieten_libraries()
    _be_lenient()
    args = parser_of(verb).parse_args(rest)
    return _module(verb).run(args) or 0


def parser_of(verb: str) -> Parser:
    """Return the parser for what follows VERB."""
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
    """Answer `tempo` without a verb: with the help, the version, or the verb that was probably meant."""
    listing = "\n".join(f"  {verb:<10} {summary}" for verb, summary in VERBS.items())
    parser = Parser(
        prog="tempo",
        usage="tempo VERB …",
        description=f"Ask questions of long videos.\n\nVerbs (each has its own --help):\n{listing}",
        epilog=FIRST_STEPS,
    )
    parser.add_argument("--version", action="version", version=f"tempo {__version__}")
    if not arguments:
        parser.print_help(sys.stderr)
        return 2
    if not arguments[0].startswith("-"):
        near = difflib.get_close_matches(arguments[0], VERBS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        parser.error(f"there is no verb {arguments[0]!r}{hint}")
    parser.parse_args(arguments)
    parser.error("a verb comes first")


def _quieten_libraries() -> None:
    """Keep stderr for tempo's own lines: the libraries' remarks help nobody who asked a question."""
    if _debugging():
        return
    warnings.simplefilter("ignore")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _open_what_is_closed() -> None:
    """Python has no stream where a shell closed one with `>&-`; what goes there goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - to the end


def _drop_output() -> None:
    """Let nothing more of stdout be written: Python would complain again when it exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _be_lenient() -> None:
    """Let no character that a terminal or a pipe cannot encode, or that was typed wrongly, end anything."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say(message: str, error: Exception | None = None) -> None:
    """Print MESSAGE as one line on stderr, after the traceback of ERROR where that was asked for."""
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

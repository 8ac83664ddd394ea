"""Generate shell completion scripts from the argument parsers.

A script lists every command with its options and their values, so that completion starts no Python.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """An option of a command: its spellings, whether it takes a value, and the choices if it has any."""

    names: tuple[str, ...]
    takes_value: bool
    choices: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class Verb:
    """A command or subcommand (``synthetic make``): its options, and the choices of its first argument."""

    name: str
    help: str
    options: tuple[Option, ...]
    choices: tuple[str, ...]


def verbs_of(name: str, parser: argparse.ArgumentParser, summary: str) -> Iterator[Verb]:
    """Yield a command and its subcommands."""
    options: list[Option] = []
    choices: list[str] = []
    inner: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            inner = action.choices
        elif action.option_strings:
            values = tuple(map(str, action.choices)) if action.choices else ()
            text = "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
            options.append(Option(tuple(action.option_strings), action.nargs != 0, values, text))
        elif action.choices:
            choices += map(str, action.choices)
    yield Verb(name, summary, tuple(options), (*inner, *choices))
    for verb, own in inner.items():
        yield from verbs_of(f"{name} {verb}", own, own.description or "")


def bash(verbs: list[Verb]) -> str:
    """Return the script for bash."""
    return _BASH.format(
        verbs=_words([verb.name for verb in verbs if " " not in verb.name]),
        options="\n".join(_case(verb.name, _words(_names(verb))) for verb in verbs),
        arguments="\n".join(_case(verb.name, _words(verb.choices)) for verb in verbs if verb.choices),
        values="\n".join(
            _case(f"{verb.name} {name}", _words(option.choices))
            for verb in verbs
            for option in verb.options
            if option.choices
            for name in option.names
        ),
        taking=" | ".join(
            sorted({n for verb in verbs for o in verb.options if o.takes_value for n in o.names})
        ),
        nested=_words(sorted({verb.name.split()[0] for verb in verbs if " " in verb.name})),
    )


def zsh(verbs: list[Verb]) -> str:
    """Return the script for zsh, which runs the one for bash."""
    return _ZSH.format(bash=bash(verbs))


def fish(verbs: list[Verb]) -> str:
    """Return the script for fish."""
    lines = ["# Completion of tempo for fish.", "complete -c tempo -e"]
    top = [verb for verb in verbs if " " not in verb.name]
    every = " ".join(verb.name for verb in top)
    for verb in top:
        summary = shlex.quote(verb.help)
        lines.append(
            f"complete -c tempo -f -n 'not __fish_seen_subcommand_from {every}' -a {verb.name} -d {summary}"
        )
    for verb in verbs:
        first, _, second = verb.name.partition(" ")
        when = f"__fish_seen_subcommand_from {first}"
        if second:
            when += f"; and __fish_seen_subcommand_from {second}"
        if verb.choices:
            lines.append(f"complete -c tempo -f -n '{when}' -a {shlex.quote(' '.join(verb.choices))}")
        for option in verb.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = " -r" if option.takes_value else ""
            if option.choices:
                value += f" -f -a {shlex.quote(' '.join(option.choices))}"
            summary = shlex.quote(" ".join(option.help.replace("%%", "%").split()))
            lines.append(f"complete -c tempo -n '{when}' {names}{value} -d {summary}")
    return "\n".join(lines) + "\n"


SHELLS: dict[str, Callable[[list[Verb]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _names(verb: Verb) -> list[str]:
    return [name for option in verb.options for name in option.names]


def _words(words: list[str] | tuple[str, ...]) -> str:
    return shlex.quote(" ".join(words))


def _case(pattern: str, words: str) -> str:
    return f"        {shlex.quote(pattern)}) words={words} ;;"


_BASH = """\
# Completion of tempo for bash.
_tempo() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" verb="${{COMP_WORDS[1]}}"
    local words="" nested=" "{nested}" " first=2
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W {verbs}" --help --version" -- "$word"))
        return
    fi
    if [ "$COMP_CWORD" -gt 2 ] && [[ "$nested" == *" $verb "* ]]; then
        verb="$verb ${{COMP_WORDS[2]}}"
        first=3
    fi
    case "$verb $before" in
{values}
    esac
    if [ -z "$words" ]; then
        case "$before" in
            {taking})
                COMPREPLY=($(compgen -f -- "$word"))
                return ;;
        esac
        if [[ "$word" == -* ]]; then
            case "$verb" in
{options}
            esac
        elif [ "$COMP_CWORD" -eq "$first" ]; then
            case "$verb" in
{arguments}
            esac
        fi
    fi
    if [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$word"))
    else
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}}
complete -o bashdefault -F _tempo tempo
"""

_ZSH = """\
# Completion of tempo for zsh, through bash's.
autoload -Uz compinit bashcompinit
(( $+functions[compdef] )) || compinit
bashcompinit
{bash}"""

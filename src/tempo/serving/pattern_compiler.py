"""Compiles a regular expression for the tokens of a vocabulary, within limits of time and memory.

A short pattern may have more states than there is memory for, and a compiler that has begun cannot be
stopped. So it runs in a process of its own, as ``python -m tempo.serving.pattern_compiler``, which reads a
request from stdin and writes the compiled pattern to stdout.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_LONGEST_PATTERN = 100_000  # characters
_MOST_SECONDS = 20.0
_MOST_MEMORY = 4 * 10**9  # bytes that the process may take
_MOST_BYTES = 256 * 10**6  # of the compiled pattern
_TOO_LARGE, _WRONG = 3, 4  # exit statuses; Python's own are 1 and 2


class PatternError(Exception):
    """A pattern that is not compiled; the message is the reason."""


class CompiledPattern(NamedTuple):
    """What the package outlines-core makes of a pattern, and about how many bytes it takes."""

    index: Any
    nbytes: int


def compile_pattern(
    pattern: str, end: int, vocabulary: Mapping[bytes, Sequence[int]], *, seconds: float = _MOST_SECONDS
) -> CompiledPattern:
    """Compile a pattern.

    Args:
        end: the token that ends a text.
        vocabulary: the ids of every other token, by its bytes.
        seconds: how long it may take.

    Raises:
        PatternError: it is no regular expression, or takes more time or memory than it may.
        RuntimeError: the process failed; what it says is on stderr.
    """
    if len(pattern) > _LONGEST_PATTERN:
        raise PatternError(f"it has more than {_LONGEST_PATTERN} characters as a regular expression")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tempo.serving.pattern_compiler"],
            input=pickle.dumps((pattern, end, vocabulary)),
            capture_output=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise PatternError(f"it takes more than {seconds:g} s to compile") from None
    says = done.stderr.decode(errors="replace").strip()
    if done.returncode == _WRONG:
        raise PatternError(f"it cannot be compiled ({says})")
    if done.returncode == _TOO_LARGE or done.returncode < 0:  # a signal: the system or itself, without memory
        raise PatternError("it takes more memory to compile than it may")
    if done.returncode:
        print(says, file=sys.stderr)
        raise RuntimeError("a pattern could not be compiled")
    return CompiledPattern(pickle.loads(done.stdout), len(done.stdout))


def main() -> int:
    """Compile what stdin asks for; the exit status tells what went wrong."""
    with contextlib.suppress(ImportError):  # where there are no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    from outlines_core import Index, Vocabulary

    pattern, end, vocabulary = pickle.load(sys.stdin.buffer)
    try:
        compiled = pickle.dumps(Index(pattern, Vocabulary(end, vocabulary)))
    except MemoryError:
        return _TOO_LARGE
    except Exception as error:
        print((str(error).splitlines() or [type(error).__name__])[0][:200], file=sys.stderr)
        return _WRONG
    if len(compiled) > _MOST_BYTES:
        return _TOO_LARGE
    sys.stdout.buffer.write(compiled)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What `response_format` allows an answer to be, in tokens: compiled from a schema, choices or a pattern.

Needs the package outlines-core, which is part of the extra `serve`.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import torch

from tempo.processing.prompts import TextEncoder

from .api_errors import ApiError
from .pattern_compiler import CompiledPattern, PatternError, compile_pattern
from .protocol import ResponseFormat

_MOST_BYTES = 10**9  # of all compiled patterns that are kept
_AT_ONCE = 2  # patterns that are compiled


@dataclass(frozen=True)
class _Compiled:
    """A compiled pattern, and the ids that it allows in each state that was reached.

    Inside a text these are nearly all tokens, too many to list anew for each."""

    pattern: CompiledPattern
    ids: dict[int, torch.Tensor] = field(default_factory=dict)


class PatternConstraint:
    """An answer that matches a regular expression; see :class:`tempo.inference.generation.Constraint`."""

    def __init__(self, compiled: _Compiled, end: int) -> None:
        from outlines_core import Guide

        self._guide, self._ids, self._end = Guide(compiled.pattern.index), compiled.ids, end

    def allowed(self) -> torch.Tensor:
        """Ids of the tokens that may come next; where the pattern may end, the end of the answer too."""
        state = self._guide.get_state()
        if (ids := self._ids.get(state)) is None:
            ids = self._ids[state] = torch.tensor(self._guide.get_tokens())
        return ids

    def advance(self, token: int) -> None:
        """A token was written."""
        if token != self._end:
            self._guide.advance(token, return_tokens=False)


class Constraints:
    """Compiles what requests ask for; the latest are kept, because they come again and again.

    Args:
        end: the token that ends an answer.
    """

    def __init__(self, encoder: TextEncoder, end: int) -> None:
        self._encoder, self._end = encoder, end
        self._compiled: OrderedDict[str, _Compiled] = OrderedDict()
        self._vocabulary: dict[bytes, list[int]] | None = None
        self._lock = threading.Lock()
        self._compiling = threading.BoundedSemaphore(_AT_ONCE)

    def of(self, wanted: ResponseFormat | None) -> PatternConstraint | None:
        """A constraint for one answer; None: anything.

        Raises:
            ApiError: it cannot be compiled, or outlines-core is not installed.
        """
        if wanted is None:
            return None
        pattern = _pattern(wanted)
        with self._lock:
            compiled = self._compiled.pop(pattern, None)
        if compiled is None:  # may take seconds, for which nobody else waits
            compiled = _Compiled(self._compile(pattern))
        with self._lock:
            self._compiled[pattern] = compiled
            while sum(one.pattern.nbytes for one in self._compiled.values()) > _MOST_BYTES:
                self._compiled.popitem(last=False)
        return PatternConstraint(compiled, self._end)

    def _compile(self, pattern: str) -> CompiledPattern:
        if self._vocabulary is None:
            self._vocabulary = self._encoder.bytes_of_tokens()
        try:
            with self._compiling:
                return compile_pattern(pattern, self._end, self._vocabulary)
        except PatternError as error:
            raise _refused(f"{error}; send a simpler one") from error


def _pattern(wanted: ResponseFormat) -> str:
    try:
        from outlines_core.json_schema import build_regex_from_schema
    except ImportError:
        says = "response_format needs outlines-core on the server: pip install 'tempo-video[serve]'"
        raise ApiError(501, says, param="response_format") from None
    if wanted.type == "choice":
        if not wanted.choices or not all(wanted.choices):
            raise _refused("type choice needs choices, a list of texts")
        # The first alternative that matches ends the others: what begins with another goes before it.
        longest_first = sorted(wanted.choices, key=len, reverse=True)
        return "|".join(f"({re.escape(choice)})" for choice in longest_first)
    if wanted.type == "regex":
        if not wanted.pattern:
            raise _refused("type regex needs a pattern")
        return wanted.pattern
    if wanted.type == "json_schema" and wanted.json_schema is None:
        raise _refused("type json_schema needs json_schema: {name, schema}")
    schema = wanted.json_schema.definition if wanted.json_schema else {"type": "object"}
    try:
        return str(build_regex_from_schema(json.dumps(schema)))
    except Exception as error:
        raise _refused(f"the schema is not supported ({_first_line(error)})") from error


def _refused(why: str) -> ApiError:
    return ApiError(400, f"response_format: {why}", param="response_format")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

"""From an answer's tokens to the pieces of text that a client gets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from tempo.inference.generation import TextPieces
from tempo.processing.prompts import TextEncoder

from .scheduler import WrittenToken


@dataclass(frozen=True)
class Piece:
    """Text that is new, and the probabilities of the tokens that were written since the piece before."""

    text: str
    logprobs: list[dict[str, Any]] = field(default_factory=list)


class WrittenText:
    """An answer as it is written, cut where a stop text begins.

    What may be the beginning of a stop text is held back until it is known.

    Attributes:
        ids: the tokens so far.
        text: what was told so far.
        stopped: whether a stop text ended it.
    """

    def __init__(self, encoder: TextEncoder, *, stops: list[str], stop_ids: Collection[int]) -> None:
        self._encoder, self._stops, self._stop_ids = encoder, stops, stop_ids
        self._longest = max(map(len, stops), default=0)
        self._pieces = TextPieces(encoder)
        self.text = ""
        self.stopped = False

    @property
    def ids(self) -> list[int]:
        return self._pieces.ids

    def pieces(self, tokens: Iterator[WrittenToken]) -> Iterator[Piece]:
        """Read tokens until they end, or a stop text comes."""
        whole, noted = "", []
        for token in tokens:
            whole += self._pieces.add(token.id)
            if token.logprobs is not None and token.id not in self._stop_ids:
                noted.append(self._logprobs(token))
            ends = [at for stop in self._stops if (at := whole.find(stop)) >= 0]
            if ends:
                self.stopped = True
                yield self._piece(whole[: min(ends)], noted)
                return
            safe = max(len(self.text), len(whole) - self._longest + 1) if self._longest else len(whole)
            if safe > len(self.text):
                yield self._piece(whole[:safe], noted)
                noted = []
        whole += self._pieces.rest()
        if noted or len(whole) > len(self.text):
            yield self._piece(whole, noted)

    def _piece(self, told: str, noted: list[dict[str, Any]]) -> Piece:
        new, self.text = told[len(self.text) :], told
        return Piece(new, noted)

    def _logprobs(self, token: WrittenToken) -> dict[str, Any]:
        assert token.logprobs is not None
        top = [self._one(other, value) for other, value in token.logprobs.top]
        return {**self._one(token.id, token.logprobs.chosen), "top_logprobs": top}

    def _one(self, token: int, value: float) -> dict[str, Any]:
        text = self._encoder.decode([token])
        return {"token": text, "logprob": max(value, -9999.0), "bytes": list(text.encode())}

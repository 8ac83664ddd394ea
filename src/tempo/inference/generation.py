"""The decode phase: answers, token by token, as many side by side as are being written.

A loop of our own over the layers of the decoder. Answers join and leave between any two steps, and
each is what it would be alone. A step reads the storylines of those that join together with a token of each
that runs. Where decoding is greedy the ids equal those of transformers' `generate`.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from tempo.errors import NonFiniteError
from tempo.networks.kv_cache import KVCache
from tempo.networks.packed_rows import read_rows
from tempo.networks.tempo_network import TempoNetwork
from tempo.processing.prompts import TextEncoder

# Below it the likeliest token is certain: nothing else is within reach, and dividing by less would overflow.
COLDEST = 1e-6

# Tokens of storylines that one step reads, beyond which nothing gets faster. A longer one is read alone.
_ENOUGH_TOKENS = {"cpu": 1024, "cuda": 16384}


class Constraint(Protocol):
    """What an answer has to look like."""

    def allowed(self) -> torch.Tensor:
        """Ids of the tokens that may come next, at least one."""

    def advance(self, token: int) -> None:
        """A token was written."""


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """How one answer is written.

    Attributes:
        stop_ids: tokens that end it; the one that did is its last.
        temperature: 0: always the likeliest token. Otherwise one is drawn.
        top_p: draw only among the likeliest tokens that have this much probability together.
        seed: draws are the same each time; None: they come from torch's global generator.
        constraint: what it has to look like; None: anything.
        top_logprobs: how many of the likeliest tokens to note at each step, with the chosen one; None: none.
    """

    max_new_tokens: int
    stop_ids: Collection[int]
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    constraint: Constraint | None = None
    top_logprobs: int | None = None


@dataclass(frozen=True)
class TokenLogprobs:
    """Logarithms of the probabilities at one step, before temperature and `top_p`: of the token that was
    chosen, and of the likeliest ones as (id, logarithm)."""

    chosen: float
    top: list[tuple[int, float]]


@dataclass(eq=False)
class DecodeRow:
    """An answer that is being written.

    Attributes:
        ids: the tokens so far.
        logprobs: one for each of them, where the options ask for it.
        finished: whether its last token ended it.
        error: why nothing more will come.
    """

    inputs_embeds_LU: torch.Tensor | None
    options: DecodeOptions
    ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    finished: bool = False
    error: Exception | None = None
    cache: KVCache | None = None
    generator: torch.Generator | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.finished or self.error is not None or len(self.ids) >= self.options.max_new_tokens


class DecodeBatch:
    """Answers that are written side by side (iteration-level batching)."""

    def __init__(self, model: TempoNetwork) -> None:
        self.model = model
        self.rows: list[DecodeRow] = []

    def add(self, inputs_embeds_LU: torch.Tensor, options: DecodeOptions) -> DecodeRow:
        """Begin an answer behind a storyline; it joins with the next step that has room for it."""
        row = DecodeRow(inputs_embeds_LU, options)
        if options.seed is not None:
            row.generator = torch.Generator(inputs_embeds_LU.device).manual_seed(options.seed)
        self.rows.append(row)
        return row

    def remove(self, row: DecodeRow) -> None:
        """Give an answer up."""
        if row in self.rows:
            self.rows.remove(row)

    def step(self) -> list[DecodeRow]:
        """Write one token of every answer; those that are done leave. Returns the rows that took part.

        Where the storylines of those that join are long, some of them join a step later. An error of one
        answer is left in its row.
        """
        part = [*self._joining(), *(row for row in self.rows if row.cache is not None)]
        with torch.inference_mode():
            if part and not self._attempt(part):
                for row in part:  # what fails for all together may work for each alone
                    self._attempt([row])
        self.rows = [row for row in self.rows if not row.done]
        return part

    def _joining(self) -> list[DecodeRow]:
        """Those that join in this step, in the order in which they came."""
        joining: list[DecodeRow] = []
        tokens = 0
        for row in self.rows:
            if row.inputs_embeds_LU is None:
                continue
            tokens += len(row.inputs_embeds_LU)
            if joining and tokens > _ENOUGH_TOKENS.get(self.model.device.type, 4096):
                break
            joining.append(row)
        return joining

    def _attempt(self, rows: Sequence[DecodeRow]) -> bool:
        """One token for each of `rows`; whether that worked. A single row keeps its error."""
        before = [(row, row.cache, row.cache.length if row.cache else 0) for row in rows]
        try:
            logits_BZ = self.model.lm_head(self._read(rows))[:, 0].float()
            allowed_BZ = _constrained(rows, logits_BZ)
            likeliest = _likeliest(allowed_BZ)
        except Exception as error:
            for row, cache, length in before:  # as if the step had not been tried
                row.cache = cache
                if cache is not None:
                    cache.length = length
            if len(rows) > 1:
                return False
            rows[0].error = error
            return True
        for index, row in enumerate(rows):
            row.inputs_embeds_LU = None
            try:
                if row.error is None:
                    _choose(row, logits_BZ[index], allowed_BZ[index], *likeliest[index], self.model.dtype)
            except Exception as error:  # this row's alone; the others have their tokens
                row.error = error
        return True

    def _read(self, rows: Sequence[DecodeRow]) -> torch.Tensor:
        """Read the storyline or the latest token of each → their last hidden states [B, 1, U]."""
        decoder = self.model.model
        joining = [row.inputs_embeds_LU for row in rows if row.inputs_embeds_LU is not None]
        latest = [row.ids[-1] for row in rows if row.inputs_embeds_LU is None]
        latest_RU = decoder.embed_tokens(torch.tensor(latest, dtype=torch.long, device=self.model.device))
        x_1NU = torch.cat([*joining, latest_RU])[None]
        caches = [row.cache or self._new_cache(row, x_1NU) for row in rows]
        return read_rows(decoder, x_1NU, [*map(len, joining), *(1 for _ in latest)], caches)

    def _new_cache(self, row: DecodeRow, like: torch.Tensor) -> KVCache:
        assert row.inputs_embeds_LU is not None
        capacity = len(row.inputs_embeds_LU) + row.options.max_new_tokens
        row.cache = KVCache.allocate(self.model.model, 1, capacity, like=like)
        return row.cache


def _constrained(rows: Sequence[DecodeRow], logits_BZ: torch.Tensor) -> torch.Tensor:
    """The logits of what each row may write; what keeps one from knowing is that row's error."""
    if all(row.options.constraint is None for row in rows):
        return logits_BZ
    return torch.stack([_allowed(row, logits_BZ[index]) for index, row in enumerate(rows)])


def _choose(
    row: DecodeRow,
    logits_Z: torch.Tensor,
    allowed_Z: torch.Tensor,
    likeliest: int,
    highest: float,
    dtype: torch.dtype,
) -> None:
    """Add a token to a row. Raises NonFiniteError where the logits are not finite."""
    if not math.isfinite(highest):
        raise NonFiniteError.in_dtype(dtype)
    options = row.options
    token = likeliest if options.temperature < COLDEST else _draw(allowed_Z, row)
    if options.constraint is not None:
        options.constraint.advance(token)
    if options.top_logprobs is not None:
        row.logprobs.append(_logprobs(logits_Z, token, options.top_logprobs))
    row.ids.append(token)
    row.finished = token in options.stop_ids


def _allowed(row: DecodeRow, logits_Z: torch.Tensor) -> torch.Tensor:
    """The logits of what may come next; those of everything else are minus infinity."""
    if row.options.constraint is None:
        return logits_Z
    try:
        ids = row.options.constraint.allowed().to(logits_Z.device)
    except Exception as error:
        row.error = error
        return logits_Z
    return torch.full_like(logits_Z, -math.inf).scatter(0, ids, logits_Z[ids])


def _likeliest(logits_BZ: torch.Tensor) -> list[tuple[int, float]]:
    """Each row's likeliest token and its logit, read together. A NaN counts as the largest."""
    index_B1 = logits_BZ.argmax(-1, keepdim=True)
    highest_B1 = logits_BZ.gather(1, index_B1)
    found = torch.cat([index_B1.to(logits_BZ.dtype), highest_B1], dim=1).tolist()
    return [(int(token), highest) for token, highest in found]  # float32 holds every id below 2**24


def _draw(logits_Z: torch.Tensor, row: DecodeRow) -> int:
    chance_Z, order_Z = (logits_Z / row.options.temperature).softmax(-1).sort(descending=True)
    before_Z = chance_Z.cumsum(-1) - chance_Z
    chance_Z[1:][before_Z[1:] >= row.options.top_p] = 0  # the likeliest one always stays
    return int(order_Z[torch.multinomial(chance_Z, 1, generator=row.generator)])


def _logprobs(logits_Z: torch.Tensor, token: int, count: int) -> TokenLogprobs:
    logs_Z = logits_Z.log_softmax(-1)
    values, ids = logs_Z.topk(min(count, len(logs_Z)))
    return TokenLogprobs(float(logs_Z[token]), list(zip(ids.tolist(), values.tolist(), strict=True)))


def generate(model: TempoNetwork, inputs_embeds_LU: torch.Tensor, options: DecodeOptions) -> Iterator[int]:
    """Read the storyline, then yield the ids of one answer; the one that ended it is the last.

    Raises:
        NonFiniteError: the logits are not finite.
    """
    batch = DecodeBatch(model)
    row = batch.add(inputs_embeds_LU, options)
    while batch.rows:
        batch.step()
        if row.error is not None:
            raise row.error
        yield row.ids[-1]


class TextPieces:
    """Text of an answer as its tokens come; a character that is not whole yet is held back."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self.ids: list[int] = []
        self._told = ""

    def add(self, token: int) -> str:
        """The text that is new with a token."""
        self.ids.append(token)
        text = self.encoder.decode(self.ids)
        if text.endswith("�") or not text.startswith(self._told):
            return ""
        piece, self._told = text[len(self._told) :], text
        return piece

    def rest(self) -> str:
        """What was held back, once the answer is over."""
        rest = self.encoder.decode(self.ids)
        return rest[len(self._told) :] if rest.startswith(self._told) else ""


def pieces(encoder: TextEncoder, ids: Iterable[int]) -> Iterator[tuple[list[int], str]]:
    """(all ids so far, the text that is new) with each id, and what was held back at the end."""
    text = TextPieces(encoder)
    for token in ids:
        yield text.ids, text.add(token)
    if rest := text.rest():
        yield text.ids, rest

"""The compressor: a small vision-language model that writes what matters of a segment into memory tokens.

It reads [system][video][question][memory], causally (arXiv 2604.08120). The way through it is cut in three,
at no cost in exactness:

1. `prefill` reads the system prompt and the video, which no question changes; its cache can be kept.
2. `score` reads the question and tells how relevant the segment is for it.
3. `compress` computes the first k memory tokens. They are causal: the first k of M do not need the rest.

`forward` does everything at once, as training does; the two give equal numbers.

Shapes: see :mod:`tempo.modeling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tempo.processing.image_processor import Grid
from tempo.processing.prompts import Spans

from .qwen3_vl import KVCache, prefix_positions, run_language, vision_features


@dataclass(frozen=True)
class Gaps:
    """What nothing attends to and what takes no positions, in a cache of segments of different lengths.

    Attributes:
        begin_S, end_S: where the gap of each segment begins and ends in the cache.
        behind_S: how many rotary positions each segment is behind the furthest.
    """

    begin_S: torch.Tensor
    end_S: torch.Tensor
    behind_S: torch.Tensor


@dataclass
class PrefillState:
    """How far segments have been read. Reading on adds to it.

    Where prefixes or questions differ in length, questions are aligned at their ends: each segment has a gap
    behind its prefix.

    Attributes:
        position: the rotary position of the next token, of the segment that has come furthest.
        gaps: None: there is none, and all segments have come equally far.
    """

    cache: KVCache
    position: int
    gaps: Gaps | None = None


class Compressor(nn.Module):
    """`vlm` is a Qwen3-VL without an output head: the modules `visual` and `language_model`.

    `relevance_rows` are the output rows for Yes and No [2, D] of the *base* model: the router is read from
    them, not trained, and fine-tuning the compressor does not move them.
    """

    relevance_rows: torch.Tensor

    def __init__(self, vlm: nn.Module, *, width: int, memory_tokens: int) -> None:
        super().__init__()
        self.vlm: Any = vlm
        self.compression_tokens = nn.Parameter(torch.empty(1, memory_tokens, width))
        nn.init.normal_(self.compression_tokens, std=0.02)
        self.register_buffer("relevance_rows", torch.zeros(2, width))

    @property
    def memory_tokens(self) -> int:
        return self.compression_tokens.shape[1]

    def prefill(
        self, pixels_SPC: torch.Tensor, grid: Grid, ids_SL: torch.Tensor, spans: Spans, *, reserve: int = 0
    ) -> PrefillState:
        """Read segments of equal layout up to where a question will stand: what no question changes.

        Args:
            pixels_SPC: normalised patches of each segment.
            ids_SL: token ids of each segment's prompt; those within `spans` are visual.
            reserve: for how many more tokens there has to be space in the cache.
        """
        language = self.vlm.language_model
        x_SLD, positions, position, visual = self._embed_prefix(pixels_SPC, grid, ids_SL, spans)
        cache = KVCache.allocate(language, len(x_SLD), x_SLD.shape[1] + reserve, like=x_SLD)
        run_language(language, x_SLD, positions, cache=cache, last_only=True, **visual)
        return PrefillState(cache, position)

    def score(self, state: PrefillState, question_ids: Sequence[int]) -> torch.Tensor:
        """Read the question behind every segment → its relevance [S], float32 in (0, 1)."""
        return self.score_each(state, [question_ids] * len(state.cache.data))

    def score_each(self, state: PrefillState, questions: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read a question of its own behind every segment → its relevance [S].

        Args:
            questions: token ids for each segment. Where they differ in length, `state` gets gaps.
        """
        longest, device = max(map(len, questions)), state.cache.data.device
        if any(len(ids) < longest for ids in questions):
            padding_S = torch.tensor([longest - len(ids) for ids in questions], device=device)
            past_S = torch.full_like(padding_S, state.cache.length)
            gaps = state.gaps or Gaps(past_S, past_S, torch.zeros_like(past_S))
            state.gaps = Gaps(gaps.begin_S, gaps.end_S + padding_S, gaps.behind_S + padding_S)
        ids_SQ = torch.tensor([[0] * (longest - len(ids)) + list(ids) for ids in questions], device=device)
        x_S1D = self._read_on(state, self.vlm.language_model.embed_tokens(ids_SQ), last_only=True)
        return self._relevance(x_S1D[:, 0])

    def compress(self, state: PrefillState, count: int) -> torch.Tensor:
        """The first `count` memory tokens [S, count, D] of every segment, behind its question."""
        data = state.cache.data
        memory_SkD = self.compression_tokens[:, :count].expand(len(data), -1, -1)
        return self._read_on(state, memory_SkD.to(data.dtype))

    def forward(
        self,
        pixels_SPC: torch.Tensor,
        grid: Grid,
        ids_SL: torch.Tensor,
        spans: Spans,
        question_ids_SRQ: torch.Tensor,
        question_length_SR: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One pass, all memory tokens → relevance [S, R] and memory [S, R, M, D].
        Differentiable.

        Several questions about a segment share what comes before them: each attends to that and to itself,
        and stands where it would stand alone.

        Args:
            question_ids_SRQ: R questions behind each segment, padded on the right with any id.
            question_length_SR: how many of them count; None: all. Memory tokens follow the last that counts,
                and what is behind them cannot be seen, so padding needs no mask.
        """
        language = self.vlm.language_model
        prefix_SLD, positions, position, visual = self._embed_prefix(pixels_SPC, grid, ids_SL, spans)
        segments, questions, words = question_ids_SRQ.shape
        length, device = prefix_SLD.shape[1], prefix_SLD.device
        if question_length_SR is None:
            question_length_SR = question_ids_SRQ.new_full((segments, questions), words)
        memory_SRMD = self.compression_tokens.expand(segments, questions, -1, -1).to(prefix_SLD.dtype)
        place_SRM = question_length_SR[..., None] + torch.arange(self.memory_tokens, device=device)
        place_SRMD = place_SRM[..., None].expand_as(memory_SRMD)
        tail_SRJD = torch.cat([language.embed_tokens(question_ids_SRQ), memory_SRMD], dim=2)
        tail_SRJD = tail_SRJD.scatter(2, place_SRMD, memory_SRMD)
        behind = tail_SRJD.shape[2]
        tail_positions = torch.arange(position, position + behind).repeat(questions).expand(3, -1)
        x_SLD = run_language(
            language,
            torch.cat([prefix_SLD, tail_SRJD.flatten(1, 2)], dim=1),
            torch.cat([positions, tail_positions], dim=1),
            attends=_branches(length, questions, behind, device) if questions > 1 else None,
            **visual,
        )
        x_SRJD = x_SLD[:, length:].unflatten(1, (questions, behind))
        last_SR1D = (question_length_SR - 1)[..., None, None].expand(-1, -1, 1, x_SRJD.shape[-1])
        return self._relevance(x_SRJD.gather(2, last_SR1D)[:, :, 0]), x_SRJD.gather(2, place_SRMD)

    def _read_on(self, state: PrefillState, x_SLD: torch.Tensor, *, last_only: bool = False) -> torch.Tensor:
        begin, end, past = state.position, state.position + x_SLD.shape[1], state.cache.length
        positions = torch.arange(begin, end).expand(3, -1)
        attends_SQL = None
        if state.gaps is not None:
            positions = torch.arange(begin, end, device=x_SLD.device) - state.gaps.behind_S[:, None]
            positions = positions.clamp(min=0).expand(3, -1, -1)
            attends_SQL = _around_gaps(past, end - begin, state.gaps)
        state.position = end
        language = self.vlm.language_model
        return run_language(
            language, x_SLD, positions, cache=state.cache, attends=attends_SQL, last_only=last_only
        )

    def _embed_prefix(
        self, pixels_SPC: torch.Tensor, grid: Grid, ids_SL: torch.Tensor, spans: Spans
    ) -> tuple[torch.Tensor, torch.Tensor, int, dict[str, Any]]:
        """Embeddings [S, L, D] of the prompts, their positions, the next one, and the deepstack arguments."""
        merge = self.vlm.visual.spatial_merge_size
        features_SVD, deepstack = vision_features(self.vlm.visual, pixels_SPC, grid)
        index_V = torch.cat([torch.arange(*span, device=ids_SL.device) for span in spans])
        x_SLD = self.vlm.language_model.embed_tokens(ids_SL)
        x_SLD = x_SLD.index_copy(1, index_V, features_SVD.to(x_SLD.dtype))
        positions, position = prefix_positions(ids_SL.shape[1], spans, grid, merge)
        return x_SLD, positions, position, {"deepstack": deepstack, "visual_index": index_V}

    def _relevance(self, hidden_SD: torch.Tensor) -> torch.Tensor:
        """sigmoid(Yes − No) of every row, read at the last token of the question's turn, before the memory.

        That is the line break after `<|im_start|>assistant`, where the base would go on with its Yes or No.
        The hidden state is normalised, as before an output head. The rows are subtracted in the dtype in
        which they are stored and multiplied in float32, as published.
        """
        yes, no = self.relevance_rows
        return torch.sigmoid(hidden_SD.float() @ (yes - no).float())


def _around_gaps(past: int, new: int, gaps: Gaps) -> torch.Tensor:
    """Which tokens [S, Q, L] the last `new` tokens see: all before them and themselves, but no gap.

    The tokens in a gap, whose results nobody reads, see what is before the gap.
    """
    column_L = torch.arange(past + new, device=gaps.begin_S.device)
    seen_QL = column_L <= column_L[past:, None]
    in_gap_SL = (column_L >= gaps.begin_S[:, None]) & (column_L < gaps.end_S[:, None])
    return seen_QL & ~in_gap_SL[:, None]


def _branches(prefix: int, branches: int, length: int, device: torch.device) -> torch.Tensor:
    """Which tokens each token sees [L, L], where `branches` of `length` tokens each go on from one prefix."""
    owner_L = torch.arange(branches, device=device).repeat_interleave(length)
    owner_L = torch.cat([owner_L.new_full((prefix,), -1), owner_L])
    attends_LL = (owner_L[:, None] == owner_L) | (owner_L == -1)
    return attends_LL.tril()

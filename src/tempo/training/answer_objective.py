"""Questions and answers: the losses by which a model learns to answer, and what is relevant.

The segments of all examples go through the compressor in chunks whose activations are recomputed for the
gradient. What stays of a chunk is its memory tokens, so memory grows with the chunk, not with the video.

Shapes: see :mod:`tempo.modeling`. A row of the decoder (B) is a video with one of its questions.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from tempo.modeling import TempoQwenForCausalLM
from tempo.processing.image_processor import Geometry, Grid
from tempo.processing.prompts import Spans
from tempo.training.data.processor import QuestionTokens, TrainingExample, normalized_pixels

from .config import BudgetConfig
from .objective import Objective, ObjectiveOutput
from .token_dropout import kept_tokens

IGNORE = -100  # the label of tokens that are not learnt


@dataclass(frozen=True)
class SegmentChunk:
    """Segments of equal layout, and where they belong."""

    pixels_SPC: np.ndarray  # uint8
    grid: Grid
    ids_SL: np.ndarray
    spans: Spans
    rows: list[tuple[int, int]]  # (example, segment)


class AnswerObjective(Objective):
    """The model, and the losses of its answers and of its relevance.

    Losses: `loss`, cross entropy over the tokens of all answers; `routing`, cross entropy of relevance over
    all pairs of segment and question of which it is known. Metrics, in `eval` mode only: `exact`,
    `relevance_accuracy`.

    Args:
        segment_chunk: segments compressed together.
        recompute: forget activations and compute them again for the gradient.
    """

    def __init__(
        self,
        model: TempoQwenForCausalLM,
        budget: BudgetConfig,
        *,
        segment_chunk: int,
        relevance_weight: float = 1.0,
        recompute: bool = True,
    ) -> None:
        super().__init__(model)
        self.budget = budget
        self.segment_chunk = segment_chunk
        self.recompute = recompute
        self.loss_weights = {"routing": relevance_weight}
        self.geometry: Geometry = model.config.make_geometry()
        for layer in model.model.layers if recompute else ():
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def counts(self, examples: Sequence[TrainingExample]) -> dict[str, float]:
        """Answer tokens, and pairs of segment and question whose relevance is known."""
        questions = [one for example in examples for one in example.questions]
        return {
            "loss": float(sum(len(one.answer_ids) for one in questions)),
            "routing": float(sum(len(one.relevant or ()) for one in questions)),
        }

    def forward(self, examples: Sequence[TrainingExample]) -> ObjectiveOutput:
        """The losses of some videos with their questions."""
        relevance, memory, nothing = self.compress(examples)
        kept = [
            self.allocate(examples[index], number, relevance[index][:, number])
            for index, number, _ in _questions_of(examples)
        ]
        story_BLU, labels_BL = self.storylines(examples, memory, kept)
        hidden_BLU = self.model.model(inputs_embeds=story_BLU, use_cache=False).last_hidden_state
        learnt_BL = labels_BL != IGNORE
        logits = self.model.lm_head(hidden_BLU[learnt_BL])
        answers = F.cross_entropy(logits.float(), labels_BL[learnt_BL], reduction="sum") + nothing
        score_X, truth_X = self._judged(examples, relevance)
        metrics = {}
        if not self.training:
            metrics["exact"] = _exact(logits, labels_BL)
            metrics["relevance_accuracy"] = (float(((score_X > 0.5) == (truth_X > 0.5)).sum()), len(truth_X))
        with torch.autocast(truth_X.device.type, enabled=False):
            routing = F.binary_cross_entropy(score_X, truth_X, reduction="sum")
        totals: dict[str, float] = {
            "answer_tokens": int(learnt_BL.sum()),
            "visual_tokens": sum(map(sum, kept)),
            "tokens": self._tokens_read(examples, kept),
        }
        return ObjectiveOutput({"loss": answers, "routing": routing}, metrics, totals)

    def compress(self, examples: Sequence[TrainingExample]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Relevance [S, R] and memory tokens [S, R, M, D] of each example; and a zero, which makes the chunks
        that were only read because other processes have more of them part of the loss.
        """
        relevance: list[list[Any]] = [[None] * example.segments for example in examples]
        memory: list[list[Any]] = [[None] * example.segments for example in examples]
        device = self.model.device
        learning = torch.is_grad_enabled() and any(
            parameter.requires_grad for parameter in self.model.compressor.parameters()
        )
        mine = list(chunks(examples, self.segment_chunk))
        nothing = torch.zeros((), device=device)
        for number in range(self.rounds(len(mine))):
            chunk = mine[min(number, len(mine) - 1)]
            ids_SRQ, length_SR = _question_ids(examples, chunk.rows, device)
            read = partial(self._compress, grid=chunk.grid, spans=chunk.spans)
            inputs = (
                torch.from_numpy(chunk.pixels_SPC),
                torch.from_numpy(chunk.ids_SL).to(device),
                ids_SRQ,
                length_SR,
            )
            with torch.set_grad_enabled(learning):
                if learning and self.recompute:
                    relevance_SR, memory_SRMD = checkpoint(read, *inputs, use_reentrant=False)
                else:
                    relevance_SR, memory_SRMD = read(*inputs)
            if number >= len(mine):
                nothing = nothing + 0.0 * memory_SRMD.sum()
                continue
            # Taken apart at once, as in the model's storyline.
            parts = zip(chunk.rows, relevance_SR.unbind(), memory_SRMD.unbind(), strict=True)
            for (example, segment), relevance_R, memory_RMD in parts:
                relevance[example][segment] = relevance_R
                memory[example][segment] = memory_RMD
        return [torch.stack(one) for one in relevance], [torch.stack(one) for one in memory], nothing

    def _compress(
        self,
        bytes_SPC: Tensor,
        ids_SL: Tensor,
        ids_SRQ: Tensor,
        length_SR: Tensor,
        *,
        grid: Grid,
        spans: Spans,
    ) -> tuple[Tensor, Tensor]:
        # Only the bytes wait for the gradient, and on the host.
        pixels_SPC = normalized_pixels(bytes_SPC.to(ids_SL.device), self.geometry)
        return self.model.compressor(pixels_SPC, grid, ids_SL, spans, ids_SRQ, length_SR)

    def allocate(self, example: TrainingExample, number: int, relevance_S: Tensor) -> list[int]:
        """Memory tokens that each segment keeps for one question."""
        config = self.model.config
        return kept_tokens(
            relevance_S.detach().float().tolist(),
            rng=random.Random(f"{example.seed}/kept/{number}"),
            random_share=self.budget.token_dropout if self.training else 0.0,
            how=self.budget.allocation,
            budget=self.budget.tokens or config.visual_token_budget,
            k_min=config.min_tokens,
            k_max=config.num_compression_tokens,
        )

    def storylines(
        self, examples: Sequence[TrainingExample], memory: Sequence[Tensor], kept: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        """What the decoder reads [B, L, U], padded on the right, and what it should say next [B, L]."""
        device = self.model.device
        stories, labels = [], []
        by_question = [memory_SRMD.unbind(1) for memory_SRMD in memory]
        for (index, number, question), k_S in zip(_questions_of(examples), kept, strict=True):
            example = examples[index]
            segments = [
                (timestamp, memory_MD[:k])
                for timestamp, memory_MD, k in zip(
                    example.timestamps, by_question[index][number], k_S, strict=True
                )
            ]
            # The last token of the answer is not read: nothing is learnt behind it.
            after = [*question.after_ids, *question.answer_ids[:-1]]
            story_LU = self.model.decoder_inputs(question.before_ids, segments, after)
            stories.append(story_LU)
            silent = len(story_LU) - len(question.answer_ids)
            labels.append(torch.tensor([IGNORE] * silent + question.answer_ids, device=device))
        return (
            pad_sequence(stories, batch_first=True),
            pad_sequence(labels, batch_first=True, padding_value=IGNORE),
        )

    def _judged(
        self, examples: Sequence[TrainingExample], relevance: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Relevance of all pairs of segment and question of which it is known, and whether it should be 1."""
        scores = [torch.zeros(0, device=self.model.device)]
        truths: list[bool] = []
        for example, relevance_SR in zip(examples, relevance, strict=True):
            for number, question in enumerate(example.questions):
                if question.relevant is not None:
                    scores.append(relevance_SR[:, number].float())
                    truths += question.relevant
        truth_X = torch.tensor(truths, dtype=torch.float32, device=self.model.device)
        return torch.cat(scores), truth_X

    def _tokens_read(self, examples: Sequence[TrainingExample], kept: Sequence[Sequence[int]]) -> int:
        total = 0
        for (index, number, question), k_S in zip(_questions_of(examples), kept, strict=True):
            example = examples[index]
            if number == 0:
                total += sum(block.ids_SL.size for block in example.blocks)
            compressed = len(question.compressor_ids) + self.model.config.num_compression_tokens
            words = len(question.before_ids) + len(question.after_ids) + len(question.answer_ids)
            total += example.segments * compressed + words + sum(map(len, example.timestamps)) + sum(k_S)
        return total


def _exact(logits: Tensor, labels_BL: Tensor) -> tuple[float, float]:
    """How many rows have every token of their answer right when each is guessed behind the right ones."""
    learnt_BL = labels_BL != IGNORE
    wrong_BL = torch.zeros_like(learnt_BL)
    wrong_BL[learnt_BL] = logits.argmax(-1) != labels_BL[learnt_BL]
    return float((~wrong_BL.any(1)).sum()), float(len(labels_BL))


def chunks(examples: Sequence[TrainingExample], size: int) -> Iterator[SegmentChunk]:
    """The segments of all examples, `size` at a time: those of equal layout with as many questions."""
    layouts: dict[Any, list[tuple[int, int, Any, int]]] = {}
    for index, example in enumerate(examples):
        numbers = itertools.count()
        for block in example.blocks:
            key = block.grid, block.ids_SL.shape[1], block.spans, len(example.questions)
            for row in range(len(block.ids_SL)):
                layouts.setdefault(key, []).append((index, next(numbers), block, row))
    for (grid, _, spans, _), members in layouts.items():
        for start in range(0, len(members), size):
            some = members[start : start + size]
            yield SegmentChunk(
                np.stack([block.pixels_SPC[row] for _, _, block, row in some]),
                grid,
                np.stack([block.ids_SL[row] for _, _, block, row in some]),
                spans,
                [(index, segment) for index, segment, _, _ in some],
            )


def _question_ids(
    examples: Sequence[TrainingExample], rows: Sequence[tuple[int, int]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids [S, R, Q] of the questions behind each segment of a chunk, padded, and their lengths [S, R]."""
    ids = [[one.compressor_ids for one in examples[index].questions] for index, _ in rows]
    length_SR = torch.tensor([[len(one) for one in row] for row in ids])
    ids_SRQ = torch.zeros(*length_SR.shape, int(length_SR.max()), dtype=torch.long)
    for s, row in enumerate(ids):
        for r, one in enumerate(row):
            ids_SRQ[s, r, : len(one)] = torch.tensor(one)
    return ids_SRQ.to(device), length_SR.to(device)


def _questions_of(examples: Sequence[TrainingExample]) -> Iterator[tuple[int, int, QuestionTokens]]:
    """(number of the example, number of the question in it, question) of every question."""
    for index, example in enumerate(examples):
        for number, question in enumerate(example.questions):
            yield index, number, question

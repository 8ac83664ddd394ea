"""Through the whole model with gradients: what is trained is what answering computes.

The segments of all examples go through the compressor in chunks whose activations are recomputed for the
gradient. What stays of a chunk is its memory tokens, so memory grows with the chunk, not with the video.

Legend: S segments, N questions about a video, Q tokens of the longest question, M memory tokens, D the
compressor's width, H the decoder's, R storylines (one a question), L tokens of the longest.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from tempo.modeling import TempoQwenForCausalLM
from tempo.processing.image_processor import Geometry, Grid
from tempo.processing.prompts import Spans
from tempo.training.data.processor import Example, Question, pixels_of

from .config import Budget
from .token_dropout import kept_tokens


@dataclass(frozen=True)
class Chunk:
    """Segments of equal layout, and where they belong."""

    pixels_SPC: np.ndarray  # uint8
    grid: Grid
    ids_SL: np.ndarray
    spans: Spans
    rows: list[tuple[int, int]]  # (example, segment)


@dataclass(frozen=True)
class Sums:
    """Losses added up, not averaged: the sums of processes and of parts of a batch can be added further.

    Attributes:
        answers: cross entropy over the tokens of all answers; `answer_tokens` of them.
        routing: cross entropy of relevance over `routed` pairs of segment and question.
        visual_tokens: memory tokens that the decoder read.
        tokens: everything that both models read.
    """

    answers: Tensor
    routing: Tensor
    answer_tokens: int
    routed: int
    visual_tokens: int
    tokens: int


def counts(examples: Sequence[Example]) -> tuple[int, int]:
    """Answer tokens, and pairs of segment and question whose relevance is known."""
    questions = [one for example in examples for one in example.questions]
    return sum(len(one.answer) for one in questions), sum(len(one.relevant or ()) for one in questions)


class Learner(nn.Module):
    """The model with what training adds to it: chunks, allocation while learning, losses.

    Args:
        chunk: segments compressed together.
        recompute: forget activations and compute them again for the gradient.
    """

    def __init__(
        self, model: TempoQwenForCausalLM, budget: Budget, *, chunk: int, recompute: bool = True
    ) -> None:
        super().__init__()
        self.model = model
        self.budget = budget
        self.chunk = chunk
        self.recompute = recompute
        # How often the process that does so most goes through the compressor (see sharing).
        self.rounds: Callable[[int], int] = int
        self.geometry: Geometry = model.config.make_geometry()
        for layer in model.model.layers if recompute else ():
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def forward(self, examples: Sequence[Example]) -> tuple[Tensor, Tensor, Sums]:
        """Losses of some examples. The two sums are also returned by themselves, where DDP looks for them."""
        relevance, memory, nothing = self.compress(examples)
        kept = [
            self.allocate(examples[index], number, relevance[index][:, number])
            for index, number, _ in _asked(examples)
        ]
        story_RLH, labels_RL = self.storylines(examples, memory, kept)
        hidden_RLH = self.model.model(inputs_embeds=story_RLH, use_cache=False).last_hidden_state
        learnt_RL = labels_RL != -100
        logits = self.model.lm_head(hidden_RLH[learnt_RL])
        answers = F.cross_entropy(logits.float(), labels_RL[learnt_RL], reduction="sum") + nothing
        routing, routed = self._routing(examples, relevance)
        sums = Sums(
            answers,
            routing,
            answer_tokens=int(learnt_RL.sum()),
            routed=routed,
            visual_tokens=sum(map(sum, kept)),
            tokens=self._read(examples, kept),
        )
        return answers, routing, sums

    def compress(self, examples: Sequence[Example]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Relevance [S, N] and memory tokens [S, N, M, D] of each example; and a zero, which makes the chunks
        that were only read because other processes have more of them part of the loss.
        """
        relevance: list[list[Any]] = [[None] * example.segments for example in examples]
        memory: list[list[Any]] = [[None] * example.segments for example in examples]
        device = self.model.device
        learning = torch.is_grad_enabled() and any(
            parameter.requires_grad for parameter in self.model.compressor.parameters()
        )
        mine = list(chunks(examples, self.chunk))
        nothing = torch.zeros((), device=device)
        for number in range(self.rounds(len(mine))):
            chunk = mine[min(number, len(mine) - 1)]
            asked_SNQ, length_SN = _questions(examples, chunk.rows, device)
            read = partial(self._compress, grid=chunk.grid, spans=chunk.spans)
            inputs = (
                torch.from_numpy(chunk.pixels_SPC),
                torch.from_numpy(chunk.ids_SL).to(device),
                asked_SNQ,
                length_SN,
            )
            with torch.set_grad_enabled(learning):
                if learning and self.recompute:
                    relevance_SN, memory_SNMD = checkpoint(read, *inputs, use_reentrant=False)
                else:
                    relevance_SN, memory_SNMD = read(*inputs)
            if number >= len(mine):
                nothing = nothing + 0.0 * memory_SNMD.sum()
                continue
            # Taken apart at once, as in the model's storyline.
            parts = zip(chunk.rows, relevance_SN.unbind(), memory_SNMD.unbind(), strict=True)
            for (example, segment), relevance_N, memory_NMD in parts:
                relevance[example][segment] = relevance_N
                memory[example][segment] = memory_NMD
        return [torch.stack(one) for one in relevance], [torch.stack(one) for one in memory], nothing

    def _compress(
        self,
        bytes_SPC: Tensor,
        ids_SL: Tensor,
        asked_SNQ: Tensor,
        length_SN: Tensor,
        *,
        grid: Grid,
        spans: Spans,
    ) -> tuple[Tensor, Tensor]:
        # Only the bytes wait for the gradient, and on the host.
        pixels_SPC = pixels_of(bytes_SPC.to(ids_SL.device), self.geometry)
        return self.model.compressor(pixels_SPC, grid, ids_SL, spans, asked_SNQ, length_SN)

    def allocate(self, example: Example, number: int, relevance_S: Tensor) -> list[int]:
        """Memory tokens that each segment keeps for one question."""
        config = self.model.config
        return kept_tokens(
            relevance_S.detach().float().tolist(),
            rng=random.Random(f"{example.seed}/kept/{number}"),
            random_share=self.budget.random,
            how=self.budget.allocation,
            budget=self.budget.tokens or config.visual_token_budget,
            k_min=config.min_tokens,
            k_max=config.num_compression_tokens,
        )

    def storylines(
        self, examples: Sequence[Example], memory: Sequence[Tensor], kept: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        """What the decoder reads [R, L, H], padded on the right, and what it should say next [R, L]."""
        device = self.model.device
        stories, labels = [], []
        by_question = [memory_SNMD.unbind(1) for memory_SNMD in memory]
        for (index, number, question), k_S in zip(_asked(examples), kept, strict=True):
            example = examples[index]
            moments = [
                (stamp, memory_MD[:k])
                for stamp, memory_MD, k in zip(example.stamps, by_question[index][number], k_S, strict=True)
            ]
            # The last token of the answer is not read: nothing is learnt behind it.
            after = [*question.after, *question.answer[:-1]]
            story_LH = self.model.decoder_inputs(question.before, moments, after)
            stories.append(story_LH)
            silent = len(story_LH) - len(question.answer)
            labels.append(torch.tensor([-100] * silent + question.answer, device=device))
        return (
            pad_sequence(stories, batch_first=True),
            pad_sequence(labels, batch_first=True, padding_value=-100),
        )

    def _routing(self, examples: Sequence[Example], relevance: Sequence[Tensor]) -> tuple[Tensor, int]:
        scores: list[Tensor] = []
        truths: list[bool] = []
        for example, relevance_SN in zip(examples, relevance, strict=True):
            for number, question in enumerate(example.questions):
                if question.relevant is not None:
                    scores.append(relevance_SN[:, number].float())
                    truths += question.relevant
        if not scores:
            return torch.zeros((), device=self.model.device), 0
        truth = torch.tensor(truths, dtype=torch.float32, device=self.model.device)
        with torch.autocast(truth.device.type, enabled=False):
            return F.binary_cross_entropy(torch.cat(scores), truth, reduction="sum"), len(truths)

    def _read(self, examples: Sequence[Example], kept: Sequence[Sequence[int]]) -> int:
        total = 0
        for (index, number, question), k_S in zip(_asked(examples), kept, strict=True):
            example = examples[index]
            if number == 0:
                total += sum(part.ids_SL.size for part in example.parts)
            asked = len(question.asked) + self.model.config.num_compression_tokens
            words = len(question.before) + len(question.after) + len(question.answer)
            total += example.segments * asked + words + sum(map(len, example.stamps)) + sum(k_S)
        return total


def chunks(examples: Sequence[Example], size: int) -> Iterator[Chunk]:
    """The segments of all examples, `size` at a time: those of equal layout with as many questions."""
    layouts: dict[Any, list[tuple[int, int, Any, int]]] = {}
    for index, example in enumerate(examples):
        numbers = itertools.count()
        for part in example.parts:
            key = part.grid, part.ids_SL.shape[1], part.spans, len(example.questions)
            for row in range(len(part.ids_SL)):
                layouts.setdefault(key, []).append((index, next(numbers), part, row))
    for (grid, _, spans, _), members in layouts.items():
        for start in range(0, len(members), size):
            some = members[start : start + size]
            yield Chunk(
                np.stack([part.pixels_SPC[row] for _, _, part, row in some]),
                grid,
                np.stack([part.ids_SL[row] for _, _, part, row in some]),
                spans,
                [(index, segment) for index, segment, _, _ in some],
            )


def _questions(
    examples: Sequence[Example], rows: Sequence[tuple[int, int]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids [S, N, Q] of the questions behind each segment of a chunk, padded, and their lengths [S, N]."""
    asked = [[one.asked for one in examples[index].questions] for index, _ in rows]
    length_SN = torch.tensor([[len(ids) for ids in row] for row in asked])
    ids_SNQ = torch.zeros(*length_SN.shape, int(length_SN.max()), dtype=torch.long)
    for s, row in enumerate(asked):
        for n, ids in enumerate(row):
            ids_SNQ[s, n, : len(ids)] = torch.tensor(ids)
    return ids_SNQ.to(device), length_SN.to(device)


def _asked(examples: Sequence[Example]) -> Iterator[tuple[int, int, Question]]:
    """(number of the example, number of the question in it, question) of every question."""
    for index, example in enumerate(examples):
        for number, question in enumerate(example.questions):
            yield index, number, question

"""Shared-prefix packing: many questions about one segment in one row, each of which sees the segment and
itself only.

The compressor reads [system][video][question][memory] causally, so everything before the question is the
same for every question. Training packs several questions (and descriptions) behind one copy of it:

    prefix | branch 1 | branch 2 | …        branch tokens attend to the prefix and to earlier tokens of their
    own branch

Each branch's positions continue from the prefix, as if it stood alone. Attention, positions and therefore
losses equal those of separate rows; the prefix and the vision tower are paid for once. Rows lie end to end,
without padding; how they attend is in `packed_attention`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tempo.networks.qwen3_vl import prefix_positions
from tempo.processing.prompts import Prompts, Spans

from .packed_attention import Layout, attending

IGNORE = -100  # the label of tokens that are not learnt


@dataclass
class Branch:
    """Token ids behind the prefix, for each the label it should predict (IGNORE for none), and memory tokens
    after it."""

    ids: list[int]
    labels: list[int]
    memory: int = 0


@dataclass
class Row:
    """A prefix, the spans of its visual tokens, and what branches off behind it."""

    prefix: list[int]
    branches: list[Branch] = field(default_factory=list)
    spans: Spans = ()


@dataclass(frozen=True)
class Packed:
    """Rows end to end, T tokens in all."""

    ids_T: Tensor
    labels_T: Tensor
    positions_3T: Tensor
    video_T: Tensor  # bool: where visual tokens go
    memory_T: Tensor  # which memory token stands there, counted from 0 within its branch; -1 where none does
    layout: Layout

    def read(self, language: Any, embeds_TD: Tensor, **more: Any) -> Tensor:
        """The last hidden states [T, D] of a language model of transformers over embeddings of these rows."""
        with attending(language):
            return language(
                inputs_embeds=embeds_TD[None],
                layout=self.layout,
                use_cache=False,
                **more,
            ).last_hidden_state[0]


class PackedPrompts:
    """The prompts of answering as rows and branches, with what is learnt of them."""

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts
        encoder = prompts.compressor
        self.video_id = encoder.id("<|video_pad|>")
        self.end_id = prompts.end_of_answer
        self.yes_id, self.no_id = encoder.id("Yes"), encoder.id("No")
        self.decoder_open, _ = prompts.decoder_prompt("")
        self._known: dict[str, list[int]] = {}

    def plain(self, text: str) -> list[int]:
        """Ids of anybody's text: nothing in it becomes a special token."""
        if text not in self._known:
            if len(self._known) > 50_000:
                self._known.clear()
            self._known[text] = self.prompts.decoder.text(text)
        return self._known[text]

    def segment(self, times: np.ndarray, tokens: int) -> Row:
        """System prompt and video of one segment.

        Args:
            times: of its frames, in seconds.
            tokens: visual tokens of a pair of frames.
        """
        pairs = ((times[::2] + times[1::2]) / 2).tolist()
        prompt = self.prompts.segment(pairs, tokens=tokens)
        return Row(prompt.ids, spans=prompt.spans)

    def routing(self, question: str, relevant: bool, earlier: Sequence[tuple[str, str]] = ()) -> Branch:
        """The question as the compressor reads it; learnt is the Yes or No that the router reads, at its last
        token."""
        ids = self.prompts.question(question, earlier=[asked for asked, _ in earlier])
        return Branch(ids, [IGNORE] * (len(ids) - 1) + [self.yes_id if relevant else self.no_id])

    def answering(self, question: str, answer: str, earlier: Sequence[tuple[str, str]] = ()) -> Branch:
        """The question behind EARLIER ones and their answers, answered in words."""
        _, head = self.prompts.decoder_prompt(question, earlier=earlier)
        tail = self.plain(answer)
        return Branch([*head, *tail], [IGNORE] * (len(head) - 1) + [*tail, self.end_id])


def pack(rows: list[Row], prompts: PackedPrompts, grid: tuple[int, int] = (1, 1)) -> Packed:
    """Lay rows end to end; `grid` = rows and columns of visual tokens of a frame pair."""
    ids: list[int] = []
    labels: list[int] = []
    memory: list[int] = []
    positions: list[Tensor] = []
    known: dict[tuple[int, Spans], tuple[Tensor, int]] = {}
    for row in rows:
        ids += row.prefix
        labels += [IGNORE] * len(row.prefix)
        memory += [-1] * len(row.prefix)
        key = (len(row.prefix), row.spans)
        if key not in known:
            known[key] = prefix_positions(*key, (len(row.spans), *grid), merge=1)
        prefix_positions_3P, following = known[key]
        positions.append(prefix_positions_3P)
        for branch in row.branches:
            ids += branch.ids + [prompts.end_id] * branch.memory  # any id: embeddings take their place
            labels += branch.labels + [IGNORE] * branch.memory
            memory += [-1] * len(branch.ids) + list(range(branch.memory))
            length = len(branch.ids) + branch.memory
            positions.append(torch.arange(following, following + length).expand(3, -1))
    ids_T = torch.tensor(ids)
    layout = Layout.of([(len(row.prefix), [len(b.ids) + b.memory for b in row.branches]) for row in rows])
    return Packed(
        ids_T,
        torch.tensor(labels),
        torch.cat(positions, 1),
        ids_T == prompts.video_id,
        torch.tensor(memory),
        layout,
    )


def read_packed(
    vlm: Any, packed: Packed, visual: Tensor, deepstack: list[Tensor], memory_MD: Tensor | None = None
) -> Tensor:
    """The language model of a Qwen3-VL over packed rows → its last hidden states [T, D].

    Args:
        visual: the visual tokens of all rows, in order, in any shape that ends with their width; `deepstack`
        likewise.
        memory_MD: the embeddings of the memory tokens, where there are any.
    """
    embeds_TD = vlm.language_model.embed_tokens(packed.ids_T)
    embeds_TD = embeds_TD.masked_scatter(packed.video_T[:, None], visual.flatten(0, -2).to(embeds_TD.dtype))
    if memory_MD is not None:
        here = packed.memory_T >= 0
        embeds_TD = embeds_TD.masked_scatter(
            here[:, None], memory_MD[packed.memory_T[here]].to(embeds_TD.dtype)
        )
    return packed.read(
        vlm.language_model,
        embeds_TD,
        position_ids=packed.positions_3T[:, None],
        visual_pos_masks=packed.video_T[None],
        deepstack_visual_embeds=[features.flatten(0, -2) for features in deepstack],
    )

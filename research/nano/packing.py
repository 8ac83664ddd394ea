"""Many questions on one segment in one row: a shared prefix, and branches that see the prefix and themselves
only.

The compressor reads [system][video][question][memory] causally, so everything before the question is the
same for every question. Training packs several questions (and descriptions) behind one copy of it:

    prefix | branch 1 | branch 2 | …        branch tokens attend to the prefix and to earlier tokens of their
    own branch

Each branch's positions continue from the prefix, as if it stood alone. Attention, positions and therefore
losses equal those of separate rows; the prefix and the vision tower are paid for once. Rows lie end to end,
without padding; how they attend is in `attending`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tempo.processing import prompts

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
    prefix: list[int]
    branches: list[Branch] = field(default_factory=list)


@dataclass(frozen=True)
class Packed:
    """Rows end to end, T tokens in all."""

    ids_T: Tensor
    labels_T: Tensor
    positions_3T: Tensor
    video_T: Tensor  # bool: where visual tokens go
    memory_T: Tensor  # which memory token stands there, counted from 0 within its branch; -1 where none does
    rows: int
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


class Wording:
    """Turns texts into the token sequences that the compressor and its base are trained on."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, system: str) -> None:
        self._tokenizer = tokenizer
        self._cache: dict[str, list[int]] = {}
        ids = tokenizer.convert_tokens_to_ids
        self.video_id: int = ids("<|video_pad|>")
        self.end_id: int = ids("<|im_end|>")
        self.yes_id: int = ids("Yes")
        self.no_id: int = ids("No")
        self.pad_id: int = ids("<|endoftext|>")
        self._open = self.special(f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n")
        self._vision = [ids("<|vision_start|>"), ids("<|vision_end|>")]
        self.answer = self.special("<|im_end|>\n<|im_start|>assistant\n")
        self._query = self.plain("\nQuery:\n")
        self._newline = self.plain("\n")
        self._next_turn = self.special("<|im_end|>\n<|im_start|>user\n")
        self.decoder_open = self.special(
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        )

    def special(self, text: str) -> list[int]:
        """Ids of our own wording, whose special tokens count as such."""
        return self._tokenizer.encode(text, add_special_tokens=False)

    def plain(self, text: str) -> list[int]:
        """Ids of anybody's text: nothing in it becomes a special token."""
        if text not in self._cache:
            if len(self._cache) > 50_000:
                self._cache.clear()
            self._cache[text] = self._tokenizer.encode(
                text, add_special_tokens=False, split_special_tokens=True
            )
        return self._cache[text]

    def prefix(self, pair_times: list[float], tokens_a_pair: int) -> list[int]:
        """System prompt and video of one segment; the time of each frame pair in seconds."""
        ids = list(self._open)
        for time in pair_times:
            ids += self.plain(f"<{time:.1f} seconds>")
            ids += [self._vision[0], *[self.video_id] * tokens_a_pair, self._vision[1]]
        return ids

    def routed(self, question: str, earlier: Sequence[tuple[str, str]] = ()) -> list[int]:
        """The question as the compressor reads it behind EARLIER ones, up to where it would answer Yes or
        No."""
        if earlier:
            turns = [*(asked for asked, _ in earlier), question]
            question = "\n".join(
                prompts.Wording.earlier_turn.format(number=n, question=asked)
                for n, asked in enumerate(turns, start=1)
            )
        return [*self._query, *self.plain(question), *self.answer]

    def routing(self, question: str, relevant: bool, earlier: Sequence[tuple[str, str]] = ()) -> Branch:
        """The question, with the Yes or No that the router reads learnt at its last token."""
        ids = self.routed(question, earlier)
        return Branch(ids, [IGNORE] * (len(ids) - 1) + [self.yes_id if relevant else self.no_id])

    def asking(self, question: str, answer: str, earlier: Sequence[tuple[str, str]] = ()) -> Branch:
        """The question behind EARLIER ones and their answers, answered in words."""
        questions = [*(asked for asked, _ in earlier), question]
        head = [*self._newline, *self.plain(questions[0]), *self.answer]
        for (_, said), following in zip(earlier, questions[1:], strict=True):
            head += [*self.plain(said), *self._next_turn, *self.plain(following), *self.answer]
        tail = self.plain(answer)
        return Branch([*head, *tail], [IGNORE] * (len(head) - 1) + [*tail, self.end_id])


def prefix_positions(prefix: Tensor, video_id: int, grid: tuple[int, int]) -> Tensor:
    """Rotary positions [3, P] of a prefix whose visual tokens come in blocks of `grid` = (rows, columns).

    Text advances all three by one; a block of visual tokens shares one time and counts rows and columns;
    after it text
    goes on at the largest position so far plus one (Qwen3-VL).
    """
    rows, columns = grid
    block = rows * columns
    if block == 1:  # a place like any other
        return torch.arange(len(prefix)).expand(3, -1)
    positions = torch.empty(3, len(prefix), dtype=torch.long)
    within_row = torch.arange(rows).repeat_interleave(columns)
    within_column = torch.arange(columns).repeat(rows)
    index, current = 0, 0
    ids = prefix.tolist()
    while index < len(ids):
        if ids[index] == video_id:
            span = slice(index, index + block)
            positions[0, span] = current
            positions[1, span] = current + within_row
            positions[2, span] = current + within_column
            index, current = index + block, current + max(rows, columns)
        else:
            positions[:, index] = current
            index, current = index + 1, current + 1
    return positions


def pack(rows: list[Row], wording: Wording, grid: tuple[int, int]) -> Packed:
    """Lay rows end to end; `grid` = rows and columns of visual tokens of a frame pair."""
    ids: list[int] = []
    labels: list[int] = []
    memory: list[int] = []
    positions: list[Tensor] = []
    known: dict[tuple[int, ...], Tensor] = {}
    for row in rows:
        ids += row.prefix
        labels += [IGNORE] * len(row.prefix)
        memory += [-1] * len(row.prefix)
        key = (len(row.prefix), *(i for i, token in enumerate(row.prefix) if token == wording.video_id))
        if key not in known:
            known[key] = prefix_positions(torch.tensor(row.prefix), wording.video_id, grid)
        positions.append(known[key])
        following = int(known[key].max()) + 1
        for branch in row.branches:
            ids += branch.ids + [wording.pad_id] * branch.memory
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
        ids_T == wording.video_id,
        torch.tensor(memory),
        len(rows),
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
        embeds_TD = embeds_TD.masked_scatter(here[:, None], memory_MD[packed.memory_T[here]])
    return packed.read(
        vlm.language_model,
        embeds_TD,
        position_ids=packed.positions_3T[:, None],
        visual_pos_masks=packed.video_T[None],
        deepstack_visual_embeds=[features.flatten(0, -2) for features in deepstack],
    )

"""What each memory token is to tell, and the fixed code in which it tells it.

A memory token is a vector, and nothing says what it should hold but the answers that a decoder gives much
later. Small models find that out slowly. So the compressor is first taught to write facts that are known from
the script, and the decoder, apart from it, to read them. The code between the two is a sum of fixed
orthogonal vectors, one for each fact.

The first memory token carries all that any one question needs from its segment; the others list the things
one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tempo.world.describe import seen_action
from tempo.world.questions import Look
from tempo.world.script import Scene, Script, Thing
from tempo.world.vocabulary import ACTIONS, COLOURS, SHAPES, SIZES

# Values of each fact; 0 is "none".
#   match        first token: whether the first look asked about (1), another one (2) or both (3) are here
#   number       first token: how many things its scene shows; others: the scene of the segment, from 1
#   shape … action   of the thing asked about, where it is here, else of the first thing
#   next …       first token: the first thing of the scene that follows within the segment
FACTS = {
    "match": 4,
    "number": 5,
    "shape": len(SHAPES) + 1,
    "colour": len(COLOURS) + 1,
    "size": len(SIZES) + 1,
    "action": len(ACTIONS) + 1,
    "next shape": len(SHAPES) + 1,
    "next colour": len(COLOURS) + 1,
}
VALUES = sum(FACTS.values())
# The word for each value, where the decoder says it in an answer.
_SPOKEN = {
    "number": ("1", "2", "3", "4"),
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "size": tuple(SIZES),
    "action": ACTIONS,
}
_WORDS = [word for fact, n in FACTS.items() for word in ("", *_SPOKEN.get(fact, ("",) * (n - 1)))]
CODE_NORM = 3.0  # length of a fact's vector: a token outweighs a word, whose embedding is about 1.5 long


def _looks_of(thing: Thing, action: str) -> tuple[int, int, int, int]:
    return (
        1 + SHAPES.index(thing.shape),
        1 + tuple(COLOURS).index(thing.colour),
        1 + tuple(SIZES).index(thing.size),
        1 + ACTIONS.index(action) if action else 0,
    )


def _visible(script: Script, times: np.ndarray) -> list[tuple[int, float, Scene, Thing, str]]:
    """Scene number, first time, scene, thing and action of all that is seen at `times`; scenes in order, each
    from left to right."""
    found = []
    for number, scene in enumerate(script.scenes):
        seen = []
        for thing in scene.things:
            action = seen_action(scene, thing, times)
            if action is not None:
                begins, ends = max(scene.start, thing.start), min(scene.end, thing.end)
                first = float(times[(times >= begins) & (times < ends)][0])
                seen.append((scene.at(thing, first)[0], (number, first, scene, thing, action)))
        found += [item for _, item in sorted(seen, key=lambda pair: pair[0])]
    return found


def facts(script: Script, looks: Sequence[Look], times: np.ndarray, tokens: int) -> np.ndarray:
    """What `tokens` memory tokens of a segment with frames at `times` (seconds) tell about `looks`: int64
    [tokens, 8]."""
    table = np.zeros((tokens, len(FACTS)), np.int64)
    visible = _visible(script, times)
    if not visible:
        return table

    def match(thing: Thing) -> int:
        return sum({1 << min(place, 1) for place, look in enumerate(looks) if look.fits(thing)})

    matching = [item for item in visible if match(item[3])]
    focus = min(matching, key=lambda item: item[1]) if matching else visible[0]
    table[0, 0] = int(np.bitwise_or.reduce([0, *(match(item[3]) for item in matching)]))
    table[0, 1] = min(4, sum(item[0] == focus[0] for item in visible))
    table[0, 2:6] = _looks_of(focus[3], focus[4])
    after = [item for item in visible if item[0] > focus[0]]
    if after:
        table[0, 6:] = _looks_of(after[0][3], "")[:2]
    for row, (scene, _, _, thing, action) in zip(table[1:], visible, strict=False):
        row[0] = match(thing)
        row[1] = min(4, 1 + scene - visible[0][0])
        row[2:6] = _looks_of(thing, action)
    return table


class Code:
    """Fixed orthogonal vectors, one for each value of each fact; a memory token is the sum of its facts'
    vectors.

    A value that has a word gets the direction of the decoder's own embedding of that word, as nearly as
    orthogonality allows (Löwdin, 1950): what has been learnt of reading words is of use for reading tokens.

    Args:
        embedding_WD: the decoder's embeddings of all words.
        spell: the ids of a text.
    """

    def __init__(self, embedding_WD: Tensor, spell: Callable[[str], list[int]]) -> None:
        generator = torch.Generator().manual_seed(0)
        vectors = torch.randn(VALUES, embedding_WD.shape[1], generator=generator)
        for row, word in enumerate(_WORDS):
            spelt = [ids[0] for ids in (spell(word), spell(" " + word)) if word and len(ids) == 1]
            if spelt:
                vectors[row] = embedding_WD[spelt].float().mean(0)
        left, _, right = torch.linalg.svd(F.normalize(vectors, dim=1), full_matrices=False)
        self.vectors_VD = (left @ right) * CODE_NORM
        self.norm = CODE_NORM

    def embed(self, weights_NV: Tensor) -> Tensor:
        """Memory tokens [N, D] from weights of all values [N, VALUES]: one-hot for each fact where it is
        certain."""
        return weights_NV @ self.vectors_VD

    @staticmethod
    def certain(facts_NF: Tensor) -> Tensor:
        """One-hot weights [N, VALUES] of facts [N, 8]."""
        return torch.cat(
            [F.one_hot(f, n) for f, n in zip(facts_NF.unbind(1), FACTS.values(), strict=True)], 1
        ).float()

    def loss(self, tokens_ND: Tensor, facts_NF: Tensor, weight_N: Tensor) -> tuple[Tensor, Tensor]:
        """How far memory tokens are from telling `facts_NF`, and whether each fact is told right: bool [N,
        8].

        Cross entropy over the values of each fact, and the squared distance to the code, which keeps its
        scale."""
        tokens_ND = tokens_ND.float()
        score_NV = tokens_ND @ self.vectors_VD.T / self.norm**2
        loss_N = (tokens_ND - self.embed(self.certain(facts_NF))).square().sum(1) / self.norm**2
        right = []
        for score, fact in zip(score_NV.split(tuple(FACTS.values()), 1), facts_NF.unbind(1), strict=True):
            loss_N = loss_N + F.cross_entropy(8 * score, fact, reduction="none")
            right.append(score.argmax(1) == fact)
        return (loss_N * weight_N).sum() / weight_N.sum(), torch.stack(right, 1)

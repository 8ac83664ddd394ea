"""Auxiliary targets: the facts that each memory token is to tell, and the codebook in which it tells them.

A memory token is a vector, and nothing says what it should hold but the answers that a decoder gives much
later. Small models find that out slowly. So the compressor is first taught to write facts that are known from
the script, and the decoder, apart from it, to read them. The codebook between the two is a sum of fixed
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

from tempo.synthetic.captions import first_seen, seen_action
from tempo.synthetic.expressions import ReferringExpression
from tempo.synthetic.script import Scene, Script, Thing
from tempo.synthetic.vocabulary import (
    ACTIONS,
    CHANGES,
    COLOURS,
    NAMES,
    NUMBERS,
    SHAPES,
    SIGN,
    SIZES,
)

# Values of each fact; 0 is "none".
#   match        first token: whether the first look asked about (1), the second (2) or both (3) are here
#   number       first token: how many things its scene shows; others: the scene of the segment, from 1
#   shape … action   of the thing asked about, where it is here, else of the first thing
#   next …       first token: the first thing of the scene that follows within the segment
_PLAIN = {
    "match": 4,
    "number": 5,
    "shape": len(SHAPES) + 1,
    "colour": len(COLOURS) + 1,
    "size": len(SIZES) + 1,
    "action": len(ACTIONS) + 1,
    "next shape": len(SHAPES) + 1,
    "next colour": len(COLOURS) + 1,
}
# What came with the wide world:
#   further      as match, of the third and the fourth look
#   sort         a plain shape (1), a picture (2), a sign (3)
#   change       what it does where it is
#   name         of a picture; what is written on a sign
#   next sort, next name   first token: of the first thing of the scene that follows within the segment
_WIDE = {
    "further": 4,
    "sort": 4,
    "change": len(CHANGES) + 1,
    "next sort": 4,
    "name": len(NAMES) + 1,
    "next name": len(NAMES) + 1,
}
TARGETS = _PLAIN | _WIDE
VALUES = sum(TARGETS.values())
# The word for each value, where the decoder says it in an answer.
_SPOKEN = {
    "number": ("1", "2", "3", "4"),
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "size": tuple(SIZES),
    "action": ACTIONS,
    "change": CHANGES,
    "name": NAMES,
}
_SORTS = ("", "shape", "picture", SIGN)
# How sharply a value is told from the others of its fact; hundreds need more to be certain than a few do.
_SHARPNESS = {"name": 24, "next name": 24}
# How much a fact counts in the compressor's loss, where others count one. Names are the most uncertain and
# would be most of what is learnt; which segments match, and what follows them, is what answers about long
# videos hang on.
_WEIGHT = {"match": 3.0, "further": 3.0, "shape": 2.0, "next shape": 2.0, "next colour": 2.0}
VECTOR_NORM = 3.0  # length of a fact's vector: a token outweighs a word, whose embedding is about 1.5 long
_NAME_NUMBERS = {name: number for number, name in enumerate(NAMES, start=1)}
_COLUMNS = {fact: column for column, fact in enumerate(TARGETS)}


def _words(facts: dict[str, int]) -> list[str]:
    return [word for fact, n in facts.items() for word in ("", *_SPOKEN.get(fact, ("",) * (n - 1)))]


def looks_of(thing: Thing, action: str) -> dict[str, int]:
    """The values of the facts about `thing` that does `action`, "" where that is not seen."""
    plain = thing.shape in SHAPES
    change = action in CHANGES
    return {
        "sort": _SORTS.index("shape" if plain else SIGN if thing.shape == SIGN else "picture"),
        "shape": 1 + SHAPES.index(thing.shape) if plain else 0,
        "colour": 1 + tuple(COLOURS).index(thing.colour) if thing.colour else 0,
        "size": 1 + tuple(SIZES).index(thing.size),
        "action": 1 + ACTIONS.index(action) if action and not change else 0,
        "change": 1 + CHANGES.index(action) if change else 0,
        "name": 0 if plain else _NAME_NUMBERS[thing.text or thing.shape],
    }


def name_told(row: np.ndarray) -> str:
    """What the thing of a memory token's facts is called, with what is written on it; "nothing" where there
    is none."""
    sort = _SORTS[row[_COLUMNS["sort"]]]
    if not sort:
        return "nothing"
    name = NAMES[row[_COLUMNS["name"]] - 1]
    if sort == "picture":
        return name
    colour = tuple(COLOURS)[row[_COLUMNS["colour"]] - 1]
    return f"{colour} {SIGN} {name}" if sort == SIGN else f"{colour} {SHAPES[row[_COLUMNS['shape']] - 1]}"


def told(row: np.ndarray) -> str:
    """What the thing of a memory token's facts is called and does, with "!" behind it if it is asked
    about."""
    doing = (("", *ACTIONS)[row[_COLUMNS["action"]]], ("", *CHANGES)[row[_COLUMNS["change"]]])
    asked = "!" if row[_COLUMNS["match"]] or row[_COLUMNS["further"]] else ""
    return " ".join(word for word in (name_told(row), *doing) if word) + asked


def _visible(script: Script, times: np.ndarray) -> list[tuple[int, float, Scene, Thing, str]]:
    """Scene number, first time, scene, thing and action of all that is seen at `times`; scenes in order, each
    from left to right."""
    found = []
    for number, scene in enumerate(script.scenes):
        seen = []
        for thing in scene.things:
            action = seen_action(scene, thing, times)
            if action is not None:
                first = first_seen(scene, thing, times)
                seen.append((scene.at(thing, first)[0], (number, first, scene, thing, action)))
        found += [item for _, item in sorted(seen, key=lambda pair: pair[0])]
    return found


def auxiliary_targets(
    script: Script, looks: Sequence[ReferringExpression], times: np.ndarray, tokens: int
) -> np.ndarray:
    """What `tokens` memory tokens of a segment with frames at `times` (seconds) tell about `looks`: int64
    [tokens, F]."""
    table = np.zeros((tokens, len(TARGETS)), np.int64)
    visible = _visible(script, times)
    if not visible:
        return table

    def put(row: np.ndarray, told: dict[str, int], prefix: str = "") -> None:
        for fact, value in told.items():
            if prefix + fact in _COLUMNS:
                row[_COLUMNS[prefix + fact]] = value

    def matched(thing: Thing) -> int:
        return sum(1 << place for place, look in enumerate(looks[:4]) if look.fits(thing))

    def bits(number: int) -> dict[str, int]:
        return {"match": number & 3, "further": number >> 2}

    matching = [item for item in visible if matched(item[3])]
    focus = min(matching, key=lambda item: item[1]) if matching else visible[0]
    put(table[0], bits(int(np.bitwise_or.reduce([0, *(matched(item[3]) for item in matching)]))))
    put(table[0], {"number": min(4, sum(item[0] == focus[0] for item in visible))})
    put(table[0], looks_of(focus[3], focus[4]))
    after = [item for item in visible if item[0] > focus[0]]
    if after:
        put(table[0], looks_of(after[0][3], ""), "next ")
    for row, (scene, _, _, thing, action) in zip(table[1:], visible, strict=False):
        put(row, bits(matched(thing)) | {"number": min(4, 1 + scene - visible[0][0])})
        put(row, looks_of(thing, action))
    return table


def _orthogonal(vectors_ND: Tensor) -> Tensor:
    """The orthonormal vectors nearest to these."""
    left, _, right = torch.linalg.svd(vectors_ND, full_matrices=False)
    return left @ right


def _outside(vectors_ND: Tensor, basis_KD: Tensor) -> Tensor:
    """What of them is orthogonal to an orthonormal basis."""
    return vectors_ND - vectors_ND @ basis_KD.T @ basis_KD


class Codebook:
    """Fixed orthogonal vectors, one for each value of each fact; a memory token is the sum of its facts'
    vectors.

    A value that has a word gets the direction of the decoder's own embedding of that word, as nearly as
    orthogonality allows (Löwdin, 1950): what has been learnt of reading words is of use for reading tokens.
    Values of the wide world lie in the space that the plain ones leave, so that a model that reads those
    goes on reading them. The hundreds of names are more than there are dimensions: they are as far apart as
    their words are.

    Args:
        embedding_WD: the decoder's embeddings of all words.
        spell: the ids of a text.
    """

    def __init__(self, embedding_WD: Tensor, spell: Callable[[str], list[int]]) -> None:
        generator = torch.Generator().manual_seed(0)
        words_WD = embedding_WD.float().cpu()
        width = words_WD.shape[1]

        def pointing(words: list[str]) -> Tensor:
            vectors = torch.randn(len(words), width, generator=generator)
            for row, word in enumerate(words):
                spelt = [ids[0] for ids in (spell(word), spell(" " + word)) if word and len(ids) == 1]
                if spelt:
                    vectors[row] = words_WD[spelt].mean(0)
            return F.normalize(vectors, dim=1)

        few = {fact: n for fact, n in _WIDE.items() if fact not in ("name", "next name")}
        plain = _orthogonal(pointing(_words(_PLAIN)))
        closed = torch.cat([plain, _orthogonal(_outside(pointing(_words(few)), plain))])
        turn = _orthogonal(torch.randn(width, width, generator=generator))

        def turned(vectors_ND: Tensor) -> Tensor:
            return F.normalize(_outside(vectors_ND @ turn, closed), dim=1)

        names = F.normalize(_outside(pointing(_words({"name": TARGETS["name"]})), closed), dim=1)
        # A number has no word of its own: its first digit as it is, its second one turned.
        digits = F.normalize(_outside(pointing(list("0123456789")), closed), dim=1)
        for number in NUMBERS:
            first, second = map(int, number)
            names[_NAME_NUMBERS[number]] = F.normalize(digits[first] + turned(digits)[second], dim=0)
        # What follows is told as what is here is, turned.
        vectors = torch.cat([closed, names, turned(turned(names))])
        self.vectors_VD = (vectors * VECTOR_NORM).to(embedding_WD.device)
        self.norm = VECTOR_NORM

    def embed(self, weights_NV: Tensor) -> Tensor:
        """Memory tokens [N, D] from weights of all values [N, VALUES]: one-hot for each fact where it is
        certain."""
        return weights_NV @ self.vectors_VD

    @staticmethod
    def certain(targets_NF: Tensor) -> Tensor:
        """One-hot weights [N, VALUES] of facts [N, F]."""
        return torch.cat(
            [F.one_hot(f, n) for f, n in zip(targets_NF.unbind(1), TARGETS.values(), strict=True)], 1
        ).float()

    def loss(self, tokens_ND: Tensor, targets_NF: Tensor, weight_N: Tensor) -> tuple[Tensor, Tensor]:
        """How far memory tokens are from telling `targets_NF`, and whether each fact is told right: bool [N,
        F].

        Weighted cross entropy over the values of each fact, and the squared distance to the codebook, which
        keeps its scale."""
        tokens_ND = tokens_ND.float()
        score_NV = tokens_ND @ self.vectors_VD.T / self.norm**2
        loss_N = (tokens_ND - self.embed(self.certain(targets_NF))).square().sum(1) / self.norm**2
        right = []
        for name, score, fact in zip(
            TARGETS, score_NV.split(tuple(TARGETS.values()), 1), targets_NF.unbind(1), strict=True
        ):
            uncertain_N = F.cross_entropy(_SHARPNESS.get(name, 8) * score, fact, reduction="none")
            loss_N = loss_N + _WEIGHT.get(name, 1.0) * uncertain_N
            right.append(score.argmax(1) == fact)
        return (loss_N * weight_N).sum() / weight_N.sum(), torch.stack(right, 1)

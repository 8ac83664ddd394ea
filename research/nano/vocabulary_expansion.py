"""Give a trained model the words of the wide world: tokens of their own, behind all that it has.

    python -m research.nano.vocabulary_expansion --model src/tempo/assets/nano \\
        --base src/tempo/assets/nano-base --out runs/wide

Texts of the plain world are spelt as before, so nothing that was learnt is lost. The new tokens begin as
random directions: in the codebook of the auxiliary targets (`targets`) they are what names point at.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen3VLForConditionalGeneration,
)

from tempo.modeling import TempoQwenForCausalLM
from tempo.modeling.saving import save_model
from tempo.synthetic.pictures import PICTURES
from tempo.synthetic.templates import (
    FOLLOW_UPS,
    FOLLOW_UPS_HELD_OUT,
    WIDE_HELD_OUT,
    WIDE_TEMPLATES,
)
from tempo.synthetic.vocabulary import (
    CHANGES,
    NAMES,
    SIGN,
    WORDS,
)

from .patch_labels import ASPECTS
from .targets import VALUES, Codebook
from .weights import load_trained

VERBS = ("moves", "stands", "appears", "disappears")


def wide_words() -> list[str]:
    """The words of the wide world, most of which tempo-nano's first tokenizer spells in pieces."""
    texts = " ".join(
        text.replace("{np}", "")
        for wordings in (WIDE_TEMPLATES, WIDE_HELD_OUT, FOLLOW_UPS, FOLLOW_UPS_HELD_OUT)
        for group in wordings.values()
        for text in group
    )
    asked = dict.fromkeys("".join(c if c.isalpha() else " " for c in texts).split())
    said = (*PICTURES, *WORDS, *CHANGES, *VERBS, SIGN, "says", "saying")
    return [*said, *(word for word in asked if word not in said)]


def widened(tokenizer: PreTrainedTokenizerBase, words: list[str]) -> PreTrainedTokenizerFast:
    """The byte-level BPE with a token for each of `words`, with and without the space before it.

    The merges that lead to it come last, so that only what was spelt in pieces can be spelt otherwise.
    """
    backend = tokenizer.backend_tokenizer
    state = json.loads(backend.to_str())
    vocabulary, merges = state["model"]["vocab"], state["model"]["merges"]
    # Special tokens keep their numbers: beside a longer vocabulary they would be counted on behind its end.
    vocabulary |= {token["content"]: token["id"] for token in state["added_tokens"]}
    following = len(tokenizer)
    for text in (form for word in words for form in (word, f" {word}")):
        # Again where a new merge is of use twice in the word, as in "cucumber", and leaves other pieces
        # than planned.
        while len(pieces := backend.encode(text, add_special_tokens=False).tokens) > 1:
            whole = pieces[0]
            for piece in pieces[1:]:
                merges.append([whole, piece])
                whole += piece
                if whole not in vocabulary:
                    vocabulary[whole], following = following, following + 1
            backend = type(backend).from_str(json.dumps(state))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token,
        clean_up_tokenization_spaces=False,
    )


def lengthen(embedding: nn.Embedding, used: int, rows: int, seed: int) -> None:
    """Make `embedding` `rows` long, in place; all rows from `used` on point anywhere, as long as the others
    are."""
    old = embedding.weight.detach()
    new = torch.randn(rows - used, old.shape[1], generator=torch.Generator().manual_seed(seed)).to(old)
    new *= old[:used].norm(dim=1).median() / new.norm(dim=1, keepdim=True)
    embedding.weight = nn.Parameter(torch.cat([old[:used], new]))
    embedding.num_embeddings = rows


def name_by_sight(
    model: TempoQwenForCausalLM, tokenizer: PreTrainedTokenizerBase, heads: str | Path, rank: int = 32
) -> None:
    """Let the words for things begin where the tower of `model` sees them, in place.

    A word of the compressor points where the head that learnt with the tower looks for the thing. A word of
    the decoder has the `rank` principal coordinates of that, in directions that no fact of the plain world
    has, so that names which look alike lie beside each other, and writing and reading a few directions is all
    that there is to learn of hundreds of names.

    Args:
        heads: `objective.safetensors` of the run in which the tower learnt (`VisionObjective`).
    """
    before = sum(n for aspect, n in ASPECTS.items() if aspect != "name")
    sight_ND = load_file(heads)["heads.0.linear.weight"][before + 1 :].float()  # without "nothing"
    left, strength, _ = torch.linalg.svd(sight_ND - sight_ND.mean(0), full_matrices=False)
    place_NR = F.normalize(left[:, :rank] * strength[:rank].sqrt(), dim=1)

    def spell(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return ids

    codebook = Codebook(model.model.embed_tokens.weight.detach(), spell)
    closed = F.normalize(codebook.vectors_VD[: VALUES - 2 * (len(NAMES) + 1)], dim=1)
    random = torch.randn(rank, closed.shape[1], generator=torch.Generator().manual_seed(2))
    free_RD = torch.linalg.qr((random - random @ closed.T @ closed).T).Q.T
    with torch.no_grad():
        for weight, directions in (
            (model.compressor.vlm.get_input_embeddings().weight, F.normalize(sight_ND, dim=1)),
            (model.model.embed_tokens.weight, place_NR @ free_RD),
        ):
            length = weight.norm(dim=1).median()
            for name, direction in zip(NAMES, directions, strict=True):
                for ids in (spell(name), spell(f" {name}")):
                    if len(ids) == 1:
                        weight[ids[0]] = direction * length


def expand(out: Path, *, model: str | Path, base: str | Path, heads: str | Path | None = None) -> None:
    """Write a model and its base with the words of the wide world, into the folders model and base of `out`.

    Args:
        model, base: folders of the two.
        heads: as in `name_by_sight`. None: the new words point anywhere.
    """
    old = AutoTokenizer.from_pretrained(model)
    tokenizer = widened(old, wide_words())
    rows = -(-len(tokenizer) // 64) * 64
    tempo_model = load_trained(model)
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    compressor: Any = tempo_model.compressor
    lengthen(tempo_model.model.embed_tokens, len(old), rows, seed=0)
    for one in (compressor.vlm, vlm):
        lengthen(one.get_input_embeddings(), len(old), rows, seed=1)
        one.config.text_config.vocab_size = rows
    vlm.lm_head.weight = vlm.get_input_embeddings().weight
    tempo_model.lm_head.weight = tempo_model.model.embed_tokens.weight
    tempo_model.config.vocab_size = rows
    assert tempo_model.config.compressor_config is not None
    tempo_model.config.compressor_config["text_config"]["vocab_size"] = rows
    if heads is not None:
        name_by_sight(tempo_model, tokenizer, heads)
    tokenizer.save_pretrained(out / "tokenizer")
    save_model(tempo_model.to(torch.bfloat16), out / "model", tokenizer=out / "tokenizer")
    vlm.to(torch.bfloat16).save_pretrained(out / "base")
    tokenizer.save_pretrained(out / "base")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, type=Path, help="folder of the model, tempo's own layout")
    parser.add_argument("--base", required=True, type=Path, help="folder of its base")
    parser.add_argument(
        "--heads",
        type=Path,
        metavar="FILE",
        help="objective.safetensors of the run in which the model's tower learnt: the words begin with it",
    )
    parser.add_argument("--out", required=True, type=Path, help="gets the folders model and base")
    args = parser.parse_args()
    expand(args.out, model=args.model, base=args.base, heads=args.heads)


if __name__ == "__main__":
    main()

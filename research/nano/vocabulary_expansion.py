"""Give a trained model the words of the wide world: tokens of their own, behind all that it has.

    python -m research.nano.vocabulary_expansion --model src/tempo/assets/nano \\
        --base src/tempo/assets/nano-base --out runs/wide

Texts of the plain world are spelt as before, so nothing that was learnt is lost. The new tokens begin as
random directions: in a code of facts (`facts`) they are what names point at.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
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

from .checkpoints import load_trained
from .config import SYSTEM_PROMPT
from .packing import Wording
from .patch_labels import ASPECTS
from .targets import VALUES, Code

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
    model: TempoQwenForCausalLM, tokenizer: PreTrainedTokenizerBase, seeing: Path, rank: int = 32
) -> None:
    """Give `model` the tower that the run in `seeing` taught to name things (`writing.see`), and let the
    words for them begin where it sees them, in place.

    A word of the compressor points where the tower's head looks for the thing. A word of the decoder has
    the `rank` principal coordinates of that, in directions that no fact of the plain world has, so that
    names which look alike lie beside each other, and writing and reading a few directions is all that there
    is to learn of hundreds of names.
    """
    state = torch.load(seeing / "checkpoint.pt", weights_only=True)["module"]
    before = sum(n for aspect, n in ASPECTS.items() if aspect != "name")
    sight_ND = state["1.linear.weight"][before + 1 :].float()  # without "nothing"
    left, strength, _ = torch.linalg.svd(sight_ND - sight_ND.mean(0), full_matrices=False)
    place_NR = F.normalize(left[:, :rank] * strength[:rank].sqrt(), dim=1)
    code = Code(model.model.embed_tokens.weight.detach(), Wording(tokenizer, SYSTEM_PROMPT).plain)
    closed = F.normalize(code.vectors_VD[: VALUES - 2 * (len(NAMES) + 1)], dim=1)
    random = torch.randn(rank, closed.shape[1], generator=torch.Generator().manual_seed(2))
    free_RD = torch.linalg.qr((random - random @ closed.T @ closed).T).Q.T
    reader: Any = model.compressor
    tower = {key.removeprefix("0."): value for key, value in state.items() if key.startswith("0.")}
    reader.vlm.visual.load_state_dict(tower)
    with torch.no_grad():
        for weight, directions in (
            (reader.vlm.get_input_embeddings().weight, F.normalize(sight_ND, dim=1)),
            (model.model.embed_tokens.weight, place_NR @ free_RD),
        ):
            length = weight.norm(dim=1).median()
            for name, direction in zip(NAMES, directions, strict=True):
                for text in (name, f" {name}"):
                    ids = tokenizer.encode(text, add_special_tokens=False)
                    if len(ids) == 1:
                        weight[ids[0]] = direction * length


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, type=Path, help="folder of the model, tempo's own layout")
    parser.add_argument("--base", required=True, type=Path, help="folder of its base")
    parser.add_argument(
        "--seeing", type=Path, help="run of the tower that comes with the words, and that they begin with"
    )
    parser.add_argument("--out", required=True, type=Path, help="gets the folders model and base")
    args = parser.parse_args()
    old = AutoTokenizer.from_pretrained(args.model)
    tokenizer = widened(old, wide_words())
    rows = -(-len(tokenizer) // 64) * 64
    model = load_trained(args.model)
    base = Qwen3VLForConditionalGeneration.from_pretrained(args.base, dtype=torch.float32)
    compressor: Any = model.compressor
    lengthen(model.model.embed_tokens, len(old), rows, seed=0)
    for vlm in (compressor.vlm, base):
        lengthen(vlm.get_input_embeddings(), len(old), rows, seed=1)
        vlm.config.text_config.vocab_size = rows
    base.lm_head.weight = base.get_input_embeddings().weight
    model.lm_head.weight = model.model.embed_tokens.weight
    model.config.vocab_size = rows
    assert model.config.compressor_config is not None
    model.config.compressor_config["text_config"]["vocab_size"] = rows
    if args.seeing is not None:
        name_by_sight(model, tokenizer, args.seeing)
    tokenizer.save_pretrained(args.out / "tokenizer")
    save_model(model.to(torch.bfloat16), args.out / "model", tokenizer=args.out / "tokenizer")
    base.to(torch.bfloat16).save_pretrained(args.out / "base")
    tokenizer.save_pretrained(args.out / "base")


if __name__ == "__main__":
    main()

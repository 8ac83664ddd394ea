"""The dimensions of tempo-nano, and its tokenizer: everything that fixes the embedded model before
training."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig

from tempo.synthetic.captions import caption
from tempo.synthetic.questions import make_question
from tempo.synthetic.script import make_script
from tempo.synthetic.templates import HELD_OUT, KINDS

SYSTEM_PROMPT = "Is this segment relevant to the Query? Store what answers it."
DESCRIBE_PROMPT = "Describe the segment."

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

VOCABULARY = 1280

# The pre-tokenisation of the Qwen family: letters with their leading space, single digits, runs of
# punctuation.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Width and height of the frames that the model sees, by aspect ratio: what the geometry in its configuration
# gives.
FRAME_SIZES: dict[float, tuple[int, int]] = {16 / 9: (96, 48), 4 / 3: (80, 64), 9 / 16: (48, 96)}
GEOMETRY = {"resize": "direct", "min_pixels": 48 * 48, "max_pixels": 5632}
LANGUAGE_MODEL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 256,
    "intermediate_size": 576,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 8192,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 100000.0,
        "mrope_section": [12, 10, 10],
        "mrope_interleaved": True,
    },
    "tie_word_embeddings": True,
}
MEMORY_TOKENS = 16
RELEVANCE_FLOOR = 0.5  # what measure_floor chose
_TIMES = np.arange(8) / 2


def _corpus(samples: int) -> Iterator[str]:
    rng = random.Random(0)
    yield from [text for kind in KINDS for text in HELD_OUT[kind]] * 3
    yield from [
        SYSTEM_PROMPT,
        DESCRIBE_PROMPT,
        "You are a helpful assistant.",
        "Yes",
        "No",
        "\nQuery:\n",
    ] * 50
    yield from ["system\n", "user\n", "assistant\n", "\n"] * 50
    for _ in range(samples):
        script = make_script(rng, duration=rng.choice((12, 60, 600)))
        start = rng.uniform(0, script.duration - 4)
        yield caption(script, start + _TIMES)
        yield f"<{start:.1f} seconds>"
        for kind in KINDS:
            question = make_question(rng, script, kind=kind, choice=rng.random() < 0.5)
            if question:
                yield question.text
                yield question.answer


def build_tokenizer(samples: int = 1500) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the world's language. Any other text is still spelt out, in bytes if need
    be."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(samples), trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )


def base_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    """The small vision-language model that becomes tempo-nano's compressor: the published architecture, 7 M
    parameters."""
    ids = tokenizer.convert_tokens_to_ids
    return Qwen3VLConfig(
        text_config=LANGUAGE_MODEL,
        vision_config={
            "depth": 4,
            "hidden_size": 192,
            "intermediate_size": 512,
            "num_heads": 4,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 256,
            "num_position_embeddings": 144,
            "deepstack_visual_indexes": [1],
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )

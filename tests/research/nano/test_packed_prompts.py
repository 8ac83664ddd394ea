"""What packed rows are made of, against the tokenizer's own ids of the same text in one string."""

import random
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from research.nano.config import SYSTEM_PROMPT, build_tokenizer
from research.nano.packing import PackedPrompts
from tempo.processing.prompts import Prompts, TextEncoder, Wording
from tempo.synthetic.follow_ups import random_follow_ups
from tempo.synthetic.questions import make_question
from tempo.synthetic.script import make_script
from tempo.synthetic.templates import KINDS

SEGMENT = "<{:.1f} seconds><|vision_start|>" + "<|video_pad|>" * 18 + "<|vision_end|>"
OPEN = "<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return build_tokenizer(60)


@pytest.fixture(scope="module")
def packed(tokenizer: PreTrainedTokenizerBase) -> PackedPrompts:
    encoder = TextEncoder(tokenizer.backend_tokenizer, Path("tokenizer.json"))
    wording = Wording(compressor_system=SYSTEM_PROMPT)
    return PackedPrompts(Prompts(wording, compressor=encoder, decoder=encoder))


@pytest.mark.parametrize("start", [0.0, 7.9, 3599.9])
def test_segments(packed: PackedPrompts, tokenizer: PreTrainedTokenizerBase, start: float) -> None:
    times = start + np.arange(8) / 2
    row = packed.segment(times, 18)
    text = f"<|im_start|>system\n{SYSTEM_PROMPT}<|im_end|>\n<|im_start|>user\n"
    ids = tokenizer.encode(text, add_special_tokens=False)
    for pair in range(4):
        ids += tokenizer.encode(SEGMENT.format(start + pair + 0.25), add_special_tokens=False)
    assert row.prefix == ids
    assert [i for span in row.spans for i in range(*span)] == [
        place for place, token in enumerate(ids) if token == packed.video_id
    ]


def test_questions(packed: PackedPrompts, tokenizer: PreTrainedTokenizerBase) -> None:
    rng = random.Random(0)
    for number in range(80):
        kind, held_out = KINDS[number % len(KINDS)], number % 3 == 0
        script = make_script(rng, duration=60)
        question = make_question(rng, script, kind=kind, held_out=held_out, choice=number % 2 == 0)
        if question is None:
            continue
        routed = packed.routing(question.text, True)
        assert routed.ids == tokenizer.encode(f"\nQuery:\n{question.text}{OPEN}", add_special_tokens=False)
        answered = packed.answering(question.text, "red")
        head = tokenizer.encode(f"\n{question.text}{OPEN}", add_special_tokens=False)
        assert answered.ids == [*head, *tokenizer.encode("red", add_special_tokens=False)]


def test_questions_behind_others(packed: PackedPrompts, tokenizer: PreTrainedTokenizerBase) -> None:
    rng = random.Random(0)
    behind = 0
    for number in range(20):
        for question in random_follow_ups(rng, make_script(rng, duration=60), held_out=number % 2 == 0):
            asked = [*(text for text, _ in question.earlier), question.text]
            lines = "\n".join(f"Context turn {n}: {text}" for n, text in enumerate(asked, start=1))
            routed = packed.routing(question.text, True, question.earlier)
            assert routed.ids == tokenizer.encode(f"\nQuery:\n{lines}{OPEN}", add_special_tokens=False)
            text = f"\n{asked[0]}"
            for (_, said), following in zip(question.earlier, asked[1:], strict=True):
                text += f"{OPEN}{said}<|im_end|>\n<|im_start|>user\n{following}"
            answered = packed.answering(question.text, "red", question.earlier)
            head = tokenizer.encode(text + OPEN, add_special_tokens=False)
            assert answered.ids == [*head, *tokenizer.encode("red", add_special_tokens=False)]
            behind += 1
    assert behind > 5

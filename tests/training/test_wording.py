"""What is trained is what is asked later: the training's token sequences against those of the engine."""

import random
from pathlib import Path

import pytest

from research.nano.config import SYSTEM_PROMPT, build_tokenizer
from research.nano.packing import Wording
from tempo.processing.prompts import Prompts, TextEncoder
from tempo.processing.prompts import Wording as EngineWording
from tempo.synthetic.follow_ups import random_follow_ups
from tempo.synthetic.questions import make_question
from tempo.synthetic.script import make_script
from tempo.synthetic.templates import KINDS


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Wording, Prompts]:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    tokenizer = build_tokenizer(60)
    tokenizer.save_pretrained(folder)
    encoder = TextEncoder.from_folder(folder)
    engine = Prompts(EngineWording(compressor_system=SYSTEM_PROMPT), compressor=encoder, decoder=encoder)
    return Wording(tokenizer, SYSTEM_PROMPT), engine


def test_segments_read_alike(pair: tuple[Wording, Prompts]) -> None:
    training, engine = pair
    for times in ([0.25, 1.25, 2.25, 3.25], [8.2, 9.4, 10.6, 11.8], [3599.9, 3601.0]):
        assert training.prefix(times, 18) == engine.segment(times, tokens=18).ids


def test_questions_read_alike(pair: tuple[Wording, Prompts]) -> None:
    training, engine = pair
    rng = random.Random(0)
    for number in range(160):
        kind, held_out = KINDS[number % len(KINDS)], number % 3 == 0
        question = make_question(
            rng, make_script(rng, duration=60), kind=kind, held_out=held_out, choice=number % 2 == 0
        )
        if question is None:
            continue
        assert training.routed(question.text) == engine.question(question.text)
        before, after = engine.decoder_prompt(question.text)
        assert training.decoder_open == before
        branch = training.asking(question.text, "red")
        assert branch.ids == [*after, *training.plain("red")]
    for number in range(20):
        for question in random_follow_ups(rng, make_script(rng, duration=60), held_out=number % 2 == 0):
            assert training.routed(question.text, question.earlier) == engine.question(
                question.text, earlier=[asked for asked, _ in question.earlier]
            )
            _, after = engine.decoder_prompt(question.text, earlier=question.earlier)
            branch = training.asking(question.text, "red", question.earlier)
            assert branch.ids == [*after, *training.plain("red")]
    assert training.plain("<14.0 seconds>") == engine.timestamp(14.0)

"""A model that was given new words: the same answers as before, and the words spelt whole."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from nano_context import nano_prompts
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import AutoTokenizer, PreTrainedTokenizerBase

import tempo
from research.nano import vocabulary_expansion
from research.nano.objectives.vision import VisionObjective
from research.nano.weights import load_trained
from tempo.inference.engine import EMBEDDED
from tempo.synthetic.pictures import PICTURES
from tempo.synthetic.render import render
from tempo.synthetic.script import make_script
from tempo.synthetic.video_files import make_questions
from tempo.synthetic.vocabulary import NAMES
from tempo.video.video import Video

Spelling = PreTrainedTokenizerBase
WORDS = ["xylophonist", "quetzal", "gnomon", "kukukumu"]


@pytest.fixture(scope="module")
def before() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(EMBEDDED)


@pytest.fixture(scope="module")
def after(before: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    return vocabulary_expansion.widened(before, WORDS)


def test_new_words_are_one_token_each(before: Spelling, after: Spelling) -> None:
    for word in WORDS:
        for text in (word, f" {word}"):
            assert len(before.encode(text)) > 1
            (number,) = after.encode(text)
            assert number >= len(before)
            assert after.decode([number]) == text
    assert (
        after.decode(after.encode("Is there a quetzal, or 42 gnomons?"))
        == "Is there a quetzal, or 42 gnomons?"
    )


def test_old_texts_are_spelt_as_before(before: Spelling, after: Spelling) -> None:
    rng = random.Random(0)
    for _ in range(20):
        for question in make_questions(rng, make_script(rng, duration=60), count=8, held_out=True):
            for text in (question.text, question.answer):
                assert after.encode(text) == before.encode(text)
    for special in before.all_special_tokens:
        assert after.convert_tokens_to_ids(special) == before.convert_tokens_to_ids(special)


def test_a_widened_model_answers_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary_expansion, "wide_words", lambda: WORDS)
    base = EMBEDDED.with_name("nano-base")
    command = ["widening", "--model", str(EMBEDDED), "--base", str(base), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", command)
    vocabulary_expansion.main()
    script = make_script(random.Random(5), duration=12)
    frames = render(script, np.arange(24) / 2, (96, 48))
    asked = make_questions(random.Random(6), script, count=4, held_out=True)
    said = []
    for folder in (EMBEDDED, tmp_path / "model"):
        session = tempo.load(folder, device="cpu", dtype="float32").watch(Video.from_frames(frames, fps=2.0))
        said.append([session.ask(question.text).text for question in asked])
    assert said[0] == said[1]
    assert all(said[0])


def test_names_begin_where_the_tower_sees_them(tmp_path: Path) -> None:
    old = AutoTokenizer.from_pretrained(EMBEDDED)
    tokenizer = vocabulary_expansion.widened(old, vocabulary_expansion.wide_words())
    fresh = load_trained(EMBEDDED)
    torch.manual_seed(1)
    objective = VisionObjective(fresh, nano_prompts())
    own = {name: tensor.contiguous() for name, tensor in objective.own_state().items()}
    save_file(own, tmp_path / "objective.safetensors")
    for embedding in (fresh.model.embed_tokens, fresh.compressor.vlm.get_input_embeddings()):
        vocabulary_expansion.lengthen(embedding, len(old), len(tokenizer), seed=0)
    vocabulary_expansion.name_by_sight(fresh, tokenizer, tmp_path / "objective.safetensors")
    head = objective.heads[0].linear.weight.detach()
    for name in ("apple", "zebra", "exit"):
        looked_for = head[NAMES.index(name) - len(NAMES)]
        for text in (name, f" {name}"):
            (number,) = tokenizer.encode(text)
            word = fresh.compressor.vlm.get_input_embeddings().weight[number]
            assert torch.cosine_similarity(word, looked_for, dim=0) > 0.999
    # A picture's word is the same to the decoder with and without its space, and no two pictures share one.
    rows = F.normalize(fresh.model.embed_tokens.weight, dim=1)
    plain, spaced = (rows[[tokenizer.encode(space + name)[0] for name in PICTURES]] for space in ("", " "))
    assert torch.allclose(plain, spaced)
    assert (plain @ plain.T - torch.eye(len(PICTURES))).max() < 0.95

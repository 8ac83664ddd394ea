"""What is computed for many questions at once is what each gets alone."""

import random
from dataclasses import replace

import pytest
import torch

from tempo.inference import generation
from tempo.inference.generation import DecodeBatch, DecodeOptions, generate
from tempo.inference.question_batch import compress_together
from tempo.synthetic.video_files import FileSpec, make_file

QUESTIONS = (
    "What is there?",
    "Which way does the red circle move, and what colour is the thing that comes after it?",
    "How many?",
)


@pytest.fixture(scope="module")
def sessions(nano, tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    found = []
    for number, seconds in enumerate((10, 26)):
        make_file(
            folder / f"{number}.mp4",
            FileSpec(seconds=seconds, height=120, fps=5),
            seed=f"t/{number}",
            questions=1,
        )
        found.append(nano.watch(folder / f"{number}.mp4"))
    return found


@pytest.mark.parametrize("keep", ["head", "tail", "random"])
def test_questions_of_different_lengths_and_videos_compress_as_each_alone(nano, sessions, keep):
    posed = [s.pose((), q, budget=40, keep=keep) for s in sessions for q in QUESTIONS]
    together = compress_together(nano, [one.cached() for one in posed])
    for one, segments in zip(posed, together, strict=True):
        one.compress()
        assert [s.span for s in segments] == [s.span for s in one.compressed]
        assert [len(s.memory_kD) for s in segments] == [len(s.memory_kD) for s in one.compressed]
        for found, expected in zip(segments, one.compressed, strict=True):
            assert found.relevance == pytest.approx(expected.relevance, abs=1e-5)
            torch.testing.assert_close(found.memory_kD, expected.memory_kD, atol=2e-4, rtol=1e-3)


def test_answers_join_and_leave_at_any_step_and_none_changes(tiny):
    """Twelve answers of different storylines and lengths, begun and given up at random steps."""
    dice, draws = random.Random(5), torch.Generator().manual_seed(5)
    prompts = [torch.randn(dice.randrange(3, 60), 128, generator=draws) for _ in range(12)]
    lengths = [dice.randrange(1, 25) for _ in prompts]
    alone = [
        list(generate(tiny.model, prompt, DecodeOptions(max_new_tokens=length, stop_ids=tiny.stop_ids)))
        for prompt, length in zip(prompts, lengths, strict=True)
    ]
    batch, rows, given_up = DecodeBatch(tiny.model), [], {}
    while len(rows) < len(prompts) or batch.rows:
        if len(rows) < len(prompts) and dice.random() < 0.4:
            options = DecodeOptions(max_new_tokens=lengths[len(rows)], stop_ids=tiny.stop_ids)
            rows.append(batch.add(prompts[len(rows)], options))
        if batch.rows and dice.random() < 0.05:
            row = dice.choice(batch.rows)
            given_up[rows.index(row)] = len(row.ids)
            batch.remove(row)
        batch.step()
    for number, (row, expected) in enumerate(zip(rows, alone, strict=True)):
        assert row.ids == expected[: given_up.get(number, len(expected))]
    assert given_up


def test_storylines_that_are_read_together_are_answered_as_each_alone(tiny, monkeypatch):
    """As many in each step as there is room for, beside the answers that run."""
    monkeypatch.setattr(generation, "_ENOUGH_TOKENS", {"cpu": 100})
    draws = torch.Generator().manual_seed(7)
    prompts = [torch.randn(n, 128, generator=draws) for n in (40, 1, 30, 150, 29, 60, 2)]
    options = DecodeOptions(max_new_tokens=9, stop_ids=tiny.stop_ids)
    alone = [list(generate(tiny.model, prompt, options)) for prompt in prompts]
    batch = DecodeBatch(tiny.model)
    rows = [batch.add(prompt, options) for prompt in prompts]
    joined = []
    while batch.rows:
        began = {row for row in rows if row.ids}
        joined.append([rows.index(row) for row in batch.step() if row not in began])
    assert [row.ids for row in rows] == alone
    assert joined[:4] == [[0, 1, 2], [3], [4, 5, 6], []]


def test_a_draw_with_a_seed_is_the_same_in_any_company(tiny):
    prompts = torch.randn(4, 20, 128, generator=torch.Generator().manual_seed(1))

    def drawn(prompt, seed):
        options = {"max_new_tokens": 8, "stop_ids": (), "temperature": 2.0, "seed": seed}
        return list(generate(tiny.model, prompt, DecodeOptions(**options)))

    alone = [drawn(prompt, seed) for seed, prompt in enumerate(prompts)]
    batch = DecodeBatch(tiny.model)
    rows = [
        batch.add(prompt, DecodeOptions(max_new_tokens=8, stop_ids=(), temperature=2.0, seed=seed))
        for seed, prompt in enumerate(prompts)
    ]
    while batch.rows:
        batch.step()
    assert [row.ids for row in rows] == alone
    assert drawn(prompts[0], 99) != alone[0]


def test_what_fails_in_one_answer_leaves_the_others_alone(tiny):
    prompts = torch.randn(3, 20, 128, generator=torch.Generator().manual_seed(2))
    expected = list(generate(tiny.model, prompts[0], DecodeOptions(max_new_tokens=6, stop_ids=())))

    class Broken:
        def allowed(self):
            raise MemoryError("no room")

        def advance(self, token):
            raise AssertionError

    batch = DecodeBatch(tiny.model)
    good = batch.add(prompts[0], DecodeOptions(max_new_tokens=6, stop_ids=()))
    not_a_number = batch.add(prompts[1] * float("nan"), DecodeOptions(max_new_tokens=6, stop_ids=()))
    broken = batch.add(prompts[2], DecodeOptions(max_new_tokens=6, stop_ids=(), constraint=Broken()))
    while batch.rows:
        batch.step()
    assert good.ids == expected
    assert "finite" in str(not_a_number.error) or "NaN" in str(not_a_number.error)
    assert isinstance(broken.error, MemoryError)


def test_a_step_that_fails_for_all_is_taken_by_each_alone(tiny, monkeypatch):
    """Once for all three together, where the model has read the tokens already: nobody's answer changes."""
    prompts = torch.randn(3, 20, 128, generator=torch.Generator().manual_seed(4))
    options = DecodeOptions(max_new_tokens=8, stop_ids=())
    expected = [list(generate(tiny.model, prompt, options)) for prompt in prompts]
    head, failed = tiny.model.lm_head.forward, []

    def short_of_memory(hidden):
        if len(hidden) == 3 and not failed:
            failed.append(True)
            raise MemoryError("no room for three")
        return head(hidden)

    monkeypatch.setattr(tiny.model.lm_head, "forward", short_of_memory)
    batch = DecodeBatch(tiny.model)
    rows = [batch.add(prompt, options) for prompt in prompts]
    while batch.rows:
        assert len({len(row.ids) for row in rows}) == 1, "a token of each in every step"
        batch.step()
    assert failed
    assert [row.ids for row in rows] == expected


def test_what_fails_behind_a_token_is_that_answers_own(tiny):
    prompts = torch.randn(2, 20, 128, generator=torch.Generator().manual_seed(6))
    options = DecodeOptions(max_new_tokens=6, stop_ids=())

    class Broken:
        def allowed(self):
            return torch.arange(1000)

        def advance(self, token):
            raise ValueError("cannot go on")

    batch = DecodeBatch(tiny.model)
    good = batch.add(prompts[0], options)
    broken = batch.add(prompts[1], replace(options, constraint=Broken()))
    while batch.rows:
        batch.step()
    assert good.ids == list(generate(tiny.model, prompts[0], options))
    assert isinstance(broken.error, ValueError)
    assert broken.ids == []


def test_logprobs_are_the_models(tiny, tiny_of_transformers):
    prompt = torch.randn(20, 128, generator=torch.Generator().manual_seed(3))
    batch = DecodeBatch(tiny.model)
    row = batch.add(prompt, DecodeOptions(max_new_tokens=1, stop_ids=(), top_logprobs=3))
    batch.step()
    with torch.no_grad():
        logs_Z = tiny_of_transformers(inputs_embeds=prompt[None]).logits[0, -1].log_softmax(-1)
    (found,) = row.logprobs
    assert found.chosen == pytest.approx(logs_Z.max().item(), abs=1e-4)
    assert [token for token, _ in found.top] == logs_Z.topk(3).indices.tolist()

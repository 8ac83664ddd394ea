"""What an answer costs: variants agree where they should, and FLOPs are those of a formula."""

import json
import mmap
from dataclasses import replace

import pytest
import torch
from transformers import Qwen3VLConfig

from clips import write
from tempo.benchmarking.comparison import figures, tables, targets
from tempo.benchmarking.flops import count_flops, count_segment_flops
from tempo.benchmarking.measure import BenchmarkPlan, measure
from tempo.benchmarking.peak_memory import PeakMemory
from tempo.benchmarking.published_size import DIMENSIONS, GRID, blank_segments
from tempo.benchmarking.variants import (
    ask,
    decode_every_frame,
    decoding_speed,
    no_compression,
    one_pass,
)
from tempo.errors import TempoError
from tempo.modeling.tempo_qwen import build_compressor
from tempo.reporting.html_page import to_page
from tempo.reporting.report_files import to_json
from tempo.reporting.tables import to_markdown
from tempo.video.video import Video

CPU = torch.device("cpu")
QUESTION = "What colour is it?"
# Of `tempo bench --json`, for one video and for one answer.
KEYS = {
    "video", "decoding", "cold", "warm",
    "repeated", "watching", "kept", "follow_ups", "operations", "prefill", "pace",
    "ways", "not_measured", "by_budget",
}  # fmt: skip
COST_KEYS = {
    "way", "seconds", "first_token", "peak_bytes", "gpu_peak_bytes", "visual_tokens", "prompt_tokens", "text",
}  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("bench") / "clip.mp4", count=100, rate=10))


@pytest.fixture
def session(engine, path):
    return engine.watch(path, cache="device")


def test_one_pass_gives_the_answer_that_tempo_gives(engine, path, session):
    ours, answer = ask("follow-up", session, QUESTION, budget=64, max_new_tokens=8)
    video = Video.open(path)
    theirs = one_pass(engine, video, video.sample(min_frames=4), QUESTION, budget=64, max_new_tokens=8)
    assert theirs.text == answer.text
    assert (theirs.visual_tokens, theirs.prompt_tokens) == (ours.visual_tokens, ours.prompt_tokens)
    assert theirs.seconds["watch"] > 0
    assert "route" not in ours.seconds or ours.seconds["watch"] == 0  # the video was kept


def test_phases_are_within_the_whole(session):
    cost, _ = ask("follow-up", session, QUESTION, max_new_tokens=8)
    parts = sum(seconds for name, seconds in cost.seconds.items() if name != "total")
    assert 0 < parts <= cost.total
    assert 0 < cost.time_to_first_token <= cost.total


def test_flops_are_those_of_the_formula(engine, path, session):
    _, answer = ask("follow-up", session, QUESTION, max_new_tokens=1)
    kept = [segment.tokens for segment in answer.segments]
    counted = count_flops(engine, session.video, session.sampling, QUESTION, kept, answer.usage.prompt_tokens)
    # The decoder: every weight matrix for each token, attention in each layer, the head for the last token.
    # The top layer is there for the last token; of the others it makes keys and values.
    config = engine.model.config
    length, head = answer.usage.prompt_tokens, config.head_dim
    *layers, top = engine.model.model.layers
    matrices = sum(
        module.weight.numel()
        for layer in layers
        for module in layer.modules()
        if isinstance(module, torch.nn.Linear)
    )
    matrices += top.self_attn.k_proj.weight.numel() + top.self_attn.v_proj.weight.numel()
    attention = 2 * 2 * config.num_attention_heads * head * length * length * len(layers)
    output = 2 * config.hidden_size * config.vocab_size
    assert counted.prefill == pytest.approx(2 * matrices * length + attention + output, rel=0.02)
    # The same tokens are read, whether at once or one part after the other; one pass writes all of them.
    assert counted.watch < counted.one_pass
    assert counted.follow_up < counted.one_pass / 2
    assert counted.vision > 0
    more = count_flops(engine, session.video, session.sampling, QUESTION, [k + 1 for k in kept], length)
    assert more.compress > counted.compress
    assert (more.score, more.watch) == (counted.score, counted.watch)


@pytest.mark.slow
def test_a_follow_up_at_the_published_size_takes_a_twenty_fifth():
    with torch.device("meta"):
        compressor = build_compressor(Qwen3VLConfig(**DIMENSIONS), memory_tokens=128).requires_grad_(False)
    one = blank_segments(torch.device("meta"))
    # Eight frames at 512×288: 2304 patches, 576 visual tokens; 90 tokens of prompt, 30 of the question.
    assert (one.pixels_SPC.shape[1], one.ids_SL.shape[1]) == (2304, 90 + 576)
    counted = count_segment_flops(
        compressor, one.pixels_SPC, GRID, one.ids_SL, one.spans, [0] * 30, [22, 128]
    )
    tera = 1e12
    assert counted.vision / tera == pytest.approx(1.9, rel=0.15)
    # Of the 28 layers the top one does next to nothing for what a question will stand behind.
    assert counted.language / tera == pytest.approx(2.3 * 27 / 28, rel=0.15)
    assert (counted.score + counted.compress[128]) / tera == pytest.approx(0.5, rel=0.2)
    follow_up = counted.score + counted.compress[22]
    assert follow_up / counted.one_pass < 1 / 25
    # The parts are the whole: nothing is computed twice, or left out that somebody reads.
    parts = counted.vision + counted.language + counted.score + counted.compress[128]
    assert parts == pytest.approx(counted.one_pass, rel=0.05)


def test_no_compression_has_to_fit(engine, path):
    video = Video.open(path)
    cost = no_compression(engine, video, video.sample(max_frames=8), QUESTION, max_new_tokens=2)
    assert cost.visual_tokens > 0
    assert cost.prompt_tokens > cost.visual_tokens
    engine.config.tokenizer_model_max_length, before = 16, engine.config.tokenizer_model_max_length
    try:
        with pytest.raises(TempoError, match="do not fit"):
            no_compression(engine, video, video.sample(max_frames=8), QUESTION, max_new_tokens=2)
    finally:
        engine.config.tokenizer_model_max_length = before


def test_decoding_speeds(engine, path):
    assert decode_every_frame(Video.open(path), engine).seconds["decode"] > 0
    first, rate = decoding_speed(engine, 32, tokens=4)
    assert first > 0
    assert rate > 0


def test_peak_sees_what_was_freed_again():
    amount = 80 << 20
    with PeakMemory(CPU) as peak:
        block = mmap.mmap(-1, amount)
        block.write(b"x" * amount)
        block.close()
    assert 0.9 * amount < peak.bytes < 2.5 * amount
    with PeakMemory(CPU) as quiet:
        pass
    assert quiet.bytes < amount / 4


@pytest.mark.slow
def test_a_whole_measurement_and_its_report(engine, path):
    plan = BenchmarkPlan(questions=3, repeats=2, budgets=(64, 4), budget=64, max_new_tokens=2, cache="host")
    told = []
    one = measure(engine, path, plan, say=told.append)
    assert told[0] == "measuring the first answer"
    assert {cost.variant for cost in one.baselines} == {"uniform", "one pass", "no compression"}
    assert one.cold.text == one.warm.text == one.follow_ups[0].text
    assert len(one.follow_ups) == 3
    assert len(one.repeated) == 2
    assert one.warm.total == max(cost.total for cost in one.repeated)  # of two, the median is the slower one
    assert one.watching.seconds["watch"] > 0
    assert one.follow_ups[1].seconds["watch"] == 0
    what = {target.what: target for target in targets(one)}
    ratio = what["the first answer, of decoding every frame"]
    assert ratio.measured == pytest.approx(one.warm.total / one.decoding.total)
    assert ratio.met == (ratio.measured <= 1.2)
    long = replace(one, video=one.video | {"duration": 600.0})
    text = to_markdown("Performance", tables([one, long]))
    verdicts = [line.split("|")[-2].strip() for line in text.splitlines() if "of the first answer |" in line]
    assert verdicts[0] == "–"
    assert verdicts[1] in ("met", "missed")
    for row in ("| first, cold |", "| follow-up |", "| one pass |", "| uniform |", "| no compression |"):
        assert row in text
    assert "<svg" in to_page("Performance", figures([one]), tables([one]))
    values = json.loads(to_json(one.to_json()))
    assert values["video"]["segments"] == one.video["segments"]
    assert set(values) == KEYS
    assert set(values["warm"]) == COST_KEYS
    assert set(values["operations"]) == {"vision", "language", "route", "distil", "prefill", "one_pass"}
    assert [cost["way"] for cost in values["ways"]] == ["uniform", "one pass", "no compression"]


def test_what_cannot_be_measured_is_said(engine, path):
    # Ten seconds are three segments: a budget of two is less than one token for each.
    one = measure(
        engine, path, BenchmarkPlan(questions=1, repeats=1, budgets=(2,), baselines=False, max_new_tokens=1)
    )
    assert "less than one token" in one.not_measured["budget 2"]
    assert "not measured" in to_markdown("x", tables([one]))


def test_questions_differ():
    plan = BenchmarkPlan()
    assert len({plan.question(number) for number in range(32)}) == 32

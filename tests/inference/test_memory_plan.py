import psutil
import torch
from transformers import Qwen3VLConfig

from tempo.devices import available_bytes, peak_bytes
from tempo.inference.memory_plan import cache_bytes, segments_per_batch

CPU = torch.device("cpu")
QWEN3_VL_2B = Qwen3VLConfig(
    text_config={
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_key_value_heads": 8,
        "num_attention_heads": 16,
        "head_dim": 128,
    },
    vision_config={"hidden_size": 1024, "intermediate_size": 4096, "depth": 24},
)


def together(**changes):
    sizes = {"patches": 2304, "tokens": 830, "frame_bytes": 8 * 512 * 288 * 3} | changes
    return segments_per_batch(QWEN3_VL_2B, **sizes, device=CPU, dtype=torch.bfloat16)


def test_the_kept_cache_of_the_published_compressor():
    """112 KiB a token, 75 MB a segment of 670: the design's figures."""
    assert cache_bytes(QWEN3_VL_2B, 1, torch.bfloat16) == 112 * 1024
    assert 7.4e7 < cache_bytes(QWEN3_VL_2B, 666, torch.bfloat16) < 7.8e7


def test_there_is_always_room_for_one_and_never_for_more_than_helps():
    assert together(patches=10**7, tokens=10**6) == 1
    assert together() <= 8
    assert together(patches=16, tokens=10) > together(patches=2304, tokens=830)


def test_less_memory_makes_smaller_batches(monkeypatch):
    plenty = together()
    monkeypatch.setattr("tempo.inference.memory_plan.available_bytes", lambda device: 2 * 10**9)
    some = together()
    monkeypatch.setattr("tempo.inference.memory_plan.available_bytes", lambda device: 10**7)
    assert plenty >= some >= together() == 1


def test_large_frames_make_smaller_batches(monkeypatch):
    monkeypatch.setattr("tempo.inference.memory_plan.available_bytes", lambda device: 4 * 10**9)
    small = together(patches=64, tokens=100)
    assert together(patches=64, tokens=100, frame_bytes=8 * 3840 * 2160 * 3) < small


def test_the_figures_are_of_this_machine():
    assert 10**8 < available_bytes(CPU) < 10**13
    before = peak_bytes(CPU)
    # As much as earlier tests took at once and have given back, and 200 MB.
    block = torch.ones((before - psutil.Process().memory_info().rss + 2 * 10**8) // 4)
    assert before + 10**8 < peak_bytes(CPU) < before + 10**9
    del block

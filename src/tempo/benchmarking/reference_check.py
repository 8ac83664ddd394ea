"""Holds the compressor and the decoder on a device to the recorded reference vectors.

It needs neither a video decoder nor a file of frames decoded anew: frames, prompts and results are recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from tempo.checkpoints.checkpoint import find_files
from tempo.checkpoints.plain_loading import load_plain
from tempo.inference.allocation import allocate
from tempo.inference.generation import DecodeOptions, generate
from tempo.networks.tempo_network import PlainTempo
from tempo.processing.image_processor import patches
from tempo.processing.prompts import Prompts


@dataclass(frozen=True)
class CaseCheck:
    """How far a recorded case is met.

    Attributes:
        relevance: the largest difference of any segment's.
        memory: that of any value of the memory tokens, as a share of their standard deviation.
        allocation: whether each segment keeps as many tokens.
        answer: how many tokens of the greedy answer are equal, from the first, and how many there are.
    """

    name: str
    relevance: float
    memory: float
    allocation: bool
    answer: tuple[int, int]

    def holds(self, dtype: torch.dtype) -> bool:
        """Whether that is what the dtype's rounding explains."""
        if dtype == torch.float32:
            exact = self.allocation and self.answer[0] == self.answer[1]
            return exact and self.relevance < 1e-4 and self.memory < 1e-2
        return self.relevance < 5e-2

    def __str__(self) -> str:
        allocation = "equal" if self.allocation else "differs"
        return (
            f"{self.name}: relevance within {self.relevance:.1g}, memory tokens within {self.memory:.1g} of "
            f"their deviation, allocation {allocation}, answer equal for {self.answer[0]} of "
            f"{self.answer[1]} tokens"
        )


def check_references(folder: Path, device: torch.device, dtype: torch.dtype) -> Iterator[CaseCheck]:
    """Compute the recorded videos of under a minute on a device.

    Args:
        folder: `cases.json` with its cases and frames, and the checkpoint `tempo-tiny`.

    Raises:
        OSError: a file is missing.
    """
    cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    loaded = load_plain(find_files(folder / "tempo-tiny"), device=device, dtype=dtype)
    assert loaded is not None, "the recorded checkpoint is of the plain kind"
    for case in cases:
        if case.get("kind", "video") == "video" and case["num_frames"] < 100:
            yield _check(*loaded, folder, case)


@torch.inference_mode()
def _check(model: PlainTempo, prompts: Prompts, folder: Path, case: dict[str, Any]) -> CaseCheck:
    recorded = load_file(folder / "cases" / f"{case['name']}.safetensors")
    frames = np.load(folder / "frames" / f"{case['frames']}.npz")["frames"]
    found = [
        _segment(model, recorded, frames[start : start + 8], index)
        for index, start in enumerate(range(0, len(frames), 8))
    ]
    relevance = [score for score, _ in found]
    memory_SMD = torch.cat([memory_1MD for _, memory_1MD in found]).float().cpu()
    differs = (memory_SMD - recorded["memory_tokens"]).abs().max() / recorded["memory_tokens"].std()
    kept = allocate(
        relevance,
        budget=case.get("budget", 8192),
        k_min=model.config.min_tokens,
        k_max=model.config.num_compression_tokens,
        by_relevance=case.get("adaptive", True),
    )
    ids = recorded["generated_ids"].tolist()
    options = DecodeOptions(max_new_tokens=len(ids), stop_ids=())
    inputs_LU = recorded["decoder_inputs_embeds"].to(model.device, model.dtype)
    written = list(generate(model, inputs_LU, options))
    equal = next((at for at, (a, b) in enumerate(zip(written, ids, strict=True)) if a != b), len(ids))
    return CaseCheck(
        case["name"],
        float((torch.tensor(relevance) - recorded["relevance"]).abs().max())
        if "relevance" in recorded
        else 0.0,
        float(differs),
        kept == recorded["allocation"].tolist() if "allocation" in recorded else True,
        (equal, len(ids)),
    )


def _segment(
    model: PlainTempo, recorded: dict[str, torch.Tensor], frames_THWC: np.ndarray, index: int
) -> tuple[float, torch.Tensor]:
    """The relevance of a segment, and its memory tokens [1, M, D]."""
    pixels_SPC, grid = patches(frames_THWC[None], model.config.make_geometry())
    length = int(recorded["compressor_attention_mask"][index].sum())
    ids_L = recorded["compressor_input_ids"][index, :length]
    visual = (ids_L == _visual_id(ids_L)).nonzero().flatten().tolist()
    spans = _spans(visual)
    end = spans[-1][1] + 1  # with the token that ends the last pair
    state = model.compressor.prefill(
        pixels_SPC.to(model.device, model.dtype),
        grid,
        ids_L[None, :end].to(model.device),
        spans,
        reserve=length - end + model.compressor.memory_tokens,
    )
    relevance_S = model.compressor.score(state, ids_L[end:].tolist())
    return float(relevance_S), model.compressor.compress(state, model.compressor.memory_tokens)


def _visual_id(ids_L: torch.Tensor) -> int:
    """The id of the visual tokens, which most of a segment's are."""
    return int(ids_L.mode().values)


def _spans(places: list[int]) -> tuple[tuple[int, int], ...]:
    """Runs of consecutive places as (first, behind the last)."""
    spans: list[tuple[int, int]] = []
    for place in places:
        if spans and spans[-1][1] == place:
            spans[-1] = (spans[-1][0], place + 1)
        else:
            spans.append((place, place + 1))
    return tuple(spans)

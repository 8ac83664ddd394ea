"""The whole plain way against the recorded runs: one pass of everything."""

import pytest
import torch

from tempo.inference.allocation import adaptive
from tempo.inference.generation import DecodeOptions, generate
from tempo.processing.image_processor import patches


@pytest.fixture(scope="module")
def compressed(tiny, tiny_of_transformers):
    """Compress a case's segments → their relevance, memory tokens and timestamps.

    Runs that differ in their budget alone share them.
    """
    found = {}

    def compress(case, classes):
        key = (case.values["frames"], case.kind, case.fps, case.query, classes)
        if key not in found:
            model = tiny.model if classes == "plain" else tiny_of_transformers
            found[key] = _compress(model.compressor, case, tiny.prompts, tiny.geometry)
        return found[key]

    return compress


def _compress(compressor, case, prompts, geometry):
    question = torch.tensor([[prompts.question(case.query)]])
    relevance, memory, stamps = [], [], []
    for index, frames in enumerate(case.segments()):
        pixels_SPC, grid = patches(frames[None], geometry, kind=case.kind)
        times = [(8 * index + 2 * pair + 0.5) / case.fps for pair in range(grid[0])]
        prompt = prompts.segment(times, tokens=grid[1] * grid[2] // 4, kind=case.kind)
        relevance_SN, memory_SNMD = compressor(
            pixels_SPC, grid, torch.tensor([prompt.ids]), prompt.spans, question
        )
        relevance.append(relevance_SN[:, 0])
        memory.append(memory_SNMD[:, 0])
        stamps.append(prompts.timestamp((8 * index + 4) / case.fps) if case.kind == "video" else [])
    return relevance, memory, stamps


@torch.inference_mode()
@pytest.mark.parametrize("classes", ["plain", "transformers"])
def test_reference_memory_storyline_and_answer(case, classes, compressed, tiny, tiny_of_transformers):
    model = tiny.model if classes == "plain" else tiny_of_transformers
    prompts, t = tiny.prompts, case.tensors
    relevance, memory, stamps = compressed(case, classes)
    torch.testing.assert_close(torch.cat(memory), t["memory_tokens"], atol=1e-4, rtol=0)
    if "relevance" in t:
        torch.testing.assert_close(torch.cat(relevance), t["relevance"], atol=1e-5, rtol=0)
    counts = [32] * len(stamps)
    if "allocation" in t:
        counts = adaptive(torch.cat(relevance).tolist(), budget=case.budget, k_min=4, k_max=32)
        assert counts == t["allocation"].tolist()
    before, after = prompts.decoder_prompt(case.query)
    moments = [(stamp, tokens[0, :k]) for stamp, tokens, k in zip(stamps, memory, counts, strict=True)]
    inputs_embeds_LU = model.decoder_inputs(before, moments, after)
    torch.testing.assert_close(inputs_embeds_LU, t["decoder_inputs_embeds"], atol=1e-5, rtol=0)
    if classes == "plain":
        ids = list(
            generate(model, inputs_embeds_LU, DecodeOptions(max_new_tokens=24, stop_ids=tiny.stop_ids))
        )
    else:
        ids = model.generate(inputs_embeds=inputs_embeds_LU[None], max_new_tokens=24, do_sample=False)[
            0
        ].tolist()
    assert ids == t["generated_ids"].tolist()

"""Variants of answering a question about a video, each with its time and its peak memory.

*First* and *follow-up* are tempo's own. The others are baselines, measured in the same process and with the
same weights:

* *one pass*: everything is computed anew, with every memory token, all segments in one batch. That is how the
  published code (the repository of arXiv 2604.08120) works.
* *uniform*: every segment keeps the same number of memory tokens.
* *no compression*: every visual token goes to the decoder. Only its cost is of interest: these decoders were
  never trained to read such tokens, and read zeros here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from tempo.errors import TempoError
from tempo.inference.generation import DecodeOptions, generate
from tempo.inference.phase_timer import PhaseTimer
from tempo.inference.results import Answer
from tempo.inference.session import Session
from tempo.networks.qwen3_vl import vision_features
from tempo.processing.batching import SegmentBatch, batches
from tempo.video.sampling import Sampling
from tempo.video.video import Video

from .peak_memory import PeakMemory

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

ONE_BATCH = 1 << 30  # segments: more than any video has


@dataclass
class Cost:
    """What one answer cost.

    Attributes:
        variant: how the question was answered.
        seconds: by phase (decode, watch, route, distil, answer), and their `total`.
        time_to_first_token: seconds; the whole of an answer without tokens.
        peak_bytes, gpu_peak_bytes: memory beyond what was in use before.
        visual_tokens, prompt_tokens: what the decoder read.
    """

    variant: str
    seconds: dict[str, float] = field(default_factory=dict)
    time_to_first_token: float = 0.0
    peak_bytes: int = 0
    gpu_peak_bytes: int = 0
    visual_tokens: int = 0
    prompt_tokens: int = 0
    text: str = ""

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.seconds["total"]

    def to_json(self) -> dict[str, Any]:
        """As `tempo bench --json` has it."""
        return {
            "way": self.variant,
            "seconds": self.seconds,
            "first_token": self.time_to_first_token,
            "peak_bytes": self.peak_bytes,
            "gpu_peak_bytes": self.gpu_peak_bytes,
            "visual_tokens": self.visual_tokens,
            "prompt_tokens": self.prompt_tokens,
            "text": self.text,
        }


@contextmanager
def measure_cost(variant: str, device: torch.device) -> Iterator[Cost]:
    """Measure the peak memory and the time of a block; the block may set better values itself."""
    cost = Cost(variant)
    with PeakMemory(device) as peak:
        begun = time.perf_counter()
        yield cost
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        cost.seconds.setdefault("total", time.perf_counter() - begun)
    cost.peak_bytes, cost.gpu_peak_bytes = peak.bytes, peak.gpu_bytes


def ask(variant: str, session: Session, question: str, **options: Any) -> tuple[Cost, Answer]:
    """Ask a session a question and measure its cost; if the video is cached, that of a follow-up."""
    with measure_cost(variant, session.engine.device) as cost:
        begun = time.perf_counter()
        stream = session.stream(question, **options)
        for _ in stream:
            cost.time_to_first_token = cost.time_to_first_token or time.perf_counter() - begun
        answer = stream.answer
    cost.seconds = {**answer.usage.timings, "total": cost.total}
    cost.time_to_first_token = cost.time_to_first_token or cost.total
    cost.visual_tokens = answer.usage.visual_tokens
    cost.prompt_tokens = answer.usage.prompt_tokens
    cost.text = answer.text
    return cost, answer


def one_pass(
    engine: Tempo, video: Video, sampling: Sampling, question: str, *, budget: int, max_new_tokens: int
) -> Cost:
    """Compute everything at once and cache nothing, as the published code does."""
    compressor, device = engine.model.compressor, engine.device
    with measure_cost("one pass", device) as cost:
        timer = PhaseTimer(device)
        question_ids = engine.prompts.question(question)
        with timer.phase("decode"):
            everything = list(_batches(engine, video, sampling, batch_size=ONE_BATCH))
        relevance: list[float] = []
        memory: list[torch.Tensor] = []
        spans = [span for batch in everything for span in batch.segments]
        with timer.phase("watch"), torch.inference_mode():
            for batch in everything:
                ids_SRQ = torch.tensor(question_ids, device=device).expand(len(batch.segments), 1, -1)
                score_SR, memory_SRMD = compressor(
                    batch.pixels_SPC.to(device, engine.dtype),
                    batch.grid,
                    batch.ids_SL.to(device),
                    batch.spans,
                    ids_SRQ,
                )
                relevance += score_SR[:, 0].tolist()
                memory += memory_SRMD[:, 0]
        kept = engine.allocate(relevance, budget=budget)
        with timer.phase("answer"), torch.inference_mode():
            before_ids, after_ids = engine.prompts.decoder_prompt(question)
            parts = [
                (engine.prompts.timestamp(span.timestamp), tokens[:k])
                for span, tokens, k in zip(spans, memory, kept, strict=True)
            ]
            inputs_embeds_LU = engine.model.decoder_inputs(before_ids, parts, after_ids)
            cost.text, cost.time_to_first_token = _generate(engine, inputs_embeds_LU, max_new_tokens, timer)
        cost.seconds = timer.timings()
    cost.visual_tokens, cost.prompt_tokens = sum(kept), len(inputs_embeds_LU)
    return cost


def no_compression(
    engine: Tempo, video: Video, sampling: Sampling, question: str, *, max_new_tokens: int
) -> Cost:
    """Give every visual token to the decoder.

    Raises:
        TempoError: they do not fit into its context.
    """
    compressor, device, config = engine.model.compressor, engine.device, engine.config
    before_ids, after_ids = engine.prompts.decoder_prompt(question)
    frames = config.segment_frames
    t, h, w = engine.geometry.grid(frames, video.width, video.height, kind=video.kind)
    tokens = t * h * w // engine.geometry.merge_size**2 * -(-len(sampling) // frames)
    length = len(before_ids) + tokens + len(after_ids)
    if length + max_new_tokens > config.context:
        raise TempoError(f"{tokens} visual tokens do not fit into the decoder's context of {config.context}")
    with measure_cost("no compression", device) as cost:
        timer = PhaseTimer(device)
        coming = _batches(engine, video, sampling, batch_size=engine.segments_per_batch(video, reserve=0))
        while True:
            with timer.phase("decode"):
                batch = next(coming, None)
            if batch is None:
                break
            with timer.phase("watch"), torch.inference_mode():
                pixels_SPC = batch.pixels_SPC.to(device, engine.dtype)
                vision_features(compressor.vlm.visual, pixels_SPC, batch.grid)
        with timer.phase("answer"), torch.inference_mode():
            inputs_embeds_LU = torch.zeros(length, config.hidden_size, device=device, dtype=engine.dtype)
            _, cost.time_to_first_token = _generate(engine, inputs_embeds_LU, max_new_tokens, timer)
        cost.seconds = timer.timings()
    cost.visual_tokens, cost.prompt_tokens = tokens, length
    return cost


def decode_every_frame(video: Video, engine: Tempo) -> Cost:
    """Decode every frame of the file with PyAV's threads, and do nothing else."""
    import av

    with measure_cost("every frame decoded", engine.device) as cost, av.open(str(video.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass
    cost.seconds["decode"] = cost.total
    return cost


def decoding_speed(engine: Tempo, prompt_tokens: int, *, tokens: int = 17) -> tuple[float, float]:
    """The decoder's (time to first token in seconds, tokens per second after it) on a blank prompt."""
    inputs_embeds_LU = torch.zeros(
        prompt_tokens, engine.config.hidden_size, device=engine.device, dtype=engine.dtype
    )
    with torch.inference_mode():
        begun = time.perf_counter()
        times = [
            time.perf_counter() - begun
            for _ in generate(
                engine.model, inputs_embeds_LU, DecodeOptions(max_new_tokens=tokens, stop_ids=())
            )
        ]
    return times[0], (len(times) - 1) / max(times[-1] - times[0], 1e-9)


def _batches(engine: Tempo, video: Video, sampling: Sampling, *, batch_size: int) -> Iterator[SegmentBatch]:
    return batches(
        video,
        sampling,
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=engine.config.segment_frames,
        batch_size=batch_size,
    )


def _generate(
    engine: Tempo, inputs_embeds_LU: torch.Tensor, max_new_tokens: int, timer: PhaseTimer
) -> tuple[str, float]:
    """The answer to a storyline, and the time to its first token by the timer."""
    ids: list[int] = []
    first = 0.0
    for token in generate(
        engine.model, inputs_embeds_LU, DecodeOptions(max_new_tokens=max_new_tokens, stop_ids=engine.stop_ids)
    ):
        first = first or timer.timings()["total"]
        ids.append(token)
    return engine.prompts.decoder.decode(ids), first

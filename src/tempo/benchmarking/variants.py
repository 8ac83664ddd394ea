"""Ways to answer a question about a video, each timed and with its peak of memory.

*First* and *follow-up* are tempo's own. The others are there to be compared with, in the same process and
with the same weights:

* *one pass*: everything is computed anew, every memory token of it, all segments in one batch. That is how
  the published code works.
* *uniform*: every segment keeps the same number of memory tokens.
* *no compression*: every visual token goes to the decoder. Only its cost is of interest: these decoders were
  never taught to read such a thing, and what they read here is blank.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from tempo.errors import TempoError
from tempo.inference.generation import generate
from tempo.inference.results import PHASES, Answer, PhaseTimer
from tempo.inference.session import Session
from tempo.modeling.qwen3_vl import vision_features
from tempo.processing.batching import SegmentBatch, batches
from tempo.video.sampling import Sampling
from tempo.video.video import Video

from .peak_memory import Peak

if TYPE_CHECKING:
    from tempo.inference.engine import Tempo

ALL_TOGETHER = 1 << 30


@dataclass
class Cost:
    """What one answer took.

    Attributes:
        seconds: by phase (decode, watch, route, distil, answer) and in all.
        first_token: seconds until the first word, or until the end of an answer without words.
        peak_bytes, gpu_peak_bytes: memory beyond what was in use before.
        visual_tokens, prompt_tokens: what the decoder read.
    """

    way: str
    seconds: dict[str, float] = field(default_factory=dict)
    first_token: float = 0.0
    peak_bytes: int = 0
    gpu_peak_bytes: int = 0
    visual_tokens: int = 0
    prompt_tokens: int = 0
    text: str = ""

    @property
    def total(self) -> float:
        return self.seconds["total"]


@contextmanager
def costing(way: str, device: torch.device) -> Iterator[Cost]:
    """Take the peak of memory and the time of the block; what the block knows better it writes itself."""
    cost = Cost(way)
    with Peak(device) as peak:
        begun = time.perf_counter()
        yield cost
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        cost.seconds.setdefault("total", time.perf_counter() - begun)
    cost.peak_bytes, cost.gpu_peak_bytes = peak.bytes, peak.gpu_bytes


def ask(way: str, session: Session, question: str, **options: Any) -> tuple[Cost, Answer]:
    """Ask a session, and take what it costs. Of a kept video that is a follow-up."""
    with costing(way, session.engine.device) as cost:
        begun = time.perf_counter()
        stream = session.stream(question, **options)
        for _ in stream:
            cost.first_token = cost.first_token or time.perf_counter() - begun
        answer = stream.answer
    cost.seconds = {**answer.usage.timings, "total": cost.total}
    cost.first_token = cost.first_token or cost.total
    cost.visual_tokens = answer.usage.visual_tokens
    cost.prompt_tokens = answer.usage.prompt_tokens
    cost.text = answer.text
    return cost, answer


def one_pass(
    engine: Tempo, video: Video, sampling: Sampling, question: str, *, budget: int, max_new_tokens: int
) -> Cost:
    """Everything at once, and nothing kept."""
    compressor, device = engine.model.compressor, engine.device
    with costing("one pass", device) as cost:
        timer = PhaseTimer(device)
        question_ids = engine.prompts.question(question)
        with timer.phase("decode"):
            everything = list(_batches(engine, video, sampling, batch_size=ALL_TOGETHER))
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
            cost.text, cost.first_token = _written(engine, inputs_embeds_LU, max_new_tokens, timer)
        cost.seconds = timer.timings()
    cost.visual_tokens, cost.prompt_tokens = sum(kept), len(inputs_embeds_LU)
    return cost


def no_compression(
    engine: Tempo, video: Video, sampling: Sampling, question: str, *, max_new_tokens: int
) -> Cost:
    """Decode, see, and let the decoder read all that was seen.

    Raises:
        TempoError: that does not fit into its context.
    """
    compressor, device, config = engine.model.compressor, engine.device, engine.config
    before_ids, after_ids = engine.prompts.decoder_prompt(question)
    frames = config.segment_frames
    t, h, w = engine.geometry.grid(frames, video.width, video.height, kind=video.kind)
    tokens = t * h * w // engine.geometry.merge_size**2 * -(-len(sampling) // frames)
    length = len(before_ids) + tokens + len(after_ids)
    if length + max_new_tokens > config.context:
        raise TempoError(f"{tokens} visual tokens do not fit into the decoder's context of {config.context}")
    with costing("no compression", device) as cost:
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
            _, cost.first_token = _written(engine, inputs_embeds_LU, max_new_tokens, timer)
        cost.seconds = timer.timings()
    cost.visual_tokens, cost.prompt_tokens = tokens, length
    return cost


def decoding(video: Video, engine: Tempo) -> Cost:
    """Decoding every frame of the file, and nothing else: PyAV with its threads."""
    import av

    with costing("every frame decoded", engine.device) as cost, av.open(str(video.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass
    cost.seconds["decode"] = cost.total
    return cost


def pace(engine: Tempo, prompt_tokens: int, *, tokens: int = 17) -> tuple[float, float]:
    """(seconds to the first token, tokens a second after it) behind a storyline of so many tokens."""
    inputs_embeds_LU = torch.zeros(
        prompt_tokens, engine.config.hidden_size, device=engine.device, dtype=engine.dtype
    )
    with torch.inference_mode():
        begun = time.perf_counter()
        times = [
            time.perf_counter() - begun
            for _ in generate(engine.model, inputs_embeds_LU, max_new_tokens=tokens, stop_ids=())
        ]
    return times[0], (len(times) - 1) / max(times[-1] - times[0], 1e-9)


def phases(cost: Cost) -> Sequence[tuple[str, float]]:
    """The phases of a cost in their order; those that it has not are left out."""
    return [(name, cost.seconds[name]) for name in PHASES if cost.seconds.get(name)]


def _batches(engine: Tempo, video: Video, sampling: Sampling, *, batch_size: int) -> Iterator[SegmentBatch]:
    return batches(
        video,
        sampling,
        prompts=engine.prompts,
        geometry=engine.geometry,
        segment_frames=engine.config.segment_frames,
        batch_size=batch_size,
    )


def _written(
    engine: Tempo, inputs_embeds_LU: torch.Tensor, max_new_tokens: int, timer: PhaseTimer
) -> tuple[str, float]:
    """The answer to a storyline, and when its first token was there."""
    ids: list[int] = []
    first = 0.0
    for token in generate(
        engine.model, inputs_embeds_LU, max_new_tokens=max_new_tokens, stop_ids=engine.stop_ids
    ):
        first = first or timer.timings()["total"]
        ids.append(token)
    return engine.prompts.decoder.decode(ids), first

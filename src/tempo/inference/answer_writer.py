"""From the compressed video to the answer: the decoder reads the storyline and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from tempo.devices import peak_bytes

from .generation import generate, pieces
from .limits import check_context
from .loaded_model import LoadedModel
from .options import ResolvedOptions
from .phase_timer import PhaseTimer
from .pipeline import CompressedSegment, Step
from .question import Prompt
from .results import Answer, AnswerSegment, Usage
from .video_info import VideoInfo


def write_answer(
    engine: LoadedModel,
    prompt: Prompt,
    compressed: Sequence[CompressedSegment],
    options: ResolvedOptions,
    *,
    video: VideoInfo,
    still: bool,
    warnings: tuple[str, ...],
    timer: PhaseTimer,
    step: Step,
) -> Iterator[str | Answer]:
    """Yield pieces of text as they are written, and at last the answer.

    Args:
        still: whether it is an image, which has no times for the decoder to read.
        step: called behind each token.

    Raises:
        TempoError, ConversationFullError: video, prompt and answer do not fit into the model's context.
    """
    inputs_embeds_LU = storyline(engine, prompt, compressed, options, still=still, timer=timer)
    tokens = generate(
        engine.model,
        inputs_embeds_LU,
        max_new_tokens=options.max_new_tokens,
        stop_ids=engine.stop_ids,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
    )
    writing = pieces(engine.prompts.decoder, tokens)
    ids: list[int] = []
    text = ""
    while True:
        with timer.phase("answer"):
            ids, piece = next(writing, (ids, None))
        if piece is None:
            break
        if piece:
            text += piece
            yield piece
        step()
    yield whole_answer(
        engine,
        prompt,
        compressed,
        options,
        ids,
        text,
        prompt_tokens=len(inputs_embeds_LU),
        video=video,
        warnings=warnings,
        timer=timer,
    )


def storyline(
    engine: LoadedModel,
    prompt: Prompt,
    compressed: Sequence[CompressedSegment],
    options: ResolvedOptions,
    *,
    still: bool,
    timer: PhaseTimer,
) -> torch.Tensor:
    """What the decoder reads [L, U].

    Raises:
        TempoError, ConversationFullError: it leaves no room for the answer.
    """
    with timer.phase("answer"), torch.inference_mode():
        segments = [
            ([] if still else engine.prompts.timestamp(segment.span.timestamp), segment.memory_kD)
            for segment in compressed
        ]
        inputs_embeds_LU = engine.model.decoder_inputs(prompt.before_ids, segments, prompt.after_ids)
    check_context(engine, options, prompt_tokens=len(inputs_embeds_LU), turns=prompt.turns)
    return inputs_embeds_LU


def whole_answer(
    engine: LoadedModel,
    prompt: Prompt,
    compressed: Sequence[CompressedSegment],
    options: ResolvedOptions,
    ids: Sequence[int],
    text: str,
    *,
    prompt_tokens: int,
    video: VideoInfo,
    warnings: tuple[str, ...],
    timer: PhaseTimer,
) -> Answer:
    """The answer once its tokens `ids`, whose text is `text`, are written."""
    return Answer(
        text=text,
        token_ids=list(ids),
        segments=answer_segments(compressed),
        usage=Usage(
            visual_tokens=sum(len(segment.memory_kD) for segment in compressed),
            prompt_tokens=prompt_tokens,
            answer_tokens=len(ids),
            timings=timer.timings(),
            peak_memory_bytes=peak_bytes(engine.device),
        ),
        finished=bool(ids) and ids[-1] in engine.stop_ids,
        budget=options.budget_of(engine),
        model=engine.name,
        video=video,
        relevance_floor=engine.config.relevance_floor,
        warnings=warnings,
        question=prompt.question,
    )


def answer_segments(compressed: Sequence[CompressedSegment]) -> list[AnswerSegment]:
    """Return what an answer says of the segments that it was written from."""
    return [
        AnswerSegment(
            index=segment.span.index,
            start=segment.span.start,
            end=segment.span.end,
            timestamp=segment.span.timestamp,
            relevance=segment.relevance,
            tokens=len(segment.memory_kD),
        )
        for segment in compressed
    ]

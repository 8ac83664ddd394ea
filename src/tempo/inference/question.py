"""A question as both models read it, known to fit before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tempo.errors import TempoError, UsageError
from tempo.video.video import Video

from .limits import check_question
from .loaded_model import LoadedModel
from .options import ResolvedOptions


@dataclass(frozen=True)
class Prompt:
    """A question and its token ids: for the compressor, and around the video for the decoder."""

    question: str
    question_ids: list[int]
    before_ids: list[int]
    after_ids: list[int]
    turns: int = 0  # earlier ones that are part of it


def read_question(
    engine: LoadedModel,
    video: Video,
    earlier: Sequence[tuple[str, str]],
    question: str,
    options: ResolvedOptions,
    *,
    segments: int,
) -> Prompt:
    """Return what both models read beside the video.

    Args:
        earlier: the (question, answer) pairs that it follows.
        segments: how many the video has.

    Raises:
        UsageError: the question is no text.
        TempoError: the question is empty, or it does not fit.
        ConversationFullError: it does not fit behind so many turns.
    """
    if not isinstance(question, str):
        raise UsageError(f"a question is a text, not {type(question).__name__}")
    if not question.strip():
        raise TempoError("the question is empty; ask something")
    prompts = engine.prompts
    question_ids = prompts.question(question, earlier=[asked for asked, _ in earlier])
    prompt = Prompt(question, question_ids, *prompts.decoder_prompt(question, earlier=earlier), len(earlier))
    alone = Prompt(question, prompts.question(question), *prompts.decoder_prompt(question))
    # A question that is too long by itself is not the conversation's fault.
    for one in (alone, prompt) if earlier else (prompt,):
        check_question(
            engine,
            video,
            options,
            segments=segments,
            decoder_tokens=len(one.before_ids) + len(one.after_ids),
            question_tokens=len(one.question_ids),
            turns=one.turns,
        )
    return prompt

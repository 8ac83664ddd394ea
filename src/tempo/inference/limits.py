"""Whether a question, its answer and the video's tokens fit into the model, before anything is computed."""

from __future__ import annotations

from tempo.errors import ConversationFullError, TempoError
from tempo.video.video import Video

from .loaded_model import LoadedModel
from .options import ResolvedOptions


def check_question(
    model: LoadedModel,
    video: Video,
    options: ResolvedOptions,
    *,
    segments: int,
    decoder_tokens: int,
    question_tokens: int,
    turns: int = 0,
) -> None:
    """See that a question fits, with the turns before it.

    Args:
        segments: how many the video has; each keeps at least one token.
        decoder_tokens: those of the decoder's prompt without the video.
        question_tokens: those of the question as the compressor reads it.
        turns: how many earlier turns both include.

    Raises:
        TempoError: it can never fit.
        ConversationFullError: it does not fit behind so many turns.
    """
    budget, config = options.budget_of(model), model.config
    if budget < segments:
        raise TempoError(
            f"budget={budget} is less than one token for each of the {segments} segments; "
            f"give at least {segments}, or watch fewer frames with max_frames"
        )
    room = config.context - options.max_new_tokens - segments
    if room < 1:
        raise TempoError(
            f"max_new_tokens={options.max_new_tokens} leaves no room for a question: the model's context "
            f"is {config.context} tokens; lower it"
        )
    positions = config.compressor().text_config.max_position_embeddings
    beside = model.segment_tokens(video) + config.num_compression_tokens
    if decoder_tokens <= room and question_tokens <= positions - beside:
        return
    count, most = max(decoder_tokens, question_tokens), max(0, min(room, positions - beside))
    too_long = (
        f"{count} tokens, and beside video and answer (max_new_tokens={options.max_new_tokens}) "
        f"there is room for {most}"
    )
    if turns:
        raise ConversationFullError(
            f"the conversation is full: the question and its {turns} earlier turns have {too_long}"
        )
    raise TempoError(f"the question is too long: it has {too_long}")


def check_context(
    model: LoadedModel, options: ResolvedOptions, *, prompt_tokens: int, turns: int = 0
) -> None:
    """See that what the decoder reads, video included, leaves room for the answer.

    Raises:
        TempoError, ConversationFullError: as :func:`check_question`.
    """
    context = model.config.context
    if prompt_tokens + options.max_new_tokens <= context:
        return
    more = (
        f"come to {prompt_tokens} tokens, the answer to {options.max_new_tokens}; that is more than "
        f"the model's context of {context}; lower budget or max_new_tokens"
    )
    if turns:
        raise ConversationFullError(f"video, question and {turns} earlier turns {more}")
    raise TempoError(f"video and question {more}")

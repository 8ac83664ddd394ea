"""Answers that are written side by side, as many as there is memory for.

A step of the decoder reads all of its weights, for one answer or for many; side by side they share that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tempo.devices import available_bytes

from .generation import DecodeBatch, DecodeRow, pieces
from .loaded_model import LoadedModel
from .phase_timer import phase_of_all
from .pipeline import Step
from .posed_question import PosedQuestion
from .results import Answer

# Share of the free memory that the keys and values of one more answer may take.
_SHARE = 0.25


def answer_together(
    engine: LoadedModel, questions: Iterable[PosedQuestion], *, step: Step
) -> Iterator[tuple[PosedQuestion, Answer]]:
    """Write the answers to compressed questions, each as it would be alone, and yield them as they end.

    Args:
        questions: the next is taken as soon as there is room for its answer.
        step: called behind each token of all.

    Raises:
        TempoError: an answer cannot be written; the others are given up.
    """
    batch = DecodeBatch(engine.model)
    writing: dict[DecodeRow, PosedQuestion] = {}
    for question in questions:
        inputs_embeds_LU, options = question.decoder_inputs(), question.decode_options()
        tokens = len(inputs_embeds_LU) + options.max_new_tokens
        while writing and not _has_room(engine, tokens):
            yield from _write_token(engine, batch, writing)
            step()
        writing[batch.add(inputs_embeds_LU, options)] = question
        yield from _write_token(
            engine, batch, writing
        )  # so that its memory is taken before the next is asked
        step()
    while writing:
        yield from _write_token(engine, batch, writing)
        step()


def _has_room(engine: LoadedModel, tokens: int) -> bool:
    config = engine.config
    one = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * engine.dtype.itemsize
    return one * tokens <= _SHARE * available_bytes(engine.device)


def _write_token(
    engine: LoadedModel, batch: DecodeBatch, writing: dict[DecodeRow, PosedQuestion]
) -> Iterator[tuple[PosedQuestion, Answer]]:
    """Write a token of every answer, and take out those that end with it."""
    with phase_of_all([question.timer for question in writing.values()], "answer"):
        rows = batch.step()
    for row in rows:
        if row.error is not None:
            raise row.error
        if row.done:
            text = "".join(piece for _, piece in pieces(engine.prompts.decoder, row.ids))
            question = writing.pop(row)
            yield question, question.answer(row.ids, text)

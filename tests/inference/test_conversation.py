import pytest

from reference_cases import CASES, video_of
from tempo.errors import ConversationFullError, TempoError, UsageError

CASE = CASES["single_image"]


def test_a_conversation_remembers_and_a_session_does_not(engine, tmp_path):
    session = engine.watch(video_of(CASE, tmp_path))
    talk = session.conversation()
    first = talk.ask(CASE.query, **CASE.options)
    assert first.token_ids == CASE.tensors["generated_ids"].tolist()
    assert talk.turns == [(CASE.query, first.text)]
    follow = talk.ask("And what colour is it?", max_new_tokens=8)
    fresh = session.ask("And what colour is it?", max_new_tokens=8)
    assert follow.usage.prompt_tokens > fresh.usage.prompt_tokens
    assert follow.segments[0].relevance != fresh.segments[0].relevance
    assert len(talk.turns) == 2
    assert session.ask(CASE.query, **CASE.options).token_ids == first.token_ids


def test_a_conversation_forgets_what_was_not_finished(engine, tmp_path):
    session = engine.watch(video_of(CASE, tmp_path))
    talk = session.conversation()
    stream = talk.stream("What?", max_new_tokens=8)
    next(stream)
    stream.close()
    assert talk.turns == []


@pytest.fixture
def short(engine, monkeypatch):
    """The tiny model with a context that a few turns fill."""
    monkeypatch.setattr(engine.config, "max_position_embeddings", 400)
    return engine


def fill(talk):
    """Ask until a question does not fit any more; return what is said of it."""
    for number in range(8):
        try:
            talk.ask(f"What is {number}? " * 12, max_new_tokens=4, budget=4)
        except TempoError as error:
            return error
    return None


def test_a_conversation_that_fills_the_context_says_so_and_can_begin_anew(short, tmp_path):
    talk = short.watch(video_of(CASE, tmp_path)).conversation()
    error = fill(talk)
    assert isinstance(error, ConversationFullError)
    assert f"the conversation is full: the question and its {len(talk.turns)} earlier turns" in str(error)
    assert "\n" not in str(error)
    with pytest.raises(TempoError, match="the question is too long"):
        talk.ask("What? " * 1000)  # by itself, whatever was before it
    talk.clear()
    assert talk.turns == []
    talk.ask("What is it?", max_new_tokens=4, budget=4)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_the_oldest_turns_are_forgotten_where_that_is_asked_for(engine, tmp_path, kept):
    session = engine.watch(video_of(CASE, tmp_path))
    talk = session.conversation(keep_turns=kept)
    questions = [f"What is {n}?" for n in range(5)]
    answers = [talk.ask(question, max_new_tokens=4) for question in questions]
    assert [question for question, _ in talk.turns] == questions[5 - kept :]
    earlier = tuple((q, a.text) for q, a in zip(questions, answers, strict=True))[4 - kept : 4]
    alike = session.stream_after(earlier, questions[4], max_new_tokens=4).answer
    assert answers[4].token_ids == alike.token_ids
    assert answers[4].usage.prompt_tokens == alike.usage.prompt_tokens


def test_a_conversation_that_forgets_is_never_full(short, tmp_path):
    assert fill(short.watch(video_of(CASE, tmp_path)).conversation(keep_turns=1)) is None


@pytest.mark.parametrize("turns", [-1, 1.5, True, "2"])
def test_numbers_of_turns_that_are_none(engine, tmp_path, turns):
    with pytest.raises(UsageError, match="keep_turns must be a whole number of at least 0"):
        engine.watch(video_of(CASE, tmp_path)).conversation(keep_turns=turns)


def test_an_answer_longer_than_the_context_is_not_called_a_long_question(engine, tmp_path):
    with pytest.raises(TempoError, match="max_new_tokens=10000000 leaves no room"):
        engine.watch(video_of(CASE, tmp_path)).ask("What?", max_new_tokens=10_000_000)

from reference_cases import CASES, video_of

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

"""Under asyncio the loop goes on, answers are the same, and a cancelled task ends its work."""

import asyncio
import threading
import time

import numpy as np
import pytest

import clips
import tempo
from reference_cases import CASES, video_of
from tempo.errors import TempoError
from tempo.inference.posed_question import PosedQuestion

CASE = CASES["landscape"]
QUESTIONS = [CASE.query, "Is there a star?", "What is it?", "Where does it go?"]


@pytest.fixture(scope="module")
def session(tiny, tmp_path_factory):
    return tiny.watch(video_of(CASE, tmp_path_factory.mktemp("film")))


@pytest.fixture
def long(tmp_path):
    """A video that takes a while to watch."""
    return clips.write(tmp_path / "long.mp4", count=1500, rate=10, size=(320, 192))


def working():
    """Threads in which something is computed for tasks; those that wait for work do not count."""
    return [
        thread for thread in threading.enumerate() if thread.name.startswith(("tempo-decode", "tempo-watch"))
    ]


async def ticks(done):
    """How often the loop comes round while others work, and its longest absence in seconds."""
    count, longest, last = 0, 0.0, time.monotonic()
    while not done.is_set():
        await asyncio.sleep(0.005)
        now = time.monotonic()
        count, longest, last = count + 1, max(longest, now - last), now
    return count, longest


def test_concurrent_answers_are_the_same_and_the_loop_goes_on(session):
    expected = [session.ask(question, max_new_tokens=24).token_ids for question in QUESTIONS]

    async def ask_all():
        done = asyncio.Event()
        ticking = asyncio.create_task(ticks(done))
        answers = await asyncio.gather(*(session.aask(question, max_new_tokens=24) for question in QUESTIONS))
        many = await session.aask_many(QUESTIONS, max_new_tokens=24)
        done.set()
        return answers, many, await ticking

    answers, many, (count, _) = asyncio.run(ask_all())
    assert [answer.token_ids for answer in answers] == expected
    assert [answer.token_ids for answer in many] == expected
    assert count > 10


def test_a_stream_comes_in_pieces_while_others_stream(session):
    whole = session.ask(CASE.query, max_new_tokens=24)

    async def stream():
        streams = [session.astream(CASE.query, max_new_tokens=24) for _ in range(2)]
        order = []

        async def read(number):
            pieces = []
            async for piece in streams[number]:
                pieces.append(piece)
                order.append(number)
            return pieces, await streams[number].answer()

        return await asyncio.gather(read(0), read(1)), order

    results, order = asyncio.run(stream())
    for pieces, answer in results:
        assert "".join(pieces) == whole.text
        assert len(pieces) > 1
        assert answer.token_ids == whole.token_ids
    assert order != sorted(order)  # they take turns


def test_errors_arrive_where_they_are_awaited(session):
    async def ask():
        with pytest.raises(TempoError, match="the question is empty"):
            await session.aask(" ")
        with pytest.raises(TempoError, match="the question is empty"):
            await anext(session.astream(" "))
        with pytest.raises(TempoError, match="no such file"):
            await session.engine.awatch("nowhere.mp4")

    asyncio.run(ask())


def test_a_cancelled_watching_ends_and_others_are_served(engine, session, long):
    async def watch():
        seen = []
        task = asyncio.create_task(
            engine.awatch(long, fps=10, cache="device", progress=lambda *now: seen.append(now))
        )
        while not seen:
            await asyncio.sleep(0.01)
        answer = await session.aask(CASE.query, max_new_tokens=2)  # does not wait for the whole film
        between = len(seen)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended = len(seen)
        await asyncio.sleep(0.3)
        assert len(seen) == ended
        assert seen[-1][0] < seen[-1][1]
        return answer, between

    answer, _ = asyncio.run(watch())
    assert answer.usage.answer_tokens == 2
    assert working() == []


@pytest.mark.parametrize("how", ["cancel", "close", "drop"])
def test_a_stream_that_nobody_reads_ends(session, how, monkeypatch):
    steps = []
    carry_on = PosedQuestion.write

    def counted(*arguments, **options):
        for piece in carry_on(*arguments, **options):
            steps.append(piece)
            yield piece

    monkeypatch.setattr(PosedQuestion, "write", counted)

    async def leave():
        stream = session.astream(CASE.query, max_new_tokens=2000)
        await anext(stream)
        if how == "cancel":
            reading = asyncio.create_task(stream.answer())
            await asyncio.sleep(0.05)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        elif how == "close":
            await stream.aclose()
        else:
            del stream
            await asyncio.sleep(0.2)
        count = len(steps)
        await asyncio.sleep(0.2)
        assert len(steps) == count
        assert 0 < count < 2000
        return (await session.aask(CASE.query, max_new_tokens=2)).usage.answer_tokens

    assert asyncio.run(leave()) == 2


def test_a_task_that_waits_for_its_turn_can_be_cancelled(session):
    async def crowd():
        tasks = [asyncio.create_task(session.aask(q, max_new_tokens=64)) for q in QUESTIONS * 3]
        await asyncio.sleep(0.02)
        for task in tasks[1:]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results[1:])
        return results[0]

    assert asyncio.run(crowd()).token_ids == session.ask(QUESTIONS[0], max_new_tokens=64).token_ids


def test_a_session_without_a_cache_is_watched_for_each_task(engine, tmp_path):
    async def ask():
        session = await engine.awatch(video_of(CASE, tmp_path), cache="none")
        return [await session.aask(CASE.query, **CASE.options) for _ in range(2)]

    expected = CASE.tensors["generated_ids"].tolist()
    assert [answer.token_ids for answer in asyncio.run(ask())] == [expected] * 2


def test_a_conversation_remembers_what_was_whole(session):
    told = session.conversation()
    told.ask("What is it?", max_new_tokens=8)
    expected = told.ask("And then?", max_new_tokens=8)

    async def talk():
        conversation = session.conversation()
        await conversation.aask("What is it?", max_new_tokens=8)
        left = conversation.astream("Never mind?", max_new_tokens=2000)
        await anext(left)
        await left.aclose()
        answer = await conversation.aask("And then?", max_new_tokens=8)
        return conversation, answer

    conversation, answer = asyncio.run(talk())
    assert answer.token_ids == expected.token_ids
    assert conversation.turns == told.turns


def test_the_loop_may_end_at_once(session):
    async def leave():
        asyncio.create_task(session.aask(CASE.query, max_new_tokens=2000))  # noqa: RUF006
        await asyncio.sleep(0.05)

    begun = time.monotonic()
    asyncio.run(leave())  # cancels what is left
    assert time.monotonic() - begun < 20
    assert session.ask("What?", max_new_tokens=1)


def test_frames_in_memory_are_watched_too(engine):
    frames = np.zeros((8, 32, 32, 3), np.uint8)
    session = asyncio.run(engine.awatch(tempo.Video.from_frames(frames, fps=2.0)))
    assert asyncio.run(session.aask("What?", max_new_tokens=1)).video.frames == 8

"""What OpenAI's own client gets from the server, against the library's answers."""

import asyncio
import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from PIL import Image

import tempo


def ask(client, media, question, *, earlier=(), **options):
    """A question about a video, behind the turns before it."""
    video = media if isinstance(media, dict) else {"type": "video_url", "video_url": {"url": media}}
    first, *others = [*(q for q, _ in earlier), question]
    messages = [{"role": "user", "content": [video, {"type": "text", "text": first}]}]
    for (_, answer), following in zip(earlier, others, strict=True):
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": following}]
    return client.chat.completions.create(model="nano", messages=messages, **options)


@pytest.fixture(scope="module")
def questions(folder):
    return [q["text"] for q in json.loads((folder / "0.json").read_text())["questions"]]


@pytest.fixture(scope="module")
def session(nano, folder):
    return nano.watch(folder / "0.mp4")


@pytest.fixture
def address(folder):
    return f"file://{folder / '0.mp4'}"


def test_answers_are_those_of_the_library(client, session, address, questions):
    for number, question in enumerate(questions[:3]):
        told = ask(client, address, question)
        expected = session.ask(question)
        assert told.choices[0].message.content == expected.text
        assert told.choices[0].finish_reason == "stop"
        assert told.object == "chat.completion"
        assert told.usage.prompt_tokens == expected.usage.prompt_tokens
        assert told.usage.completion_tokens == expected.usage.answer_tokens
        details = told.usage.prompt_tokens_details
        assert details.video_tokens == expected.usage.visual_tokens
        assert details.cached_tokens == (
            0 if number == 0 and not details.cached_tokens else details.video_tokens
        )


def test_a_stream_says_the_same_piece_by_piece(client, session, address, questions):
    chunks = list(ask(client, address, questions[0], stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == session.ask(questions[0]).text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert not chunks[-1].choices
    assert chunks[-1].usage.completion_tokens > 0


def test_options_in_extra_body_reach_the_model(client, session, address, questions):
    own = {"tempo": {"budget": 64, "adaptive": False, "segments": True}}
    told = ask(client, address, questions[0], extra_body=own, max_completion_tokens=3)
    expected = session.ask(questions[0], budget=64, adaptive=False, max_new_tokens=3)
    assert told.choices[0].message.content == expected.text
    segments = told.tempo["segments"]
    assert [s["tokens"] for s in segments] == [s.tokens for s in expected.segments]
    assert told.tempo["video"]["path"] is None


def test_another_sampling_is_another_video(client, address, questions):
    frames = [
        ask(client, address, questions[0], extra_body={"tempo": {"fps": fps, "segments": True}}).tempo[
            "video"
        ]
        for fps in (1, 2, 1)
    ]
    assert [video["frames"] for video in frames] == [20, 40, 20]
    others = ({"mm_processor_kwargs": {"fps": 1}}, {"media_io_kwargs": {"video": {"num_frames": 20}}})
    for other in others:
        told = ask(client, address, questions[0], extra_body=other | {"tempo": {"segments": True}})
        assert told.tempo["video"]["frames"] == 20


def test_a_conversation_sees_its_earlier_turns(client, session, address, questions):
    conversation = session.conversation()
    first = conversation.ask(questions[0]).text
    expected = conversation.ask("And what comes after it?").text
    told = ask(client, address, "And what comes after it?", earlier=[(questions[0], first)])
    assert told.choices[0].message.content == expected


def test_a_file_is_sent_once_and_asked_about(client, session, folder, questions):
    sent = client.files.create(file=folder / "0.mp4", purpose="user_data")
    assert sent.bytes == (folder / "0.mp4").stat().st_size
    assert sent.id in [one.id for one in client.files.list()]
    told = ask(client, {"type": "file", "file": {"file_id": sent.id}}, questions[1])
    assert told.choices[0].message.content == session.ask(questions[1]).text
    # The same content is the same video, wherever it came from.
    assert told.usage.prompt_tokens_details.cached_tokens > 0
    assert client.files.delete(sent.id).deleted
    with pytest.raises(openai.NotFoundError, match="no file"):
        ask(client, {"type": "file", "file": {"file_id": sent.id}}, questions[1])


def test_a_video_in_the_request(client, session, folder, questions):
    data = base64.b64encode((folder / "0.mp4").read_bytes()).decode()
    told = ask(client, f"data:video/mp4;base64,{data}", questions[0])
    assert told.choices[0].message.content == session.ask(questions[0]).text


def test_frames_that_the_client_sampled_are_one_video(client, nano, questions):
    pictures = [Image.new("RGB", (160, 96), (20 * i, 90, 200 - 20 * i)) for i in range(8)]
    encoded = []
    for picture in pictures:
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        encoded.append(base64.b64encode(stream.getvalue()).decode())
    own = {"media_io_kwargs": {"video": {"fps": 2}}, "tempo": {"segments": True}}
    told = ask(client, "data:video/jpeg;base64," + ",".join(encoded), "What is there?", extra_body=own)
    assert told.tempo["video"]["frames"] == 8
    assert told.tempo["video"]["duration"] == 4.0


def test_an_image_is_a_video_of_one_frame(client, tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (160, 96), (200, 30, 30)).save(stream, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    part = {"type": "image_url", "image_url": {"url": url}}
    told = ask(client, part, "What is there?", extra_body={"tempo": {"segments": True}})
    assert told.tempo["video"]["frames"] == 1


def test_a_stop_text_ends_the_answer(client, session, address):
    whole = session.ask("Summarise the video.").text
    stop = whole[len(whole) // 2 :][:3]
    told = ask(client, address, "Summarise the video.", stop=stop)
    assert told.choices[0].message.content == whole[: whole.index(stop)]
    assert told.choices[0].finish_reason == "stop"


def test_models_and_moments(client, served, session, address, questions):
    (model,) = client.models.list()
    assert (model.id, model.object) == ("nano", "model")
    assert client.models.retrieve("nano").id == "nano"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")
    headers = {"Authorization": f"Bearer {client.api_key}"}
    found = httpx.post(
        f"{served.url}/v1/moments",
        json={"video": address, "query": questions[0]},
        headers=headers,
        timeout=60,
    ).json()
    expected = session.ask(questions[0]).moments
    assert [(m["start"], m["end"]) for m in found["data"]] == [(m.start, m.end) for m in expected]


def test_many_clients_at_once_get_what_one_gets(served, session, folder, questions):
    """Answers are written token by token in turns; none changes another's."""
    expected = {q: session.ask(q).text for q in questions}

    def one(number):
        question = questions[number % len(questions)]
        return question, ask(served.client(), f"file://{folder / '0.mp4'}", question).choices[
            0
        ].message.content

    with ThreadPoolExecutor(8) as pool:
        for question, text in pool.map(one, range(16)):
            assert text == expected[question]


def test_the_asynchronous_client(served, session, address, questions):
    async def stream():
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.client().api_key) as client:
            content = [
                {"type": "video_url", "video_url": {"url": address}},
                {"type": "text", "text": questions[2]},
            ]
            chunks = await client.chat.completions.create(
                model="nano", messages=[{"role": "user", "content": content}], stream=True
            )
            return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

    assert asyncio.run(stream()) == session.ask(questions[2]).text


def test_metrics_count_what_was_answered(client, served, address, questions):
    ask(client, address, questions[0])
    text = httpx.get(f"{served.url}/metrics").text
    assert 'tempo_cache_total{result="hit"}' in text
    assert float(text.split("\ntempo_watched_videos ")[1].split()[0]) >= 1
    assert httpx.get(f"{served.url}/health").status_code == 200
    assert httpx.get(f"{served.url}/version").json() == {"version": tempo.__version__}

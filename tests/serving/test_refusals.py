"""What a client does wrong is told in one sentence, with the status that its exceptions are made of."""

import base64
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from web import Site, site

from .conftest import KEY, Served
from .test_clients import ask


@pytest.fixture
def address(folder):
    return f"file://{folder / '0.mp4'}"


def error_of(call, kind):
    with pytest.raises(kind) as caught:
        call()
    body = caught.value.body
    assert body["code"] == caught.value.status_code
    assert "\n" not in body["message"]
    return body["message"]


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"n": 2}, openai.BadRequestError, "one answer"),
        ({"top_logprobs": 2}, openai.BadRequestError, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, openai.BadRequestError, "top_logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, openai.BadRequestError, "tools"),
        ({"seed": 2**80, "temperature": 1.0}, openai.BadRequestError, "seed"),
        ({"frequency_penalty": 1.0}, openai.BadRequestError, "frequency_penalty"),
        ({"temperature": -1}, openai.BadRequestError, "temperature"),
        ({"max_completion_tokens": 0}, openai.BadRequestError, "max_completion_tokens must be"),
        ({"max_completion_tokens": 10**6}, openai.BadRequestError, "max_new_tokens"),
        ({"extra_body": {"tempo": {"begin": 3}}}, openai.BadRequestError, "begin"),
        ({"extra_body": {"tempo": {"start": 9, "end": 3}}}, openai.BadRequestError, "end"),
        ({"extra_body": {"tempo": {"start": 1000}}}, openai.BadRequestError, "start"),
        ({"extra_body": {"tempo": {"budget": 1}}}, openai.BadRequestError, "budget"),
        ({"extra_body": {"tempo": {"fps": "fast"}}}, openai.BadRequestError, "fps"),
        ({"extra_body": {"mm_processor_kwargs": {"fps": [1]}}}, openai.BadRequestError, "numbers"),
        ({"response_format": {"type": "xml"}}, openai.BadRequestError, "response_format"),
        ({"response_format": {"type": "json_schema"}}, openai.BadRequestError, "json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nothing"}}}},
            openai.BadRequestError,
            "response_format",
        ),
        ({"response_format": {"type": "regex", "pattern": "(("}}, openai.BadRequestError, "response_format"),
        ({"response_format": {"type": "choice", "choices": []}}, openai.BadRequestError, "choices"),
    ],
)
def test_what_cannot_be_honoured_is_refused(client, address, options, kind, says):
    assert says in error_of(lambda: ask(client, address, "What is there?", **options), kind)


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        ("file:///etc/passwd", openai.PermissionDeniedError, "beneath"),
        ("http://127.0.0.1:1/a.mp4", openai.PermissionDeniedError, "private"),
        ("http://[::1]/a.mp4", openai.PermissionDeniedError, "private"),
        ("http://169.254.169.254/latest/meta-data", openai.PermissionDeniedError, "private"),
        ("http://no-such-host.invalid/a.mp4", openai.UnprocessableEntityError, "no such host"),
        ("ftp://example.org/a.mp4", openai.BadRequestError, "http"),
        ("data:video/mp4;base64,????", openai.BadRequestError, "base64"),
        ("file://[::1", openai.BadRequestError, "not an address"),
        ("file:///v/%00x", openai.UnprocessableEntityError, "no file"),
        (f"file:///{'x' * 300}", openai.UnprocessableEntityError, "no file"),
        ("http://a..b/x.mp4", openai.UnprocessableEntityError, "no such host"),
        (f"http://{'x' * 64}.org/x.mp4", openai.UnprocessableEntityError, "no such host"),
        ("data:video/mp4,abc", openai.BadRequestError, "data:"),
        (
            "data:video/mp4;base64," + base64.b64encode(b"no video at all" * 99).decode(),
            openai.UnprocessableEntityError,
            "cannot be read",
        ),
        ("data:video/jpeg;base64,aGVsbG8=", openai.UnprocessableEntityError, "frame 1"),
    ],
)
def test_what_cannot_be_opened_is_refused(client, url, kind, says):
    assert says in error_of(lambda: ask(client, url, "What is there?"), kind)


def test_a_link_out_of_the_folder_is_not_followed(client, folder, tmp_path):
    (tmp_path / "secret.mp4").write_bytes((folder / "1.mp4").read_bytes())
    link = folder / "link.mp4"
    link.symlink_to(tmp_path / "secret.mp4")
    try:
        assert "beneath" in error_of(
            lambda: ask(client, f"file://{link}", "What is there?"), openai.PermissionDeniedError
        )
    finally:
        link.unlink()


def test_messages_that_make_no_question(client, address):
    video = {"type": "video_url", "video_url": {"url": address}}
    other = {"type": "video_url", "video_url": {"url": address + "x"}}
    for content, says in (
        ([{"type": "text", "text": "What is there?"}], "no video"),
        ([video, other, {"type": "text", "text": "What is there?"}], "2 videos"),
        ([video], "question"),
        ([{"type": "video_url"}, {"type": "text", "text": "What?"}], "no video_url"),
        ([{"type": "input_audio"}], "content"),
    ):
        messages = [{"role": "user", "content": content}]
        message = error_of(
            lambda messages=messages: client.chat.completions.create(model="nano", messages=messages),
            openai.BadRequestError,
        )
        assert says in message


def test_another_model_and_a_wrong_key(served, client, address):
    with pytest.raises(openai.NotFoundError, match="not here"):
        client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "?"}])
    with pytest.raises(openai.AuthenticationError):
        ask(served.client(api_key="wrong"), address, "What is there?")
    assert httpx.get(f"{served.url}/health").status_code == 200
    assert httpx.get(f"{served.url}/v1/models").json()["error"]["code"] == 401
    assert httpx.get(f"{served.url}/v2").json()["error"]["code"] == 404


def test_no_way_around_the_key(served):
    for path in ("/v1/models", "//v1/models", "/v1/../v1/models", "/v1/files"):
        with socket.create_connection((httpx.URL(served.url).host, httpx.URL(served.url).port)) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            status = raw.recv(100).split()[1]
        assert status in (b"401", b"404")


def test_every_refusal_has_the_shape_of_the_others(served):
    headers = {"Authorization": f"Bearer {KEY}"}
    wrong_method = httpx.get(f"{served.url}/v1/chat/completions", headers=headers)
    no_json = httpx.post(f"{served.url}/v1/chat/completions", content=b"{", headers=headers)
    for response, status in ((wrong_method, 405), (no_json, 400)):
        assert response.status_code == status
        assert response.json()["error"]["code"] == status


def test_a_body_that_tells_no_length_is_limited_too(folder):
    server = Served("--max-video-mb", "1")
    try:
        chunks = (b"x" * 1_000_000 for _ in range(20))
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        told = httpx.post(f"{server.url}/v1/chat/completions", content=chunks, headers=headers, timeout=60)
        assert told.status_code == 413
        assert told.json()["error"]["code"] == 413
    finally:
        assert server.close() == 0


def test_more_requests_than_may_wait_are_refused(folder):
    server = Served(
        "--max-queue", "1", "--allowed-local-media-path", str(folder), "--served-model-name", "nano"
    )

    def one(number):
        try:
            return (
                ask(server.client(), f"file://{folder / '1.mp4'}", "What is there?")
                .choices[0]
                .message.content
            )
        except openai.RateLimitError as error:
            return error.status_code

    try:
        with ThreadPoolExecutor(6) as pool:
            told = list(pool.map(one, range(6)))
        assert 429 in told
        assert set(told) - {429}
    finally:
        assert server.close() == 0


def test_other_machines_need_a_key():
    command = [sys.executable, "-m", "tempo", "serve", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=_without_key())
    assert done.returncode == 2
    assert "--api-key" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _without_key():
    import os

    return {name: value for name, value in os.environ.items() if name != "TEMPO_API_KEY"}


@pytest.fixture(scope="module")
def outside():
    with site() as found:
        yield found


def test_addresses_are_fetched_once_while_they_have_not_changed(folder, outside: Site, nano):
    server = Served("--allow-private-addresses", "--served-model-name", "nano", "--max-video-mb", "1")
    try:
        client = server.client()
        url = outside.serve("/film.mp4", folder / "0.mp4")
        first = ask(client, url, "What is there?")
        again = ask(client, url, "Is there a red circle?")
        assert first.usage.prompt_tokens_details.cached_tokens == 0
        assert again.usage.prompt_tokens_details.cached_tokens > 0
        large = folder / "large.mp4"
        large.write_bytes(b"\0" * 2_000_000)
        message = error_of(
            lambda: ask(client, outside.serve("/large.mp4", large), "What?"), openai.APIStatusError
        )
        assert "at most 1 MB" in message
        with pytest.raises(openai.APIStatusError, match="at most 1 MB"):
            client.files.create(file=large, purpose="user_data")
    finally:
        assert server.close() == 0


def test_a_client_that_leaves_ends_its_own_answer_alone(folder, nano):
    server = Served("--served-model-name", "nano", "--allowed-local-media-path", str(folder))
    try:
        url = f"file://{folder / '1.mp4'}"
        content = [
            {"type": "video_url", "video_url": {"url": url}},
            {"type": "text", "text": "What is there?"},
        ]
        body = {"model": "nano", "messages": [{"role": "user", "content": content}], "stream": True}
        headers = {"Authorization": f"Bearer {KEY}"}

        def leave():
            with httpx.stream(
                "POST", f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60
            ) as response:
                for _ in response.iter_lines():
                    break

        leavers = [threading.Thread(target=leave) for _ in range(4)]
        for thread in leavers:
            thread.start()
        told = ask(server.client(), url, "What is there?").choices[0].message.content
        for thread in leavers:
            thread.join()
        assert told == nano.watch(folder / "1.mp4").ask("What is there?").text
        end = time.monotonic() + 30
        while "tempo_requests_running 0.0" not in httpx.get(f"{server.url}/metrics").text:
            assert time.monotonic() < end
            time.sleep(0.2)
    finally:
        assert server.close() == 0

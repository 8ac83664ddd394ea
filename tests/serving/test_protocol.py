"""What clients, proxies and monitors expect of any such server, beside its answers."""

import asyncio
import json
import re
import socket
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse

from tempo.serving.listening import bind
from tempo.serving.request_guard import RequestGuard

from .conftest import KEY
from .test_clients import ask

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
HEADERS = {"Authorization": f"Bearer {KEY}"}


def test_a_request_keeps_its_id_and_gets_one_where_it_has_none(served):
    for path, headers, status in (
        ("/health", {}, 200),
        ("/v1/models", {}, 401),
        ("/v1/files/file-none", HEADERS, 404),
        ("/nothing", {}, 404),
    ):
        told = httpx.get(f"{served.url}{path}", headers=headers | {"X-Request-Id": "mine-7"})
        assert told.status_code == status
        assert told.headers["x-request-id"] == "mine-7"
    first, second = (httpx.get(f"{served.url}/health").headers["x-request-id"] for _ in range(2))
    assert first
    assert first != second


def test_health_is_empty_and_options_need_no_key(served):
    assert httpx.get(f"{served.url}/health").content == b""
    assert httpx.options(f"{served.url}/v1/chat/completions").status_code != 401
    assert httpx.post(f"{served.url}/v1/chat/completions", json={}).status_code == 401


def test_a_key_comes_as_a_bearer(served):
    for header, status in (
        (f"Bearer {KEY}", 200),
        (f"bearer {KEY}", 200),
        (KEY, 401),
        (f"Basic {KEY}", 401),
        ("Bearer", 401),
        (f"Bearer {KEY}x", 401),
    ):
        told = httpx.get(f"{served.url}/v1/models", headers={"Authorization": header})
        assert told.status_code == status, header


def test_a_model_says_how_long_its_context_is_and_how_it_samples(served, nano):
    (model,) = httpx.get(f"{served.url}/v1/models", headers=HEADERS).json()["data"]
    assert {"id", "object", "created", "owned_by", "max_model_len"} <= model.keys()
    assert model["max_model_len"] == nano.config.context
    assert model["tempo"]["fps"] == nano.config.fps


def test_the_schema_is_complete(served):
    schema = httpx.get(f"{served.url}/openapi.json").json()
    assert httpx.get(f"{served.url}/docs").status_code == 200
    paths = [
        "/v1/chat/completions",
        "/v1/moments",
        "/v1/files",
        "/v1/models",
        "/health",
        "/version",
        "/metrics",
    ]
    assert set(paths) <= schema["paths"].keys()
    request = schema["components"]["schemas"]["ChatRequest"]["properties"]
    assert {
        "messages",
        "response_format",
        "media_io_kwargs",
        "mm_processor_kwargs",
        "tempo",
    } <= request.keys()
    own = schema["components"]["schemas"]["TempoOptions"]["properties"]
    assert {"fps", "max_frames", "budget", "adaptive", "keep", "start", "end", "segments"} <= own.keys()


@pytest.mark.parametrize("file", ["grafana.json", "../serving.md"])
def test_metrics_that_are_named_are_told(served, client, folder, file):
    ask(client, f"file://{folder / '0.mp4'}", "What is there?")
    told = httpx.get(f"{served.url}/metrics").text
    text = (DEPLOY / file).read_text(encoding="utf-8")
    if file.endswith(".json"):
        text = " ".join(target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"])
    names = set(
        re.findall(r"\btempo_[a-z_]+", text.partition("## Deployment")[0].rpartition("## Metrics")[2])
    )
    assert len(names) >= 8
    for name in names:
        assert re.search(rf"^{name}(_count)?[ {{]", told, re.MULTILINE), name


def test_small_pieces_of_a_stream_are_sent_at_once():
    async def delayed():
        accepted = asyncio.get_running_loop().create_future()
        listening = await asyncio.start_server(
            lambda _, writer: accepted.set_result(writer), sock=bind("127.0.0.1", 0)
        )
        _, client = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer = await accepted
        undelayed = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
        client.close()
        listening.close()
        return not undelayed

    assert not asyncio.run(delayed()), "each would wait 40 ms for the client's acknowledgement"


def test_a_key_is_needed_behind_a_proxy_that_leaves_its_prefix_in_the_path():
    async def status_of(path, headers=(), root="/tempo"):
        async def app(scope, receive, send):
            await JSONResponse({})(scope, receive, send)

        async def send(message):
            told.append(message)

        told = []
        guard = RequestGuard(app, api_key=KEY, longest_body=1, limit_bytes=1)
        scope = {"type": "http", "method": "GET", "path": path, "root_path": root, "headers": headers}
        await guard(scope, None, send)
        return told[0]["status"]

    assert asyncio.run(status_of("/tempo/v1/models")) == 401
    assert asyncio.run(status_of("/v1/models")) == 401
    assert asyncio.run(status_of("/v1/models", root="/")) == 401
    assert asyncio.run(status_of("/tempo/v1/models", root="/tempo/")) == 401
    assert asyncio.run(status_of("/tempo/health")) == 200
    assert asyncio.run(status_of("/tempo/v1/models", [(b"authorization", f"Bearer {KEY}".encode())])) == 200

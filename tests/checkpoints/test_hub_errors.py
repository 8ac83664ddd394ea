"""What the hub, or what stands before it, refuses is said by kind, against a server that refuses so."""

import http.server
import threading

import pytest

from tempo.checkpoints import hub
from tempo.checkpoints.checkpoint_files import find_model
from tempo.errors import TempoError

PAGE = b"<!DOCTYPE html><html><body>Welcome to this hotel's network. Log in.</body></html>"

# name → status, headers, body, and what has to be said.
REFUSALS = {
    "gated": (
        401,
        {"X-Error-Code": "GatedRepo"},
        b"",
        "accept them on {page}, then log in with `hf auth login`",
    ),
    "pending": (403, {"X-Error-Code": "GatedRepo"}, b"", "accept"),
    "missing": (
        404,
        {"X-Error-Code": "RepoNotFound"},
        b"{}",
        "no model of this name; check the name on {page}",
    ),
    # What the hub says of missing ones to visitors who have not logged in.
    "unknown": (
        401,
        {"X-Error-Code": "RepoNotFound"},
        b"{}",
        "no model of this name; check the name on {page}",
    ),
    "bare404": (404, {}, PAGE, "no model of this name"),
    "badtoken": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b"", "your token"),
    "forbidden": (403, {"Content-Type": "text/html"}, PAGE, "forbidden (403)"),
    "disabled": (
        403,
        {"X-Error-Message": "Access to this resource is disabled."},
        b"",
        "has disabled it; see",
    ),
    "proxy": (407, {"Proxy-Authenticate": "Basic"}, PAGE, "your proxy needs a password; set HTTPS_PROXY="),
    "toomany": (429, {"Retry-After": "1"}, b"{}", "refuses further requests for now (429); wait"),
    "broken": (500, {}, PAGE, "in front of it, failed (500); try again later"),
    "portal": (200, {"Content-Type": "text/html"}, PAGE, "a web page instead of the Hub"),
    "around": (302, {"Location": "around"}, b"", "a web page instead of the Hub"),
}


class Refusing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        kind = next((kind for kind in REFUSALS if f"/{kind}" in self.path), "bare404")
        status, headers, body, _ = REFUSALS[kind]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = answer


ASKED = {"download": hub.licence_of, "load": find_model}


@pytest.fixture(scope="module")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def refused(monkeypatch, tmp_path):
    """What is said of a model on the hub at an address."""

    def ask(what, kind, address):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        with pytest.raises(TempoError) as caught:
            ASKED[what](f"owner/{kind}")
        line = str(caught.value)
        assert line.startswith(f"owner/{kind}: ")
        assert "\n" not in line
        assert "did not return it" not in line, "the kind is known"
        return line

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return ask


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_said_by_its_kind(refused, address, what, kind):
    line = refused(what, kind, address)
    assert REFUSALS[kind][-1].format(page=f"{address}/owner/{kind}") in line


def test_whoever_has_a_token_is_not_told_to_log_in(refused, address, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
    line = refused("download", "pending", address)
    assert "wait until access is granted" in line
    assert "log in" not in line


@pytest.mark.parametrize("what", ASKED)
def test_nobody_answers(refused, what):
    line = refused(what, "model", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached" in line
    assert "check the network" in line


@pytest.mark.parametrize("what", ASKED)
def test_the_hub_may_not_be_asked(refused, what, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(what, "model", "http://127.0.0.1:9")

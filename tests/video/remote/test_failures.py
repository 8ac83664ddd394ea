"""Servers and connections that fail: one line each, and what was fetched is watched."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from remote_checks import refusal, watched

from tempo.errors import TempoError
from tempo.video.video import Video
from web import Page, Site, site

if TYPE_CHECKING:
    from tempo import Tempo

CERTIFICATE = """
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbu4km0G6UEM/NmOi
8voAH9jwc6nubh3Nol3jW0AwRPChRANCAAQ1TRoBO0GSRBhSaW+z1ZDeAMaytUeZ
vafyqv1bhZxixL8IoP7YyYXli96zIA3IfMH5K2say0k6uUMYqAXLNxpm
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUOsBFtHyzWDnN8qf7ekPxiWny5sswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODAyNTUyOFoYDzIxMjYxMTA0
MDI1NTI4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQ1TRoBO0GSRBhSaW+z1ZDeAMaytUeZvafyqv1bhZxixL8IoP7YyYXl
i96zIA3IfMH5K2say0k6uUMYqAXLNxpmo28wbTAdBgNVHQ4EFgQUrshKY8POifjo
QcPw62FU+Gtvn8QwHwYDVR0jBBgwFoAUrshKY8POifjoQcPw62FU+Gtvn8QwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhANuppnFA3fkbXz44OQuj/fRLOvCvwH7LnM3HSLNFLxjSAiBx
VK3UeezDRkf7lxw9iWaGMVcPYK0FS9NqeMG5+trSAQ==
-----END CERTIFICATE-----
"""


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (Page(status=401), "login"),
        (Page(status=403), "403 Forbidden"),
        (Page(status=404), "no such file"),
        (Page(status=410), "no such file"),
        (Page(status=418), "418"),
        (Page(status=429), "too many requests"),
        (Page(status=500), "the server failed (500"),
        (Page(status=503), "the server failed (503"),
        (Page(b""), "an empty file"),
        (
            Page(b"<!DOCTYPE html><title>Log in</title>", content_type="text/html; charset=utf-8"),
            "a web page",
        ),
        (Page(b"\n <HTML><body>", content_type="video/mp4"), "a web page"),
        (Page(b"<p>No video here</p>", content_type="text/html"), "a web page"),
        (Page(b'{"error": "expired"}', content_type="application/json"), "text (application/json)"),
        (Page(b"#EXTM3U\n#EXTINF:5\nhttp://127.0.0.1:9/a.ts\n"), "a playlist"),
        (
            Page(b"--x\r\n\r\n", content_type="multipart/x-mixed-replace; boundary=x"),
            "an endless live stream",
        ),
        (Page(b"nothing that anybody could watch" * 99, ranges="ignored"), "not a video"),
        (Page(b"x" * 9999, encoding="br"), "compresses it as br"),
        (
            Page(b"x" * 9999, ranges="ignored", hang_up_at=5000),
            "closed the connection after 5.0 kB of 10.0 kB",
        ),
        (Page(b"x" * 9999, ranges="ignored", length="chunked", hang_up_at=5000), "closed the connection"),
        (Page(b"x" * 9999, ranges="ignored", length="99999"), "closed the connection"),
        (
            Page(b"x" * 9999, ranges="ignored", length="9" * 16),
            "too large: 10000000.0 GB, and the limit is 10.0 GB",
        ),
    ],
)
def test_each_kind_of_failure_has_its_line(web: Site, page: Page, said: str) -> None:
    web.pages["/film.mp4"] = page
    line = refusal(f"{web.address}/film.mp4")
    assert line.startswith(f"{web.address}/film.mp4: ")
    assert said in line


def test_hosts_that_cannot_be_reached() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert f"nothing answers at 127.0.0.1:{port}" in refusal(f"http://127.0.0.1:{port}/film.mp4")
    assert "the host nowhere.invalid is not found" in refusal("http://nowhere.invalid/film.mp4")


def test_what_answers_and_is_no_web_server(impatient: None) -> None:
    for said, expected in ((b"SSH-2.0-x\r\n", "does not speak HTTP"), (b"", "closed the connection")):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer(server: socket.socket = server, said: bytes = said) -> None:
                connection, _ = server.accept()
                connection.recv(4096)
                connection.sendall(said)
                connection.close()

            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            assert expected in refusal(f"http://127.0.0.1:{server.getsockname()[1]}/film.mp4")
            thread.join()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = refusal(f"http://127.0.0.1:{silent.getsockname()[1]}/film.mp4")
    assert "sent nothing for 0.3 seconds" in line


def test_certificates_are_checked(
    tmp_path: Path, films: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(CERTIFICATE)
    with site(certificate=certificate) as web:
        address = web.serve("/film.mp4", films["index last"])
        assert "certificate is not trusted (self-signed certificate)" in refusal(address)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ssl.get_default_verify_paths().cafile == str(certificate)
        assert watched(Video.open(address)) == list(range(50))
    with site() as plain:
        line = refusal(plain.serve("/film.mp4", films["mkv"]).replace("http", "https"))
        assert "no encrypted connection" in line


def test_proxies(web: Site, films: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", web.address)
    web.pages["http://films.invalid/film.mp4"] = Page(films["index last"].read_bytes())
    assert watched(Video.open("http://films.invalid/film.mp4")) == list(range(50))
    web.pages["http://films.invalid/in.mp4"] = Page(b"<html>Please log in", content_type="text/html")
    assert "a web page" in refusal("http://films.invalid/in.mp4")
    web.pages["http://films.invalid/407.mp4"] = Page(status=407)
    assert "the proxy asks for a login" in refusal("http://films.invalid/407.mp4")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{free.getsockname()[1]}")
    line = refusal("http://films.invalid/film.mp4")
    assert "(your proxy)" in line
    assert "secret" not in line


def test_a_connection_that_breaks_is_taken_up_again(web: Site, long_film: Path) -> None:
    size = long_film.stat().st_size
    video = Video.open(web.serve("/film.mp4", long_film, hang_up_at=size // 2, times=2))
    assert watched(video) == list(range(100))
    assert not video.damage
    assert web.pages["/film.mp4"].times == 0


@pytest.mark.parametrize("kind", ["index first", "mkv"])
def test_a_file_that_is_cut_short_at_the_server_has_lost_the_same(
    web: Site, films: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    data = films[kind].read_bytes()
    cut_short = tmp_path / films[kind].name
    cut_short.write_bytes(data[: len(data) * 6 // 10])
    local = Video.open(cut_short)
    shown = watched(local)
    assert local.damage.moments > 10
    for options in ({}, {"ranges": "ignored"}):
        video = Video.open(web.serve("/film", cut_short, **options))
        assert watched(video) == shown
        assert video.damage.seconds == pytest.approx(local.damage.seconds, abs=0.15)
        assert video.damage.moments == local.damage.moments


@pytest.mark.parametrize("how", ["hang_up_at", "stall_at"])
def test_what_was_fetched_is_watched_and_the_rest_counts_as_lost(
    web: Site, long_film: Path, impatient: None, how: str
) -> None:
    size = long_film.stat().st_size
    video = Video.open(web.serve("/film.mp4", long_film, **{how: size // 2}))
    found = watched(video)
    assert found[:-1] == list(range(len(found) - 1))
    assert found[-1] >= len(found) - 2, "the last one may stand for the next"
    assert 30 <= len(found) <= 70
    assert video.damage.moments == 100 - len(found)
    assert video.damage.seconds == pytest.approx(10 - len(found) / 10, abs=0.3)
    assert video.interrupted is not None
    assert f" of {size / 1e6:.1f} MB" in video.interrupted
    (reason,) = video.damage.reasons
    assert video.interrupted == f"{web.address}/film.mp4: {reason}"
    web.pages["/film.mp4"].times = 0
    assert watched(video) == list(range(100)), "the network is there again"
    assert not video.damage
    assert video.interrupted is None


def test_a_stall_while_downloading_is_one_line(web: Site, films: dict[str, Path], impatient: None) -> None:
    address = web.serve("/film.mp4", films["index last"], ranges="ignored", stall_at=1000)
    assert "sent nothing for 0.3 seconds" in refusal(address)


def test_a_trickle_is_given_up(web: Site, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            with connection:
                while not over.wait(0.1):
                    connection.sendall(b"x")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert "has sent nothing" in refusal(f"http://127.0.0.1:{server.getsockname()[1]}/film.mp4")
        over.set()
        thread.join()


def test_a_file_that_changes_while_it_is_watched_is_not_mixed(web: Site, long_film: Path) -> None:
    data = long_film.read_bytes()
    for other in (data[:-2000] + bytes(2000), data + bytes(2000)):
        page = Page(data, hang_up_at=len(data) // 2, times=1, then=None)
        web.pages["/film.mp4"] = page
        video = Video.open(f"{web.address}/film.mp4")
        page.times = 1
        web.pages["/film.mp4"] = Page(other)
        with pytest.raises(TempoError, match="has changed while it was read"):
            watched(video)


def test_the_fingerprint_follows_the_content(web: Site, films: dict[str, Path], long_film: Path) -> None:
    one, other = films["index last"].read_bytes(), films["index first"].read_bytes()
    longer = max(len(one), len(other))
    one, other = one.ljust(longer, b"\0"), other.ljust(longer, b"\0")  # of one length
    prints: dict[str, set[str]] = {}
    for versions in (True, False):
        for ranges in ("given", "ignored"):
            seen = []
            for data in (one, other, one):
                web.serve("/film.mp4", data, versions=versions, ranges=ranges)
                seen.append(Video.open(f"{web.address}/film.mp4").fingerprint)
            assert seen[0] == seen[2] != seen[1], (versions, ranges)
            prints.setdefault(ranges, set()).add(seen[0])
    (content,) = prints["ignored"]
    assert content not in prints["given"]
    web.serve("/film.mp4", films["index last"], ranges="ignored")
    assert Video.open(f"{web.address}/film.mp4").fingerprint == Video.open(films["index last"]).fingerprint


def test_a_kept_video_is_found_again_until_it_changes(
    web: Site, films: dict[str, Path], engine: Tempo
) -> None:
    address = web.serve("/film.mp4", films["index first"])
    for path, watched_anew in (("index first", True), ("index first", False), ("index last", True)):
        web.serve("/film.mp4", films[path])
        session = engine.watch(address, cache="disk")
        assert (session.timings["watch"] > 0) == watched_anew


def test_what_was_not_fetched_is_missing_only_this_time(
    web: Site, long_film: Path, impatient: None, engine: Tempo
) -> None:
    address = web.serve("/film.mp4", long_film, hang_up_at=long_film.stat().st_size // 2)
    session = engine.watch(address, cache="disk")
    assert 4 < session.lost_seconds < 6
    assert session.route("What is it?")
    assert "cannot be fetched: the server closed the connection" in session.video.damage.reasons[-1]
    del session
    web.serve("/film.mp4", long_film)
    assert engine.watch(address, cache="disk").lost_seconds == 0


def test_nothing_that_a_file_names_is_fetched(web: Site) -> None:
    inner = web.address + "/inner.ts"
    lists = [
        f"#EXTM3U\n#EXTINF:5,\n{inner}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {inner}\n",
        f"[playlist]\nFile1={inner}\n",
        f'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        f'<AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>{inner}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ]
    for text in lists:
        for content_type in ("video/mp4", "application/octet-stream"):
            refusal(web.serve("/list", text.encode(), content_type=content_type))
    assert {path for path, _ in web.requests} == {"/list"}

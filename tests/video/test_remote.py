"""Videos and images at http addresses, served from this machine."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import clips
from tempo.errors import TempoError, UsageError
from tempo.video.clips import cut
from tempo.video.decoding import packet_reader
from tempo.video.remote import (
    RemoteFile,
    blocks,
    remote_file,
    transport,
)
from tempo.video.video import Sampling, Video
from web import OldHandler, Page, Site, site

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


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def web() -> Iterator[Site]:
    with site() as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 0.3)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Fifty pictures, ten a second, in files whose index stands at either end, or that have none."""
    folder = tmp_path_factory.mktemp("films")
    options = {"count": 50, "rate": 10, "options": {"g": "10"}}
    fast = {"container_options": {"movflags": "faststart"}}
    made = {
        "index first": clips.write(folder / "first.mp4", **options, **fast),
        "index last": clips.write(folder / "last.mp4", **options),
        "mkv": clips.write(folder / "film.mkv", **options),
        "ts": clips.write(folder / "film.ts", **options),
        "fragments": clips.write(
            folder / "fragments.mp4", **options, container_options={"movflags": "frag_keyframe+empty_moov"}
        ),
    }
    assert made["index last"].read_bytes().index(b"moov") > made["index last"].read_bytes().index(b"mdat")
    return made


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred noisy pictures with their numbers: a megabyte, the index first."""
    random = np.random.default_rng(1)

    def draw(index: int) -> np.ndarray:
        picture = clips.picture(index, (192, 128)).astype(np.int16)
        return np.clip(picture + random.integers(-60, 60, picture.shape), 0, 255).astype(np.uint8)

    return clips.write(
        tmp_path_factory.mktemp("long") / "long.mp4",
        count=100,
        rate=10,
        size=(192, 128),
        options={"g": "10", "crf": "20", "preset": "ultrafast"},
        container_options={"movflags": "faststart"},
        draw=draw,
    )


def watched(video: Video, *, rate: float = 10.0) -> list[int]:
    """The numbers of all pictures that are watched at `rate` a second."""
    times = np.arange(0.01, video.duration, 1 / rate)
    return [
        index
        for batch in video.stream(Sampling(times, rate), chunk=64)
        for index in clips.indices(batch.frames)
    ]


def refusal(address: str, **options: object) -> str:
    """The one line that an address is refused with."""
    with pytest.raises(TempoError) as caught:
        Video.open(address, **options)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    assert "Immediate exit" not in line
    return line


SERVERS = {
    "ranges": {},
    "no ranges": {"ranges": "ignored"},
    "chunked": {"ranges": "ignored", "length": "chunked"},
    "until it closes": {"ranges": "ignored", "length": "closed"},
    "claims ranges": {"ranges": "claimed"},
    "ranges, but all for all": {"ranges": "not from 0"},
    "refuses ranges": {"ranges": "refused"},
    "does not say what it sends": {"ranges": "mumbled"},
    "some of it, without saying of how much": {"part": 1000, "of": "*"},
    "gzip": {"encoding": "gzip"},
    "gzip in parts": {"encoding": "gzip", "part": 1000},
    "gzip, chunked": {"encoding": "gzip", "length": "chunked", "ranges": "ignored"},
    "in parts": {"part": 5000},
    "length that is no number": {"ranges": "ignored", "length": "many"},
}


@pytest.mark.parametrize("kind", ["index first", "index last", "mkv", "ts", "fragments"])
@pytest.mark.parametrize("server", SERVERS)
def test_every_server_gives_every_picture(web: Site, films: dict[str, Path], server: str, kind: str) -> None:
    video = Video.open(web.serve("/film", films[kind], **SERVERS[server]))
    assert watched(video) == list(range(50))
    assert not video.damage
    assert video.interrupted is None


@pytest.mark.parametrize("kind", ["index last", "ts"])
def test_old_servers_and_those_that_serve_one_at_a_time(films: dict[str, Path], kind: str) -> None:
    for ranges in ("given", "ignored", "not from 0"):
        with site(handler=OldHandler, one_at_a_time=True) as web:
            assert watched(Video.open(web.serve("/film", films[kind], ranges=ranges))) == list(range(50))


def test_of_a_long_film_only_what_is_watched_is_fetched(
    web: Site, long_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_file, "READ_ON", 1 << 16)
    monkeypatch.setattr(packet_reader, "SEEK_BYTES", 1 << 17)
    video = Video.open(web.serve("/film.mp4", long_film))
    times = np.array([0.01, 4.51, 9.01])
    (batch,) = video.stream(Sampling(times, 1.0), chunk=8)
    assert clips.indices(batch.frames) == [0, 45, 90]
    # What is on its way when the connection is left was sent too, so the positions asked for have to tell.
    asked = [headers["Range"] for _, headers in web.requests]
    assert 3 <= len(asked) <= 6
    assert asked[0] == "bytes=0-"


def test_images_and_animations(web: Site, tmp_path: Path) -> None:
    pictures = [Image.fromarray(clips.picture(index)) for index in range(5)]
    for name in ("moving.gif", "moving.webp", "moving.png"):
        pictures[0].save(
            tmp_path / name, save_all=True, append_images=pictures[1:], duration=200, lossless=True
        )
    pictures[3].save(tmp_path / "still.png")
    for options in ({}, {"ranges": "ignored", "length": "chunked"}):
        for name in ("moving.gif", "moving.webp", "moving.png"):
            video = Video.open(web.serve(f"/{name}", tmp_path / name, **options))
            assert (video.kind, video.duration) == ("video", pytest.approx(1.0))
            assert watched(video, rate=5) == [0, 1, 2, 3, 4]
            assert video.fingerprint == Video.open(tmp_path / name).fingerprint
        still = Video.open(web.serve("/still?size=large", tmp_path / "still.png", **options))
        assert (still.kind, watched_still(still)) == ("image", [3])


def watched_still(video: Video) -> list[int]:
    (batch,) = video.stream(video.sample(), chunk=1)
    return clips.indices(batch.frames)


@pytest.mark.parametrize(
    ("written", "served"),
    [
        ("/a film.mp4", "/a%20film.mp4"),
        ("/a%20film.mp4", "/a%20film.mp4"),
        ("/Übung/映画.mp4", "/%C3%9Cbung/%E6%98%A0%E7%94%BB.mp4"),
        ("/100%.mp4", "/100%25.mp4"),
        ("/film.mp4?name=a b&of=é#t=10", "/film.mp4?name=a%20b&of=%C3%A9"),
        ("/film.mp4?signed=a%2Fb%3D&x=[1]", "/film.mp4?signed=a%2Fb%3D&x=[1]"),
    ],
)
def test_addresses_as_people_write_them(web: Site, films: dict[str, Path], written: str, served: str) -> None:
    web.serve(served, films["index last"])
    assert len(watched(Video.open(web.address + written))) == 50
    assert {path for path, _ in web.requests} == {served}


def test_capital_letters(web: Site, films: dict[str, Path]) -> None:
    address = web.serve("/FILM.MP4", films["index first"])
    assert watched(Video.open(address.replace("http://", "HTTP://"))) == list(range(50))


def test_addresses_that_are_none() -> None:
    for address in (
        "http://",
        "http:///film.mp4",
        "http://[::1/film.mp4",
        "http://me:pw@host:port/film.mp4",
        "http://a b/film.mp4",
    ):
        line = refusal(address)
        assert "address" in line
        assert "pw" not in line
    assert "http://" in refusal(str(Path("http://host/film.mp4")))
    assert "ftp" in refusal("FTP://host/film.mp4")
    with pytest.raises(UsageError, match="folders"):
        Video.open("http://host/film.mp4", frame_rate=2)


def test_a_login_in_the_address_is_used_and_never_shown(web: Site, films: dict[str, Path]) -> None:
    address = web.serve("/film.mp4", films["index last"], needs="me@work:p:ss/wörd")
    assert "401" in refusal(address)
    login = "me%40work:p%3Ass%2Fw%C3%B6rd"
    video = Video.open(address.replace("http://", f"http://{login}@"))
    assert watched(video) == list(range(50))
    assert video.path == address
    line = refusal(f"{web.address.replace('http://', f'http://{login}@')}/missing.mp4")
    assert "404" in line
    assert "me%40work" not in line


def test_redirects_are_followed_and_a_login_stays_with_its_host(web: Site, films: dict[str, Path]) -> None:
    with site() as other:
        there = other.serve("/there.mp4", films["index last"])
        own = web.serve("/own.mp4", films["index last"], needs="me:secret")
        login = web.address.replace("http://", "http://me:secret@")
        web.serve("/away", b"", status=302, redirect=there)
        web.serve("/on", b"", status=307, redirect="/own.mp4")
        assert watched(Video.open(f"{login}/on")) == list(range(50))
        assert watched(Video.open(f"{login}/away")) == list(range(50))
        assert not any("Authorization" in headers for _, headers in other.requests)
        assert own
    for number, target in enumerate(("/0", "ftp://127.0.0.1/film.mp4", "file:///etc/passwd")):
        web.serve(f"/{number}", b"", status=302, redirect=target)
        assert "redirects" in refusal(f"{web.address}/{number}")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (Page(status=401), "login"),
        (Page(status=403), "403 Forbidden"),
        (Page(status=404), "no such file"),
        (Page(status=410), "no such file"),
        (Page(status=418), "418"),
        (Page(status=429), "too many requests"),
        (Page(status=500), "the server has failed (500"),
        (Page(status=503), "the server has failed (503"),
        (Page(b""), "an empty file"),
        (
            Page(b"<!DOCTYPE html><title>Log in</title>", content_type="text/html; charset=utf-8"),
            "a web page",
        ),
        (Page(b"\n <HTML><body>", content_type="video/mp4"), "a web page"),
        (Page(b"<p>No video here</p>", content_type="text/html"), "a web page"),
        (Page(b'{"error": "expired"}', content_type="application/json"), "text (application/json)"),
        (Page(b"#EXTM3U\n#EXTINF:5\nhttp://127.0.0.1:9/a.ts\n"), "a playlist"),
        (Page(b"--x\r\n\r\n", content_type="multipart/x-mixed-replace; boundary=x"), "a live picture"),
        (Page(b"nothing that anybody could watch" * 99, ranges="ignored"), "not a video"),
        (Page(b"x" * 9999, encoding="br"), "compresses it as br"),
        (
            Page(b"x" * 9999, ranges="ignored", hang_up_at=5000),
            "breaks the connection off after 5.0 kB of 10.0 kB",
        ),
        (Page(b"x" * 9999, ranges="ignored", length="chunked", hang_up_at=5000), "breaks the connection off"),
        (Page(b"x" * 9999, ranges="ignored", length="99999"), "breaks the connection off"),
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
    assert "no host of the name nowhere.invalid" in refusal("http://nowhere.invalid/film.mp4")


def test_what_answers_and_is_no_web_server(impatient: None) -> None:
    for said, expected in ((b"SSH-2.0-x\r\n", "does not speak HTTP"), (b"", "breaks the connection off")):
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
    assert "sends nothing for 0.3 seconds" in line


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
    assert "sends nothing for 0.3 seconds" in refusal(address)


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
        assert "sends nothing" in refusal(f"http://127.0.0.1:{server.getsockname()[1]}/film.mp4")
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
    assert "cannot be fetched: the server breaks the connection off" in session.video.damage.reasons[-1]
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


def test_what_is_too_large_to_be_downloaded(
    web: Site, films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPO_MAX_DOWNLOAD_GB", "0.000002")  # 2 kB
    film, size = films["index last"], films["index last"].stat().st_size
    assert size > 2_000
    for length in ("true", "chunked"):
        sent = web.sent
        line = refusal(web.serve("/film.mp4", film.read_bytes() * 5000, ranges="ignored", length=length))
        assert "too large" in line
        assert "TEMPO_MAX_DOWNLOAD_GB" in line
        assert web.sent - sent < size * 5000
    bomb = web.serve("/bomb.mp4", bytes(50_000_000), encoding="gzip")
    assert "too large" in refusal(bomb)
    assert watched(Video.open(web.serve("/film.mp4", film))) == list(range(50)), (
        "nothing has to be downloaded"
    )
    noise = np.random.default_rng(1).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert "too large" in refusal(web.serve("/noise.png", tmp_path / "noise.png"))
    monkeypatch.setenv("TEMPO_MAX_DOWNLOAD_GB", "1e9")
    line = refusal(web.serve("/film.mp4", film, ranges="ignored", length="9" * 16))
    assert "free; set TMPDIR" in line
    for wrong in ("-1", "much", "nan"):
        monkeypatch.setenv("TEMPO_MAX_DOWNLOAD_GB", wrong)
        with pytest.raises(UsageError, match="TEMPO_MAX_DOWNLOAD_GB"):
            Video.open(web.serve("/film.mp4", film, ranges="ignored"))


def test_a_download_tells_how_far_it_is(web: Site, films: dict[str, Path]) -> None:
    size = films["ts"].stat().st_size
    for length, total in (("true", size), ("chunked", None)):
        told: list[tuple[int, int | None]] = []
        address = web.serve("/film.ts", films["ts"], ranges="ignored", length=length)
        Video.open(address, progress=lambda done, all_of_it, told=told: told.append((done, all_of_it)))
        assert told[-1][0] >= size
        assert {whole for _, whole in told[:-1]} <= {total}
        assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_nothing_is_left_behind(web: Site, films: dict[str, Path], tmp_path: Path) -> None:
    address = web.serve("/film.ts", films["ts"].read_bytes() * 40, ranges="ignored", stall_at=500_000)
    code = f"import tempo; tempo.Video.open({address!r})"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        asked = len(web.requests)
        process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)})
        while len(web.requests) == asked or not open_files_in(tmp_path, process.pid):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(30)
        assert list(tmp_path.iterdir()) == []


def open_files_in(folder: Path, process: int) -> list[str]:
    """Files in `folder` that a process has open, also those without a name."""
    links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
    return [link for link in links if link.startswith(f"{folder}/")]


@pytest.mark.parametrize("has_open_files", [True, False])
def test_the_temporary_file_goes_with_the_video(
    web: Site, films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_open_files: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(blocks, "HAS_OPEN_FILES", has_open_files)
    for options in ({}, {"ranges": "ignored"}):
        video = Video.open(web.serve("/film.mp4", films["index last"], **options))
        assert len(list(tmp_path.iterdir())) == (0 if has_open_files else 1)
        assert watched(video) == list(range(50))
        del video
        gc.collect()
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk(web: Site, long_film: Path, tmp_path: Path) -> None:
    """What can be fetched again is not kept then; a download is one line."""
    code = """
import resource, sys, tempo
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
video = tempo.Video.open(sys.argv[1])
print(sum(len(batch) for batch in video.stream(video.sample(fps=10), chunk=32)))
try:
    tempo.Video.open(sys.argv[2])
except tempo.TempoError as error:
    print(error)
"""
    parts, whole = web.serve("/parts.mp4", long_film), web.serve("/whole.mp4", long_film, ranges="ignored")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, parts, whole],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    frames, line = done.stdout.splitlines()
    assert frames == "100"
    assert line.startswith(f"{whole}: cannot be downloaded to {tmp_path} (")
    assert "set TMPDIR" in line


@pytest.mark.parametrize("options", [{}, {"ranges": "ignored"}], ids=["parts", "downloaded"])
def test_clips_are_cut_out(
    web: Site, films: dict[str, Path], tmp_path: Path, options: dict[str, str]
) -> None:
    video = Video.open(web.serve("/a%20film.mkv", films["mkv"], **options))
    clip = cut(video, 2.5, 4.0, tmp_path)
    assert clip.copied
    assert clip.path.name.startswith("a film_")
    assert clip.path.suffix == ".mkv"
    assert watched(Video.open(clip.path)) == list(range(20, 40))


def test_reading_like_any_other_file(web: Site, long_film: Path) -> None:
    data = long_film.read_bytes()
    file = RemoteFile(web.serve("/film.mp4", long_film)).reader()
    random = np.random.default_rng(3)
    for offset in random.integers(0, len(data) + 1000, 100).tolist():
        assert file.seek(offset) == offset
        count = int(random.integers(0, 200_000))
        assert file.read(count) == data[offset : offset + count]
        assert file.tell() == offset + len(data[offset : offset + count])
    file.seek(-5, os.SEEK_END)
    assert file.read() == data[-5:]

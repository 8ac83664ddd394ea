"""Every kind of server, address and file gives every picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from remote_checks import refusal, watched

import clips
from tempo.errors import UsageError
from tempo.video.decoding import packet_reader
from tempo.video.remote import (
    remote_file,
)
from tempo.video.video import Sampling, Video
from web import OldHandler, Site, site

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


def watched_still(video: Video) -> list[int]:
    (batch,) = video.stream(video.sample(), chunk=1)
    return clips.indices(batch.frames)

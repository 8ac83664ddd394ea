"""Recognises what an address sends that is no video (pages, playlists, text), by its first bytes."""

from __future__ import annotations

from tempo.errors import TempoError

PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]")  # would have other files and addresses fetched
FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot")  # of MP4 and QuickTime
MATROSKA = b"\x1a\x45\xdf\xa3"
PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
TEXTS = ("application/json", "application/xml", "application/dash+xml", "text/xml", "text/json")
CAMERA = "multipart/x-mixed-replace"


def has_index(beginning: bytes) -> bool:
    """Whether this is MP4, QuickTime or Matroska, which have an index: any time is found without reading all.

    Fragmented MP4 is not: its index is spread over the whole file.
    """
    return beginning.startswith(MATROSKA) or (beginning[4:8] in FIRST_BOXES and b"mvex" not in beginning)


def check(name: str, beginning: bytes, content_type: str) -> None:
    """Raises TempoError for what cannot be a video: `beginning` are its first bytes."""
    if content_type == CAMERA:
        raise TempoError(f"{name}: an endless live stream; record a part of it and give that file")
    if not beginning:
        raise TempoError(f"{name}: the server sends an empty file; check the address")
    readable = b"\0" not in beginning
    if beginning.startswith(PLAYLISTS) or (readable and b"<MPD" in beginning):
        raise TempoError(f"{name}: a playlist, not a video; give the address of the video that it names")
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGES) or (
        readable and content_type in ("text/html", "application/xhtml+xml")
    ):
        raise TempoError(
            f"{name}: the server sends a web page, not a video; it may ask for a login, or this is the "
            "address of a page with a player: give that of the file itself"
        )
    if readable and content_type in TEXTS:
        raise TempoError(f"{name}: the server sends text ({content_type}), not a video; check the address")

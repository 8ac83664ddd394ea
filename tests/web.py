"""Web servers as they are met: with and without ranges, that redirect, ask for a login, stall and hang up."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PIECE = 1 << 14  # bytes written at once


@dataclass
class Page:
    """What is served at a path.

    Attributes:
        ranges: "given"; "ignored"; "claimed": the header is there, every answer is the whole; "not from 0":
            who asks for all of it gets that as if without a range; "refused": 416; "mumbled": 206 without
            saying of what.
        length: how its length is told: "true", "chunked", "closed" (the end of the connection is the end), or
            any other text that is sent instead.
        part: bytes sent at most in answer to a request for a range.
        of: how long the whole is said to be there, if not truly.
        hang_up_at, stall_at: byte of the file before which the connection breaks, or nothing more comes.
        times: how often that happens.
        needs: the login, as user:password.
        then: what is served from the second request on.
    """

    data: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"
    ranges: str = "given"
    length: str = "true"
    encoding: str = ""
    versions: bool = True
    part: int | None = None
    of: str = ""
    hang_up_at: int | None = None
    stall_at: int | None = None
    times: int = 1 << 30
    needs: str = ""
    redirect: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    then: Page | None = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.send_error(405)

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        page: Page | None = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        if page.then is not None:
            self.server.pages[self.path] = page.then
        self.close_connection = True
        if page.needs:
            login = "Basic " + base64.b64encode(page.needs.encode()).decode()
            if self.headers.get("Authorization") != login:
                self.send_error(401)
                return
        self.answer(page)

    def answer(self, page: Page) -> None:
        data = gzip.compress(page.data) if page.encoding == "gzip" else page.data
        start, end, status = 0, len(data), page.status
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and page.ranges == "refused":
            self.send_error(416)
            return
        if asked and (
            page.ranges in ("given", "mumbled") or (page.ranges == "not from 0" and asked[1] != "0")
        ):
            start, status = int(asked[1]), 206
            if asked[2]:
                end = min(end, int(asked[2]) + 1)
            if page.part is not None:
                end = min(end, start + page.part)
            if start >= len(data):
                self.send_error(416)
                return
        self.send_response(status)
        self.send_header("Content-Type", page.content_type)
        if page.ranges != "ignored":
            self.send_header("Accept-Ranges", "bytes")
        if status == 206 and page.ranges != "mumbled":
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{page.of or len(data)}")
        if page.versions:
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()[:16]}"')
        if page.encoding:
            self.send_header("Content-Encoding", page.encoding)
        if page.redirect:
            self.send_header("Location", page.redirect)
        for name, value in page.headers.items():
            self.send_header(name, value)
        if page.length == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        elif page.length != "closed":
            self.send_header("Content-Length", str(end - start) if page.length == "true" else page.length)
        self.end_headers()
        self.send_body(page, data, start, end)

    def send_body(self, page: Page, data: bytes, start: int, end: int) -> None:
        """Until the end, or where the page says that the connection breaks."""
        breaks = [at for at in (page.hang_up_at, page.stall_at) if at is not None and start <= at < end]
        if breaks and page.times:
            page.times -= 1
            end = max(start, breaks[0])
        else:
            breaks = []
        try:
            for at in range(start, end, PIECE):
                piece = data[at : min(at + PIECE, end)]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if page.length == "chunked" else piece)
                self.server.sent += len(piece)
            if breaks and page.stall_at is not None:
                self.wfile.flush()
                self.server.over.wait(60)
            elif page.length == "chunked" and not breaks:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass  # whoever asked has had enough


class OldHandler(Handler):
    protocol_version = "HTTP/1.0"


@dataclass
class Site:
    """A running server: its address, and what it was asked."""

    address: str
    server: Any

    @property
    def pages(self) -> dict[str, Page]:
        return self.server.pages

    @property
    def requests(self) -> list[tuple[str, dict[str, str]]]:
        return self.server.requests

    @property
    def sent(self) -> int:
        """Bytes of files."""
        return self.server.sent

    def serve(self, path: str, data: bytes | Path, **options: Any) -> str:
        """Have DATA at PATH, and return its address."""
        content = data.read_bytes() if isinstance(data, Path) else data
        self.pages[path] = Page(content, **options)
        return self.address + path


@contextmanager
def site(
    *, handler: type[Handler] = Handler, one_at_a_time: bool = False, certificate: Path | None = None
) -> Iterator[Site]:
    """Run a server on this machine. `certificate`: speak TLS with it."""
    kind = HTTPServer if one_at_a_time else ThreadingHTTPServer
    server: Any = kind(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.pages, server.requests, server.sent, server.over = {}, [], 0, threading.Event()
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        scheme = "https" if certificate else "http"
        yield Site(f"{scheme}://127.0.0.1:{server.server_port}", server)
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()

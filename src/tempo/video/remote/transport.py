"""Makes GET requests for byte ranges and reads the responses."""

from __future__ import annotations

import re
import ssl
import time
import zlib
from http.client import HTTPMessage, HTTPResponse
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from tempo.version import __version__

from .addresses import Address
from .failures import (
    NETWORK_ERRORS,
    FetchError,
    amount,
    failure,
)

PATIENCE = 30.0  # seconds without a byte
LONGEST = 4  # times PATIENCE that a block may take in all
REFUSALS = frozenset({400, 405, 406, 416, 501})  # from servers that reject range requests
DECODED = frozenset({"gzip", "x-gzip", "deflate"})
PIECE = 1 << 16  # bytes of compressed data read at once


class Client:
    """Requests one address. Follows redirects to http and https, goes through the proxies of the environment,
    and checks certificates."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._opener = OpenerDirector()
        for handler in (
            ProxyHandler(),
            HTTPHandler(),
            HTTPSHandler(context=ssl.create_default_context()),
            _Redirects(),
            HTTPErrorProcessor(),
            HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    def get(self, start: int | None) -> Response:
        """Ask for the file from byte `start` on; None: for the whole, without a word of ranges.

        Raises FetchError.
        """
        request = Request(self._address.url, headers={"User-Agent": f"tempo-video/{__version__}"})
        request.add_header("Accept", "*/*")
        request.add_header("Accept-Encoding", "identity")
        if start is not None:
            request.add_header("Range", f"bytes={start}-")
        if self._address.authorization:
            request.add_unredirected_header("Authorization", self._address.authorization)
        try:
            answer = self._opener.open(request, timeout=PATIENCE)
            assert isinstance(answer, HTTPResponse)
            return Response(self._address, answer)
        except NETWORK_ERRORS as error:
            if isinstance(error, HTTPError):
                error.close()
            raise failure(self._address, error, patience=PATIENCE) from error


class _Redirects(HTTPRedirectHandler):
    """Follows redirects; credentials are sent on only to the same host."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        there = urlsplit(newurl)
        if there.scheme not in ("http", "https"):
            raise HTTPError(req.full_url, code, msg, headers, fp)
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        login = req.unredirected_hdrs.get("Authorization")
        if further is not None and login and there[:2] == urlsplit(req.full_url)[:2]:
            further.add_unredirected_header("Authorization", login)
        return further


class Response:
    """The response to a request.

    Attributes:
        start: which byte of the file its body begins with.
        end: the offset after its last byte; None if it does not say.
        size: of the whole file; None where it does not say.
        partial: whether it is a part of the file.
        ranged: whether it is the requested part, so that other parts can be requested too.
        names_ranges: whether it claims that ranges can be asked for.
        tag, modified: names of the version of the file, "" where there are none.
        content_type: what it claims to be, without parameters, in lower case.
    """

    def __init__(self, address: Address, answer: HTTPResponse) -> None:
        """Raises FetchError for a body that cannot be read."""
        self._address, self._answer = address, answer
        headers = answer.headers
        self.tag = headers.get("ETag", "")
        self.modified = headers.get("Last-Modified", "")
        self.content_type = headers.get_content_type() if "Content-Type" in headers else ""
        self.names_ranges = "bytes" in headers.get("Accept-Ranges", "").lower()
        self.start = self.position = 0
        chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()  # which outdoes a length
        self.size = self.end = None if chunked else _whole_number(headers.get("Content-Length"))
        self.ranged, self.partial = False, answer.status == 206
        if self.partial:
            self._read_range(headers.get("Content-Range", ""))
        encoding = headers.get("Content-Encoding", "identity").strip().lower() or "identity"
        self._inflate: Any = None
        self._inflated = b""
        if encoding != "identity":
            if encoding not in DECODED:
                self.close()
                raise FetchError(
                    f"{address.shown}: the server compresses it as {encoding}; download the file"
                )
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
            # The lengths are those of the compressed data.
            self.size = self.end = None
            self.ranged = self.names_ranges = False

    def _read_range(self, content_range: str) -> None:
        found = re.fullmatch(r"\s*bytes\s+(\d+)-(\d+)/(\d+|\*)\s*", content_range)
        if not found:
            self.close()
            raise FetchError(
                f"{self._address.shown}: the server does not say which part it sends", status=416
            )
        self.start = self.position = int(found[1])
        self.end = int(found[2]) + 1
        self.size = None if found[3] == "*" else int(found[3])
        self.ranged = self.size is not None and self.start < self.end <= self.size

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end. Raises FetchError where the end comes too early."""
        parts: list[bytes] = []
        begun = time.monotonic()
        try:
            while count:
                part = self._some(count)
                if not part:
                    break
                parts.append(part)
                count -= len(part)
                self.position += len(part)
                if time.monotonic() - begun > LONGEST * PATIENCE:
                    raise TimeoutError
        except (*NETWORK_ERRORS, ValueError) as error:  # ValueError: it was closed meanwhile
            self.close()
            raise failure(self._address, error, patience=PATIENCE, after=self._so_far()) from error
        except zlib.error as error:
            raise FetchError(
                f"{self._address.shown}: arrives damaged ({error}); download the file"
            ) from error
        if count and self.end is not None and self.position < self.end:
            raise failure(self._address, ConnectionResetError(), patience=PATIENCE, after=self._so_far())
        return b"".join(parts)

    def _so_far(self) -> str:
        return amount(self.position) + (f" of {amount(self.size)}" if self.size else "")

    def _some(self, most: int) -> bytes:
        """As much as is there, at least a byte; nothing at the end."""
        if self._inflate is None:
            return self._answer.read1(most)
        while not self._inflated:
            if self._inflate.eof and self._inflate.unused_data:  # several members, one after the other
                left = self._inflate.unused_data
                self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
            else:
                left = self._inflate.unconsumed_tail or self._answer.read1(PIECE)
            self._inflated = self._inflate.decompress(left, PIECE)
            if not left and not self._inflated:
                if not self._inflate.eof:
                    raise ConnectionResetError
                return b""
        part, self._inflated = self._inflated[:most], self._inflated[most:]
        return part

    def close(self) -> None:
        """Hang up."""
        self._answer.close()


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\s*\d{1,19}\s*", text) else None

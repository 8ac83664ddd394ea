"""Parses http(s) addresses as users write them: with spaces, umlauts, credentials, capital letters."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from tempo.errors import TempoError

ALLOWED = "/:@!$&'()*+,;=~%"  # characters that stay in a path: RFC 3986, and % of what is encoded already


@dataclass(frozen=True)
class Address:
    """A parsed http(s) address.

    Attributes:
        url: what is requested: encoded, without credentials and without a fragment.
        shown: what the user wrote, without credentials: for messages and results.
        authorization: value of the header that logs in; None: the address names no user.
    """

    url: str
    shown: str
    authorization: str | None = None

    @property
    def host(self) -> str:
        """With its port, if the address names one."""
        return urlsplit(self.url).netloc

    @property
    def suffix(self) -> str:
        """Ending of the file's name, in lower case: ``.mp4``."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).suffix.lower()


def without_login(text: str) -> str:
    """An address without its user name and password, to be shown."""
    return re.sub(r"(?<=://)[^/?#]*@", "", text, count=1)


def parse(text: str) -> Address:
    """Read an http(s) address. Raises TempoError where it names no host, or a port that there is none of."""
    try:
        parts = urlsplit(text)
        port = parts.port
        host = _ascii(parts.hostname or "")
        path = _encoded(parts.path or "/", ALLOWED)
        query = _encoded(parts.query, ALLOWED + "?[]|")
    except ValueError as error:  # encoding errors are among them
        raise TempoError(f"{without_login(text)}: not a valid address ({error}); check it") from None
    if not host:
        raise TempoError(
            f"{without_login(text)}: the address names no host; it looks like https://host/video.mp4"
        )
    place = host if port is None else f"{host}:{port}"
    url = urlunsplit((parts.scheme, place, path, query, ""))
    if parts.username is None:
        return Address(url, text)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Address(url, without_login(text), "Basic " + base64.b64encode(login).decode("ascii"))


def _ascii(host: str) -> str:
    if ":" in host:
        return f"[{host}]"  # IPv6
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _encoded(text: str, safe: str) -> str:
    """Percent-encode what is not allowed in an address, and leave what is encoded already."""
    text = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return quote(text, safe=safe, errors="surrogateescape")

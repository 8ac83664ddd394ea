"""Explains errors of the network and of servers, each in one line that says what to do."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from urllib.error import HTTPError, URLError
from urllib.request import getproxies, proxy_bypass

from tempo.errors import TempoError

from .addresses import Address

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that may be gone at the next try
UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})

NETWORK_ERRORS = (OSError, http.client.HTTPException)  # what urllib and http.client raise


class FetchError(TempoError):
    """An address cannot be fetched.

    Attributes:
        reason: the message without the address.
        passing: whether the same request may succeed later.
        changed: whether the file on the server is another one than at the beginning.
        status: HTTP status; 0 if there was none.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        passing: bool = False,
        changed: bool = False,
        status: int = 0,
    ) -> None:
        super().__init__(message)
        self.reason = reason or message
        self.passing, self.changed, self.status = passing, changed, status


def amount(count: int) -> str:
    """A number of bytes, human-readable."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size / 20:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def failure(address: Address, error: BaseException, *, patience: float, after: str = "") -> FetchError:
    """What `error`, one of NETWORK_ERRORS, means for the user.

    Args:
        patience: seconds that were waited for the server.
        after: how much had come by then.
    """
    if isinstance(error, FetchError):
        return error
    if isinstance(error, HTTPError):
        return _of_status(address, error)
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    what, passing = _of_connection(address, error, patience, f" after {after}" if after else "")
    return _refusal(address, what, passing=passing)


def _refusal(address: Address, what: str, *, passing: bool, status: int = 0) -> FetchError:
    reason = f"cannot be fetched: {what}"
    return FetchError(f"{address.shown}: {reason}", reason=reason, passing=passing, status=status)


def _of_status(address: Address, error: HTTPError) -> FetchError:
    code = error.code
    said = f"{code} {http.client.responses.get(code, '')}".strip()
    if code in (404, 410):
        what = f"the server has no such file ({said}); check the address"
    elif code == 401:
        what = f"the server asks for a login ({said}); put it into the address: https://USER:PASSWORD@HOST/…"
    elif code == 403:
        what = (
            f"the server refuses access ({said}); the address may have expired or need a login: "
            "download the file with a browser"
        )
    elif code == 407:
        what = f"the proxy asks for a login ({said}); put it into https_proxy: http://USER:PASSWORD@PROXY"
    elif code == 429:
        what = f"the server has too many requests ({said}); try again later"
    elif code in REDIRECTS:
        what = f"the address redirects without end or to nothing that can be fetched ({said}); check it"
    elif code >= 500:
        what = f"the server failed ({said}); try again later"
    else:
        what = f"the server rejects the request ({said}); check the address"
    return _refusal(address, what, passing=code in PASSING, status=code)


def _of_connection(address: Address, error: BaseException, patience: float, after: str) -> tuple[str, bool]:
    """(what to say, whether it may pass)."""
    if isinstance(error, TimeoutError):
        return (
            f"the server has sent nothing for {patience:g} seconds{after}; try again, or download it",
            True,
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({error.verify_message}); check the address, or set "
            "SSL_CERT_FILE to the certificates that you trust"
        ), False
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "error").replace("_", " ").lower()
        return f"no encrypted connection can be made ({reason}); is it an http address?", False
    if isinstance(error, socket.gaierror):
        return f"the host {_peer(address)} is not found; check the address and the network", (
            error.errno == socket.EAI_AGAIN
        )
    if isinstance(error, ConnectionRefusedError):
        return f"nothing answers at {_peer(address)}; check the address, and that the server runs", True
    if isinstance(error, ConnectionError | http.client.IncompleteRead):
        return f"the server closed the connection{after}; try again, or download it", True
    if isinstance(error, http.client.InvalidURL):
        return f"not a valid address ({error}); check it", False
    if isinstance(error, http.client.HTTPException):
        return "the server does not speak HTTP; check the address", False
    if str(error).startswith("Tunnel connection failed"):
        return f"the proxy {_peer(address)} refuses the connection ({error}); ask who runs it", False
    if getattr(error, "errno", None) in UNREACHABLE:
        return f"{_peer(address)} cannot be reached; check the address and the network", True
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{reason}; check the address and the network", True


def _peer(address: Address) -> str:
    """Whom we speak to: the host, or the proxy that stands before it."""
    scheme = address.url.partition(":")[0]
    proxy = None if proxy_bypass(address.host) else getproxies().get(scheme)
    return f"{proxy.rpartition('@')[2].rpartition('//')[2]} (your proxy)" if proxy else address.host

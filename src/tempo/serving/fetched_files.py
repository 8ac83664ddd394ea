"""Videos behind addresses: fetched once, revalidated after that, and never from the server's own network."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tempo.version import __version__

from .api_errors import ApiError
from .uploads import too_large

_MOST_REDIRECTS = 5
_CHUNK = 1 << 20
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # addresses of IPv4 in IPv6


@dataclass(frozen=True)
class FetchPolicy:
    """What may be fetched.

    Attributes:
        domains: hosts that are allowed; empty: all.
        allow_private: whether private, loopback and link-local addresses are.
        limit_bytes, timeout: of one video, in bytes and seconds.
        keep_bytes: of all that are kept for the next request.
    """

    domains: tuple[str, ...] = ()
    allow_private: bool = False
    limit_bytes: int = 2 * 10**9
    timeout: float = 120.0
    keep_bytes: int = 20 * 10**9


@dataclass
class _Fetched:
    path: Path
    bytes: int
    validators: dict[str, str]


class FetchedFiles:
    """Files by their addresses. While the server behind an address says that it has not changed, a file is
    not fetched again; what was not used for longest is removed first."""

    def __init__(self, folder: Path, policy: FetchPolicy) -> None:
        self.folder, self.policy = folder, policy
        self.bytes_fetched = 0
        self._files: OrderedDict[str, _Fetched] = OrderedDict()
        self._lock = threading.Lock()
        timeout = httpx2.Timeout(policy.timeout, connect=15)
        self._client = httpx2.Client(follow_redirects=False, timeout=timeout)

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def keep(self, name: str, content: bytes) -> Path:
        """Store what came with a request, like a file that was fetched."""
        with self._lock:
            known = self._files.get(name)
        if known is None:
            known = _Fetched(self.folder / f"sent-{secrets.token_hex(12)}", len(content), {})
            try:
                known.path.write_bytes(content)
            except OSError:  # the disk is full
                known.path.unlink(missing_ok=True)
                raise
        return self._use(name, known)

    def get(self, address: str, gone: Callable[[], bool]) -> Path:
        """The file behind an address.

        Args:
            gone: whether nobody waits for it any more; asked while it comes in.

        Raises:
            ApiError: it may not be fetched, cannot be, or is too large.
        """
        with self._lock:
            known = self._files.get(address)
        headers = dict(known.validators) if known else {}
        headers |= {"User-Agent": f"tempo/{__version__}", "Accept": "*/*"}
        try:
            with self._open(address, headers) as response:
                if response.status_code == 304 and known is not None:
                    return self._use(address, known)
                if response.status_code != 200:
                    raise ApiError(
                        422, f"{address}: the server answers {response.status_code}; check the URL"
                    )
                fetched = self._store(response, gone)
        except httpx2.TimeoutException as error:
            raise ApiError(422, f"{address}: the server does not answer in time; try again later") from error
        except httpx2.HTTPError as error:
            raise ApiError(422, f"{address}: cannot be fetched ({error}); check the URL") from error
        return self._use(address, fetched)

    def _use(self, address: str, fetched: _Fetched) -> Path:
        with self._lock:
            old = self._files.pop(address, None)
            self._files[address] = fetched
            if old is not None and old.path != fetched.path:
                old.path.unlink(missing_ok=True)  # who reads it has it open
            while (
                len(self._files) > 1 and sum(f.bytes for f in self._files.values()) > self.policy.keep_bytes
            ):
                _, oldest = self._files.popitem(last=False)
                oldest.path.unlink(missing_ok=True)
        return fetched.path

    def _store(self, response: httpx2.Response, gone: Callable[[], bool]) -> _Fetched:
        limit = self.policy.limit_bytes
        told = response.headers.get("content-length", "")
        if told.isdigit() and int(told) > limit:
            raise too_large(limit)
        path, size = self.folder / f"fetched-{secrets.token_hex(12)}", 0
        try:
            with path.open("wb") as file:
                for chunk in response.iter_bytes(_CHUNK):
                    size += len(chunk)
                    self.bytes_fetched += len(chunk)
                    if size > limit:
                        raise too_large(limit)
                    if gone():
                        raise ApiError(503, "the client is gone")
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        validators = {
            header: response.headers[name]
            for name, header in (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
            if name in response.headers
        }
        return _Fetched(path, size, validators)

    def _open(self, address: str, headers: dict[str, str]) -> _Response:
        """Follow redirects by hand: every host on the way has to be allowed."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send(address, headers)
            if not response.is_redirect:
                return _Response(response)
            target = response.headers.get("location", "")
            response.close()
            try:
                address = str(httpx2.URL(address).join(target))
            except httpx2.InvalidURL as error:
                raise ApiError(422, f"{address}: leads to what is no address ({error})") from error
        raise ApiError(422, f"{address}: redirects too often; give the address that it leads to")

    def _send(self, address: str, headers: dict[str, str]) -> httpx2.Response:
        url = _checked(address)
        if self.policy.domains and url.host not in self.policy.domains:
            raise ApiError(403, f"{url.host}: this server does not allow videos from this host")
        # The connection goes to the very address that was looked at: a name could lead elsewhere by then.
        where = self._resolve(url)
        request = self._client.build_request(
            "GET",
            url.copy_with(host=where),
            headers=headers | {"Host": url.netloc.decode()},
            extensions={"sni_hostname": url.host},
        )
        return self._client.send(request, stream=True)

    def _resolve(self, url: httpx2.URL) -> str:
        """The address of a host. Raises ApiError where it is private, or there is none."""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter for what can be no name
            raise ApiError(422, f"{url.host}: no such host; check the URL") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not self.policy.allow_private and not all(map(_is_public, addresses)):
            raise ApiError(
                403, f"{url.host}: resolves to a private address, which this server does not allow"
            )
        return addresses[0]


class _Response:
    """A response that is closed when it was read."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    def __enter__(self) -> httpx2.Response:
        return self._response

    def __exit__(self, *_: object) -> None:
        self._response.close()


def _parsed(address: str) -> httpx2.URL:
    try:
        return httpx2.URL(address)
    except httpx2.InvalidURL as error:
        raise ApiError(400, f"not an address: {error}") from error


def _checked(address: str) -> httpx2.URL:
    url = _parsed(address)
    if url.scheme not in ("http", "https") or not url.host:
        raise ApiError(400, f"{address}: give an http(s) address")
    return url


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if ip in _NAT64:
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.is_global and not ip.is_multicast and (inner is None or inner.is_global)


def local_file(address: str, allowed: Path | None) -> Path:
    """The file of a ``file://`` address, symbolic links resolved.

    Raises:
        ApiError: it is not beneath the folder that is allowed, or not there.
    """
    url = _parsed(address)
    if allowed is None or url.host not in ("", "localhost"):
        raise ApiError(403, "this server opens no local files; send the video, or give an http(s) address")
    try:
        path = Path(os.path.realpath(url.path))
        found = path.is_file()
    except (OSError, ValueError) as error:  # too long, or with a zero in it
        raise ApiError(422, f"{url.path!r}: can be no file; check the path") from error
    if not path.is_relative_to(os.path.realpath(allowed)):
        raise ApiError(403, f"{url.path}: this server opens files beneath {allowed} only")
    if not found:
        raise ApiError(422, f"{url.path}: no such file; check the path")
    return path

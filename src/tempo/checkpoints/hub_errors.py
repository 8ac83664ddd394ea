"""Why the hub did not give a model, and what to do about it: a line for each kind of refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tempo.errors import is_full

PROXY = "if your network needs a proxy, set HTTPS_PROXY"


def explained(name: str, error: BaseException) -> str:
    """One line without the model's name: what happened, then what to do.

    Args:
        name: the model's name on the hub.
        error: what the hub's client raised. It wraps errors in others, so those behind it count too.
    """
    from huggingface_hub import constants

    endpoint = constants.ENDPOINT
    chain = list(_chain(error))
    if told := _refused(f"{endpoint}/{name}", chain):
        return told
    if told := _unreachable(endpoint, chain):
        return told
    return f"the Hub did not return it ({_line(error)}); check the name and the network"


def is_web_page(beginning: bytes) -> bool:
    """Whether what came in place of a file is a page, which a proxy or the portal of a network has sent."""
    start = beginning.lstrip()[:64].lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml"))


def web_page(endpoint: str) -> str:
    """What to say where a web page came in the hub's place."""
    return (
        f"{endpoint} returned a web page instead of the Hub; open it in a browser and log in to the "
        f"network, or, {PROXY}"
    )


def _refused(page: str, chain: list[BaseException]) -> str | None:
    """The hub, or what stands between, said no."""
    from huggingface_hub import errors, get_token

    status = next((code for one in chain if (code := _status(one)) is not None), None)
    log_in = "log in with `hf auth login`, or set HF_TOKEN"
    if _any(chain, errors.GatedRepoError):
        if get_token() is None:
            return f"its authors require you to accept terms; accept them on {page}, then {log_in}"
        return f"your account has no access; accept the terms on {page} and wait until access is granted"
    if _any(chain, errors.DisabledRepoError):
        return f"the Hub has disabled it; see {page}"
    if _any(chain, errors.HFValidationError):
        return "not a valid Hub name; use owner/model"
    if _any(chain, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError):
        return f"the repository lacks the requested file; see {page}"
    if _any(chain, errors.RepositoryNotFoundError) or status == 404:
        return f"the Hub has no model of this name; check the name on {page}, and if it is private, {log_in}"
    if status == 401:
        return (
            "the Hub rejects your token; log in again with `hf auth login`, or unset HF_TOKEN if the "
            "model is public"
        )
    if status == 403:
        return (
            f"access is forbidden (403); if {page} opens in a browser, give your token read access, "
            "or ask your network's administrator to allow it"
        )
    if status == 407:
        return "your proxy needs a password; set HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
    if status == 429:
        return f"the Hub refuses further requests for now (429); wait a few minutes, or {log_in}"
    if status is not None and status >= 500:
        return f"the Hub, or a proxy in front of it, failed ({status}); try again later"
    return None


def _unreachable(endpoint: str, chain: list[BaseException]) -> str | None:
    """Nobody answered, or somebody who is not the hub."""
    from huggingface_hub import errors

    text = " ".join(str(one) for one in chain)
    if _any(chain, errors.OfflineModeIsEnabled) or "HF_HUB_OFFLINE" in text:
        return "HF_HUB_OFFLINE is set; unset it, or first download the model with: tempo download"
    if full := next((one for one in chain if isinstance(one, OSError) and is_full(one)), None):
        return f"it cannot be written ({_line(full)}); free some space, or set HF_HOME to another folder"
    if isinstance(denied := chain[0], PermissionError):
        return f"it cannot be written ({_line(denied)}); set HF_HOME to another folder"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            f"the certificate of {endpoint} is not trusted; if a proxy of your network signs it, name its "
            "certificate in SSL_CERT_FILE"
        )
    if any(
        type(one).__name__ in ("JSONDecodeError", "FileMetadataError", "TooManyRedirects") for one in chain
    ):
        return web_page(endpoint)
    if reason := next((one for one in reversed(chain) if _of_network(one)), None):
        return f"{endpoint} cannot be reached ({_line(reason)}); check the network, and {PROXY}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised from."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def _any(chain: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(one, kinds) for one in chain)


def _status(error: Any) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def _of_network(error: BaseException) -> bool:
    """By name, since the client's versions stand on several HTTP libraries."""
    library = type(error).__module__.split(".")[0]
    return isinstance(error, ConnectionError | TimeoutError) or library in (
        *("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "socket"),
    )


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

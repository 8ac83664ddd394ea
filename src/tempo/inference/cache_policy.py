"""Where the question-free part of a watched video is kept: which places are tried, in which order."""

from __future__ import annotations

from typing import Literal, get_args

from tempo.errors import UsageError

CacheKind = Literal["device", "host", "disk", "none", "auto"]
CACHES: tuple[CacheKind, ...] = get_args(CacheKind)


def check_kind(cache: str) -> CacheKind:
    """Raises UsageError for a place that does not exist."""
    if cache not in CACHES:
        raise UsageError(f"cache={cache!r}: choose from {', '.join(CACHES)}")
    return cache


def places(cache: CacheKind, *, on_disk: bool = False, several: bool = False) -> list[CacheKind]:
    """Where to keep a video; the first place with enough room is taken.

    A place that was named is the only one. "auto" reads what is on disk already. Else it keeps nothing for a
    single question, and for several whatever fits: on the device, on the host, on disk, in the end nowhere.

    Args:
        on_disk: whether the disk has this video already.
        several: whether more than one question will be asked.
    """
    if cache != "auto":
        return [cache]
    order: list[CacheKind] = []
    if on_disk:
        order.append("disk")
    if several:
        order += ["device", "host", "disk"]
    return [*dict.fromkeys(order), "none"]

"""Format times, sizes and untrusted texts for people."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """Return SECONDS as ``mm:ss``, or as ``h:mm:ss`` from one hour; fractions are dropped."""
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    if minutes < 60:
        return f"{minutes:02d}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def clock_span(start: float, end: float) -> str:
    """START and END as clock times; to tenths of a second where both are within one."""
    first, last = clock(start), clock(end)
    if first != last:
        return f"{first}–{last}"
    if start == end:
        return first
    return "–".join(f"{clock(one)}.{int(one * 10) % 10}" for one in (start, end))


def printable(text: str) -> str:
    """Return TEXT with control characters replaced, which could steer a terminal; newlines and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def counted(count: int, noun: str) -> str:
    """Return COUNT with its NOUN: ``1 moment``, ``3 moments``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(count: int) -> str:
    """Return COUNT bytes in the largest decimal unit that fits: ``1.2 GB``."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"

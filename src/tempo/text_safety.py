"""Texts that came from outside and may hold what UTF-8 cannot."""


def whole_text(text: str) -> str:
    """TEXT with a question mark in the place of every half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode("utf-8")

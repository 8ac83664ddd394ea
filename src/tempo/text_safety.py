"""Makes text from outside encodable as UTF-8."""


def whole_text(text: str) -> str:
    """TEXT with a question mark in the place of every half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode("utf-8")

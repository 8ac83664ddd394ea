"""The words that questions are asked in."""

from __future__ import annotations

import pytest

from tempo.synthetic.templates import (
    FOLLOW_UPS,
    FOLLOW_UPS_HELD_OUT,
    GLOBAL_HELD_OUT,
    GLOBAL_TEMPLATES,
    HELD_OUT,
    TEMPLATES,
    WIDE_HELD_OUT,
    WIDE_TEMPLATES,
)


def plainly(text: str) -> str:
    """`text` but for spelling, capitals and its last mark, none of which makes another wording of it."""
    return text.lower().replace("color", "colour").replace("summarize", "summarise").rstrip("?.")


@pytest.mark.parametrize(
    ("trained", "held_out"),
    [
        (TEMPLATES, HELD_OUT),
        (GLOBAL_TEMPLATES, GLOBAL_HELD_OUT),
        (WIDE_TEMPLATES, WIDE_HELD_OUT),
        (FOLLOW_UPS, FOLLOW_UPS_HELD_OUT),
    ],
)
def test_held_out_wordings_are_never_trained_on(
    trained: dict[str, tuple[str, ...]], held_out: dict[str, tuple[str, ...]]
) -> None:
    assert trained.keys() == held_out.keys()
    for kind, wordings in trained.items():
        assert not set(map(plainly, wordings)) & set(map(plainly, held_out[kind]))

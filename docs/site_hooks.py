"""What the documentation site does to pages that are read in the repository too."""

import re
from typing import Any

# Up and out of docs/, or into a folder as such.
OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./[^)\s]*|[^):\s]*/)\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to files of the repository that are no pages become plain text: the site stands without them."""
    return OUTSIDE.sub(r"\1", markdown)

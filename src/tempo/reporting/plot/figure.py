"""`Figure`: a drawing that notebooks show and that can be saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike

from tempo.reporting.output_path import check_output, write_output

from .png import to_png
from .shapes import Drawing
from .svg import to_svg

FORMATS: dict[str, Callable[[Drawing], str | bytes]] = {".png": to_png, ".svg": to_svg}


@dataclass(frozen=True, repr=False)
class Figure(Drawing):
    """A drawing. Notebooks show it as SVG."""

    def save(self, path: str | PathLike[str]) -> None:
        """Write it in the format that PATH ends in, .png or .svg; the file appears once it is whole.

        Raises:
            UsageError, TempoError: as :func:`tempo.reporting.output_path.check_output`, or it cannot be
                written.
        """
        path = check_output(path, FORMATS)
        write_output(path, FORMATS[path.suffix.lower()](self))

    def _repr_svg_(self) -> str:
        return to_svg(self)

    def __repr__(self) -> str:
        return f"Figure({self.title!r}, {self.width}×{self.height})"

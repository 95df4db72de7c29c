"""Figures that are composed and not rendered, which is most of a report's time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG

NO_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63600000"
    "0002000148afa4710000000049454e44ae426082"
)
NO_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'


def not_rendered(patch: Callable[[Any, str, Any], object]) -> None:
    """Set, by `patch`, what writes a figure to what writes an empty one."""

    def png(_canvas: Any, out: Any, **_: Any) -> None:
        out.write(NO_PNG)

    def svg(_canvas: Any, out: Any, **_: Any) -> None:
        out.write(NO_SVG)

    patch(FigureCanvasAgg, "print_png", png)
    patch(FigureCanvasSVG, "print_svg", svg)

"""How every figure looks and how it becomes bytes: the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from liqbt.report import formatting as fmt

INK: Final = "#1a1a1a"
GREY: Final = "#6b6b6b"
LONG: Final = "#1f5fa8"
SHORT: Final = "#b8500a"
NULL: Final = "#8a8a8a"
"""Blue and orange stay apart for every common colour blindness, and differ in lightness."""

_STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "text.parse_math": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "liqbt",
    "path.simplify": True,
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A finished picture.

    Attributes
    ----------
    name : str
        Its file name, without a folder.
    title, caption : str
        What the page says above and below it.
    alt : str
        What it shows, for a reader who cannot see it.
    data : bytes
        PNG or SVG, by the name's ending.
    """

    name: str
    title: str
    caption: str
    alt: str
    data: bytes


@contextmanager
def drawing() -> Iterator[None]:
    """Draw under the project's style, whatever the user's own settings are; restore them after."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]
        yield


def canvas(width: float, height: float) -> Canvas:
    """Return an empty figure of so many inches, without touching pyplot."""
    return Canvas(figsize=(width, height), layout="constrained")


def as_png(figure: Canvas, dpi: int = 110) -> bytes:
    """Return the figure as PNG, without metadata.

    Drawn by the canvas itself: `savefig` would draw everything twice.
    """
    buffer = io.BytesIO()
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def as_svg(figure: Canvas) -> bytes:
    """Return the figure as SVG, without metadata and with fixed identifiers."""
    buffer = io.BytesIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def label(name: str, limit: int = 24) -> str:
    r"""Return a foreign name as the figures' font can draw it: printable ASCII, shortened.

    Examples
    --------
    >>> label("BTC$\\frac\n"), label("币USDT")
    ('BTC$\\frac?', '?USDT')
    """
    shown = fmt.one_line(name, limit)
    return "".join(c if c.isascii() or c == "…" else "?" for c in shown)

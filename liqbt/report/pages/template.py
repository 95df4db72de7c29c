"""How templates become pages."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import jinja2
import markupsafe

from liqbt.report.figures.style import Figure

_HERE: Final = Path(__file__).resolve().parent
_MARKDOWN_SPECIAL = "\\`*_[]#|~$"


def _data_uri(figure: Figure) -> str:
    kind = "png" if figure.name.endswith(".png") else "svg+xml"
    return f"data:image/{kind};base64,{base64.b64encode(figure.data).decode('ascii')}"


def _markdown(value: object) -> markupsafe.Markup:
    """Escape a foreign string for Markdown: markup, tables and inline HTML stay text."""
    out = []
    for char in " ".join(str(value).split()):
        entity = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(char, char)
        out.append(f"\\{char}" if char in _MARKDOWN_SPECIAL else entity)
    return markupsafe.Markup("".join(out))


def _code(value: object) -> markupsafe.Markup:
    """Write a foreign string as a Markdown code span."""
    text = " ".join(str(value).split()).replace("`", "'")
    return markupsafe.Markup("`" + text.replace("<", "‹").replace(">", "›") + "`")


def page_environment() -> jinja2.Environment:
    """Return how templates become pages: escaped, strict about names, with the page's filters."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(data_uri=_data_uri, md=_markdown, code=_code)
    return environment


def style_sheet() -> markupsafe.Markup:
    """Return the pages' style sheet."""
    return markupsafe.Markup((_HERE / "report.css").read_text(encoding="utf-8"))

"""How templates become pages."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
import markupsafe

from liqbt.report.figures.style import Figure
from liqbt.report.traced import untraced

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


def page_environment(trace: Callable[[object], str] = untraced) -> jinja2.Environment:
    """Return how templates become pages: escaped, strict about names, with the page's filters.

    Parameters
    ----------
    trace : callable
        Says where a cell was read; "" for what is no number of a row.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(data_uri=_data_uri, md=_markdown, code=_code, trace=trace)
    return environment


def style_sheet() -> markupsafe.Markup:
    """Return the pages' style sheet."""
    return markupsafe.Markup((_HERE / "report.css").read_text(encoding="utf-8"))


def write_page(
    out_dir: Path,
    name: str,
    context: Mapping[str, Any],
    *,
    figures: Iterable[Figure] = (),
    document: Mapping[str, Any] | None = None,
) -> Path:
    """Write a page of its own into a folder, with its figures and its document as files.

    Parameters
    ----------
    out_dir : Path
        A folder, made where need be. Each file is written whole or not at all.
    name : str
        Of the page and its document, and of the template `name.html.j2`.
    context : mapping
        What the template lays out.
    figures : iterable of Figure
        Written beside the page, which holds them too.
    document : mapping, optional
        The page's values (no NaN), written beside it as JSON.

    Returns
    -------
    Path
        The HTML page, which holds its pictures and styles and asks nothing of the network.
    """
    template = page_environment().get_template(f"{name}.html.j2")
    files = {figure.name: figure.data for figure in figures}
    if document is not None:
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        files[f"{name}.json"] = f"{text}\n".encode()
    files[f"{name}.html"] = template.render(css=style_sheet(), **context).encode()
    out_dir.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        partial = out_dir / f".{file}.{os.getpid()}.tmp"
        try:
            partial.write_bytes(data)
            partial.replace(out_dir / file)
        finally:
            partial.unlink(missing_ok=True)
    return out_dir / f"{name}.html"

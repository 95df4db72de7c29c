"""Build the documentation site: `python research/docs/build.py` (or `make site`), into build/site.

Pages are Markdown files of `research/`, readable where they lie: links between them lead to pages,
links to other files of the checkout become their paths. What the code can say itself is written
from it: command line, files, claims, estimators, API, glossary. Any warning is an error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESEARCH = ROOT / "research"
HERE = RESEARCH / "docs"
sys.path[:0] = [str(ROOT), str(HERE)]

import reference  # noqa: E402

Nav = list[dict[str, "str | Nav"]]
LINK = re.compile(r"(?<!`)(!?)\[([^\]\n]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^ *```.*?^ *```|^(?: {4}|\t).*?$)", flags=re.DOTALL | re.MULTILINE)
INCLUDED = re.compile(r"^\[[^\]]+\]\((\.\.[^)#]*\.md)#([\w.-]+)\)$", flags=re.MULTILINE)
HOW_TO = ("source", "column-maps", "estimator", "claim", "forecasts", "search", "register")
HOW_TO += ("forward", "trading", "executors", "storage", "ci")
NOTEBOOKS = ("own-data", "read-a-verdict", "trade-the-levels", "new-estimator")
LEADING = ("index.md", "verdicts/page.md")  # pages of research that stand at the edge
MARKDOWN_EXTENSIONS = ("tables", "toc", "attr_list", "pymdownx.highlight", "pymdownx.superfences")


def title(text: str) -> str:
    """Return a page's first heading."""
    found = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    assert found, f"a page without a heading: {text[:60]!r}"
    return found[1].replace("`", "")


def cells(path: Path) -> tuple[str, str]:
    """Return a notebook as Markdown, and what of it is code."""
    parts, code = [], []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            code.append(text)
            text = f"```python\n{text}\n```"
        parts.append(text)
    return "\n\n".join(parts) + "\n", "\n".join(code)


def sources() -> dict[Path, str]:
    """Return the site's place of every file that it shows, `README.md` becoming a folder's page."""
    found = {
        ROOT / "README.md": "index.md",  # links to it lead home
        ROOT / "experiments/sources/README.md": "how-to/column-maps.md",
    }
    for path in sorted(RESEARCH.rglob("*")):
        part = path.relative_to(RESEARCH)
        if path.suffix in (".md", ".png", ".ipynb") and ".ipynb_checkpoints" not in part.parts:
            place = part.as_posix().replace("README.md", "index.md").replace(".ipynb", ".md")
            top = part.parts[0]
            own = ("docs", "decisions", "notebooks")
            found[path] = place.removeprefix("docs/") if top in own else f"research/{place}"
    return found


def section(path: Path, name: str) -> str:
    """Return what a page includes of another: a file that the README shows, or a claim's table."""
    text = path.read_text(encoding="utf-8")
    if path.name == "README.md":
        shown = re.search(rf"^```\w+\n# {re.escape(name)}\n.*?^```$", text, flags=re.M | re.S)
        assert shown, f"{path}: no file {name} is shown"
        return shown[0]
    [claim] = [p for p in re.split(r"^## ", text, flags=re.M) if re.match(rf"[\w ]*{name}:", p)]
    rows = [line.strip("|").split("|") for line in claim.splitlines() if line.startswith("|")]
    kept = [i for i in range(len(rows[0])) if any(row[i].strip() != "—" for row in rows[2:])]
    return "\n".join(f"|{'|'.join(row[i] for i in kept)}|" for row in rows)


def moved(text: str, path: Path, places: dict[Path, str]) -> str:
    """Return a page's text with its links as they are on the site."""
    text = INCLUDED.sub(lambda m: section((path.parent / m[1]).resolve(), m[2]), text)
    generated = {HERE / name for name in reference.PAGES}

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        file, hash_, anchor = target.partition("#")
        if "://" in target or not file:
            return found[0]
        aim = (path.parent / file).resolve()
        place = places.get(aim / "README.md" if aim.is_dir() else aim)
        if aim in generated:
            place = aim.relative_to(HERE).as_posix()
        if place is not None:
            start = Path(places[path]).parent
            return f"{picture}[{words}]({os.path.relpath(place, start)}{hash_}{anchor})"
        assert aim.exists(), f"{path}: {target} is neither a page nor a file"
        return f"{words} (`{aim.relative_to(ROOT)}`)"

    parts = FENCE.split(text)
    return "".join(p if i % 2 else LINK.sub(link, p) for i, p in enumerate(parts))


def navigation(pages: dict[str, str]) -> Nav:
    """Return what stands at the site's edge, in reading order."""

    def named(prefix: str, ending: tuple[str, ...] = (".md",)) -> Nav:
        found = (p for p in sorted(pages) if p.startswith(prefix) and p.endswith(ending))
        return [{title(pages[p]): p} for p in found]

    return [
        {"Home": "index.md"},
        {"Concepts": "concepts.md"},
        {"Tutorial": "tutorial.md"},
        {"How to": [{title(pages[p]): p} for n in HOW_TO if (p := f"how-to/{n}.md")]},
        {"Notebooks": [{title(pages[p]): p} for n in NOTEBOOKS if (p := f"notebooks/{n}.md")]},
        {"Reference": [{title(pages[p]): p} for p in reference.PAGES]},
        {"Questions": "faq.md"},
        {"Research": named("research/", LEADING)},
        {"Decisions": named("decisions/")},
    ]


def toml(value: str | bool | list | dict) -> str:
    """Return a value in TOML's words, which for text and truth are JSON's."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)} = {toml(v)}' for k, v in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def write_pages(folder: Path) -> dict[str, str]:
    """Write every page and picture; return the pages' text by their place."""
    places, pages = sources(), {}
    for path, place in places.items():
        out = folder / place
        out.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            shutil.copyfile(path, out)
        elif path != ROOT / "README.md":
            text = cells(path)[0] if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
            pages[place] = moved(text, path, places)
    pages |= {name: page() for name, page in reference.PAGES.items()}
    for place, text in pages.items():
        out = folder / place
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    reference.write_schemas(folder / "reference")
    return pages


def build(folder: Path) -> Path:
    """Build the site below a folder, strict; return where it is.

    Raises
    ------
    subprocess.CalledProcessError
        If a page has a link that leads nowhere, or anything else that is warned of.
    """
    shutil.rmtree(folder / "pages", ignore_errors=True)
    pages = write_pages(folder / "pages")
    shutil.copyfile(HERE / "extra.css", folder / "pages" / "extra.css")
    project = {
        "site_name": "liqbt",
        "site_description": "Backtest liquidation levels, beside what no information scores",
        "copyright": "Apache-2.0. Nothing here is investment advice.",
        "docs_dir": "pages",
        "site_dir": "site",
        "use_directory_urls": False,  # pages open from disk, too
        "extra_css": ["extra.css"],
        "markdown_extensions": {name: {} for name in MARKDOWN_EXTENSIONS},
        "nav": navigation(pages),
        "theme": {
            "font": False,  # nothing is fetched
            "features": ["navigation.tabs", "navigation.top", "search.highlight"],
        },
    }
    lines = ["[project]", *(f"{key} = {toml(value)}" for key, value in project.items())]
    (folder / "zensical.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "NO_COLOR": "1"})
    return folder / "site"


if __name__ == "__main__":
    print(build(ROOT / "build") / "index.html")

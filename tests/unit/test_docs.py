"""The documentation stays true: the site builds strict, links lead somewhere, commands parse."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import click
import pytest
from browser import browser, chromium

from liqbt.cli import cli

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "research/docs"
NOTEBOOKS = ROOT / "research/notebooks"
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def builder():
    for needed in ("zensical", "griffe"):
        pytest.importorskip(needed, reason="the site needs liqbt[docs]")
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


@pytest.fixture(scope="module")
def site(builder, tmp_path_factory):
    return builder.build(tmp_path_factory.mktemp("site"))


@pytest.mark.nightly
def test_links_of_the_built_site_lead_somewhere_and_nothing_is_fetched(site):
    """Beside what the builder warns of, which ends it: every address in the HTML."""
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    ids = {path: set(re.findall(r'\sid="?([^"\s>]+)', text)) for path, text in pages.items()}
    assert len(pages) > 80
    followed = 0
    for path, text in pages.items():
        if path.name == "404.html":
            continue
        for target in re.findall(r'<a [^>]*?href="?([^"\s>]+)', text):
            if "://" in target:
                continue
            file, _, anchor = unquote(target).partition("#")
            aim = (path.parent / file).resolve() if file else path
            aim = aim / "index.html" if aim.is_dir() else aim
            assert aim.is_file(), f"{path.relative_to(site)}: {target}"
            assert not anchor or anchor in ids.get(aim, {anchor}), f"{path}: {target}"
            followed += 1
        fetched = re.findall(r"<(?:script|img|link|iframe)[^>]*?(?:src|href)=\"?(//|https?:)", text)
        assert not fetched, path
    assert followed > 5000


@pytest.mark.skipif(chromium() is None, reason="no Chromium: apt-get install chromium")
def test_a_served_page_is_drawn_and_asks_no_other_host(site, tmp_path):
    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, browser(tmp_path) as chrome:
        Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}/"
        chrome.open(f"{host}faq.html", width=390, height=844)
        chrome.until(
            "performance.getEntriesByType('resource').some(e => /search.json/.test(e.name))"
        )
        assert chrome.complaints() == []
        asked = chrome.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
        assert [name for name in asked if not name.startswith((host, "data:", "blob:"))] == []
        assert chrome.evaluate("document.documentElement.scrollWidth <= innerWidth")
        chrome.open(f"{host}index.html")
        assert chrome.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
        server.shutdown()


def test_a_page_that_leads_nowhere_ends_the_build(builder, tmp_path):
    page = DOCS / "index.md"
    with pytest.raises(AssertionError, match="neither a page nor a file"):
        builder.moved("[a](../no/such.md)", page, builder.sources())
    assert builder.moved("[a](../../Makefile)", page, builder.sources()) == "a (`Makefile`)"


def test_every_command_that_is_shown_is_one(site):
    shown = 0
    for folder in (".", "how-to", "reference"):
        for path in (site.parent / "pages" / folder).glob("*.md"):
            text = path.read_text(encoding="utf-8").replace("\\\n", " ")
            for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, flags=re.M | re.S):
                for line in block.splitlines():
                    command_line, _, _ = line.partition(" > ")
                    name, *arguments = shlex.split(command_line, comments=True) or [""]
                    if name != "liqbt":
                        assert name in ("", "export", "pip", "python"), line
                        continue
                    command: click.Command = cli
                    while isinstance(command, click.Group) and arguments:
                        command = command.commands[arguments.pop(0)]
                    with command.make_context(line, arguments):
                        shown += 1
    assert shown > 60


def test_the_reference_names_every_command_key_claim_and_estimator(site, builder):
    pages = {p.stem: p.read_text() for p in (site.parent / "pages/reference").glob("*.md")}
    assert all(
        f"## {name}\n" in pages["cli"] for name, _ in builder.reference.commands(cli, "liqbt")
    )
    schema = json.loads((site / "reference/experiment.schema.json").read_text())
    assert all(f"| `{key}` |" in pages["files"] for key in schema["properties"])
    assert all(claim.words in pages["claims"] for claim in builder.reference.REGISTER)
    known = builder.reference.registered_estimators()
    assert all(f"\n## {name}\n" in pages["estimators"] for name in known)
    import liqbt

    assert all(f"### liqbt.{name}\n" in pages["api"] for name in liqbt.__all__)
    assert "Verdict: withheld" in pages["glossary"]


def test_numbers_of_the_questions_stand_on_the_pages_that_they_name():
    """A number with a decimal is one of a linked page, which a command writes anew."""
    checked = 0
    for part in (DOCS / "faq.md").read_text(encoding="utf-8").split("\n## "):
        names = re.findall(r"\]\((\.\./[^)#]+\.md)", part)
        known = "".join((DOCS / name).read_text(encoding="utf-8") for name in names)
        for number in NUMBER.findall(part):
            assert number in known, (number, names)
            checked += 1
    assert checked >= 3


def shows(source: str, names: dict[str, object]) -> None:
    """Run a cell as a notebook would: what its last line is, is shown."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        getattr(value, "_repr_html_", value.__repr__)()


@pytest.mark.slow
@pytest.mark.nightly
def test_the_notebooks_run(tmp_path, monkeypatch, builder):
    """In a folder of their own, one after another: two read the run of the first."""
    monkeypatch.chdir(tmp_path)
    named = builder.NOTEBOOKS
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(named)
    for name in named:
        names: dict[str, object] = {"__name__": "__main__"}
        for cell in json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [], "a notebook is kept without outputs"
                shows("".join(cell["source"]), names)
    assert len(list(tmp_path.glob("notebook-work/results/*/*/report.html"))) == 2

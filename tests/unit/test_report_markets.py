"""A report of many markets: a few are shown, each has a page, and no row of scores is on none."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_run import FakeRun, make_run

from liqbt.errors import ConfigError
from liqbt.report.narrative import headline
from liqbt.report.pages.run import drawn_markets, write_report
from liqbt.report.scores import of_markets, score_symbols
from liqbt.study.executors import in_processes

NAMES = ("AA", "BB/B", "CC", "DD", "EE")


@pytest.fixture(scope="module")
def run() -> FakeRun:
    return make_run(NAMES, n=40)


@pytest.fixture(scope="module")
def folder(run: FakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many")
    write_report(run, path)
    return path


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}


def rows_of(page: str) -> set[int]:
    return {int(i) for i in re.findall(r'title="metrics\.json\[(\d+)\]', page)}


def test_every_row_of_scores_is_on_the_first_page_or_on_its_markets_page(run, pages):
    first = rows_of(pages["report.html"])
    of = {i: score.symbol for i, score in enumerate(run.scores)}
    assert {of[i] for i in first} == {"pooled", *NAMES[:3]}
    pooled = {i for i, symbol in of.items() if symbol == "pooled"}
    for number, name in enumerate(NAMES, 1):
        [page] = [text for file, text in pages.items() if file.startswith(f"{number}-")]
        assert rows_of(page) - pooled == {i for i, symbol in of.items() if symbol == name}
    assert set(of) == {i for page in pages.values() for i in rows_of(page)}


def test_every_link_leads_to_a_page_and_every_page_back(folder, pages):
    links = re.findall(r'href="(markets/[^"]+)"', pages["report.html"])
    assert [link.split("/")[1].split("-")[0] for link in links] == ["1", "2", "3", "4", "5"]
    assert all((folder / link).is_file() for link in links)
    assert len(links) == len(list((folder / "markets").iterdir()))
    for link in links:
        back = re.findall(r'href="([^"#]+)"', (folder / link).read_text(encoding="utf-8"))
        assert back == ["../report.html"]
    in_words = re.findall(r"\]\((markets/[^)]+)\)", (folder / "report.md").read_text())
    assert in_words == links


def test_the_first_markets_are_shown_and_the_page_says_so(run, pages):
    said = pages["report.html"]
    assert "are of all 5 markets" in said
    assert "shows AA, BB/B, CC: the first in the order of the configuration" in said
    assert pages["1-aa.html"].count("<img") == 2
    assert "<img" not in pages["4-dd.html"]
    assert "Not drawn" in pages["4-dd.html"]
    assert "A row of one market decides nothing" not in said
    assert headline(run).startswith("AA, BB/B, CC and 2 others, 24 h")


def test_markets_that_are_asked_for_are_drawn(run, tmp_path):
    assert drawn_markets(run, None) == ["AA", "BB/B", "CC"]
    assert drawn_markets(run, "all") == list(NAMES)
    assert drawn_markets(run, "4") == ["AA", "BB/B", "CC", "DD"]
    assert drawn_markets(run, "EE, AA") == ["AA", "EE"]
    with pytest.raises(ConfigError, match="--markets: found 'XX'; expected 'all', how many"):
        write_report(run, tmp_path / "none", markets="AA,XX")
    assert not (tmp_path / "none").exists()
    write_report(run, tmp_path, markets="DD")
    said = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "shows DD: which were asked for, maybe after results were seen" in said
    assert (tmp_path / "markets" / "4-dd.html").read_text(encoding="utf-8").count("<img") == 2
    assert "<img" not in (tmp_path / "markets" / "1-aa.html").read_text(encoding="utf-8")


def test_bytes_do_not_depend_on_where_markets_are_drawn(run, folder, tmp_path):
    write_report(run, tmp_path, in_processes(2))
    files = sorted(path.relative_to(folder) for path in folder.rglob("*.*"))
    for file in files:
        assert (folder / file).read_bytes() == (tmp_path / file).read_bytes(), file


def test_a_run_of_some_markets_keeps_what_all_of_them_say(run):
    some = of_markets(run, ["EE"])
    assert score_symbols(some) == ["pooled", "EE"]
    assert headline(some) == headline(run)
    assert score_symbols(replace(run, scores=(), flow=())) == ["pooled"]

"""Every section of the methodology report, on paper and on a phone, from one set of sections."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_run import FakeRun, make_run

from liqbt.report.answer import answer
from liqbt.report.blocks import TITLES
from liqbt.report.curve_tables import claims_by_market
from liqbt.report.pages.run import write_report
from liqbt.report.tables import sensitivity_table
from liqbt.report.tripod import crosswalk
from liqbt.types import VerdictWord


@pytest.fixture(scope="module")
def run() -> FakeRun:
    return make_run(("BTCUSDT",), n=40)


@pytest.fixture(scope="module")
def folder(run: FakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sections")
    write_report(run, path)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_all_eighteen_sections_are_there_in_their_order_and_none_is_empty(page, folder):
    assert list(TITLES) == list(range(1, 19))
    headings = re.findall(r"<h2>(\d+)\. ([^<]+)</h2>", page)
    assert [(int(n), title) for n, title in headings] == list(TITLES.items())
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (\d+)\. (.+)$", markdown, flags=re.MULTILINE)
    assert [(int(n), title) for n, title in found] == list(TITLES.items())
    for part in re.split(r"<section id=\"section-\d+\">", page)[1:]:
        body = re.sub(r"<h2>.*?</h2>", "", part.split("</section>")[0])
        assert re.search(r"\w{4}", re.sub(r"<[^>]+>", "", body)), part[:200]


def test_what_is_not_there_is_said_in_a_sentence_with_its_reason(page):
    said = re.findall(r'<p class="absent">([^<]+)</p>', page)
    for beginning in ("No ranking", "No e-process", "No test of selection", "No gain of visits"):
        [sentence] = [text for text in said if text.startswith(beginning)]
        assert len(sentence) > 50
    assert all(text.endswith(".") for text in said)


def test_contents_lead_to_every_section(page):
    links = re.findall(r'<a href="#([^"]+)">', page)
    anchors = re.findall(r'<section id="([^"]+)">', page)
    assert links == [anchor for anchor in anchors if anchor != "verdicts"]
    assert len(set(anchors)) == len(anchors)


def test_the_first_screen_has_the_answer_the_map_and_the_verdicts_in_that_order(page):
    places = [page.index(x) for x in ('class="lede"', "<img", '<th scope="row"', "<nav")]
    assert places == sorted(places)
    head = page[: page.index("<nav")]
    assert "Takes" in head
    assert head.count("<img") == 1


def test_a_map_to_explore_is_linked(folder):
    assert (folder / "explore.html").is_file()
    link = '<a class="explore" href="explore.html">Explore the map</a>'
    assert link in (folder / "report.html").read_text()
    assert "[Explore the map](explore.html)" in (folder / "report.md").read_text()


def test_tables_become_cards_on_a_phone_and_folds_open_on_paper(page):
    cells = re.findall(r"<td[^>]*>", page)
    assert len(cells) > 200
    assert all("data-head=" in cell for cell in cells)
    css = page.split("</style>")[0]
    phone = css[css.index("max-width: 44rem") : css.index("@media print")]
    assert "content: attr(data-head)" in phone
    assert "details::details-content" in css[css.index("@media print") :]


def test_a_choice_that_changes_nothing_is_not_repeated(run):
    base = next(
        s
        for s in run.scores
        if (s.statistic, s.symbol, s.horizon, s.side) == ("mirror_lift", "BTCUSDT", "24h", "both")
    )
    same = {"name": "another price", **{k: getattr(base, k) for k in base.__dataclass_fields__}}
    moved = {**same, "name": "later", "value": 0.5}
    table, unchanged = sensitivity_table(replace(run, sensitivities=(same,)))
    assert table.rows == ()
    assert unchanged == "Not moved by any choice: Lift over mirror (24 h)."
    table, unchanged = sensitivity_table(replace(run, sensitivities=(moved, same)))
    assert [row[2] for row in table.rows] == ["as configured", "later"]
    assert unchanged == ""


def test_the_answer_counts_verdicts_and_never_says_more_than_they_do(run):
    text = " ".join(answer(run))
    assert "Of 2 claims about these levels, none is supported" in text
    assert "2 withheld" in text
    assert re.search(r"visited [\d.]+% of \d+ clusters, where a random walk would have", text)
    lifted = tuple(
        replace(v, score=replace(v.score, value=0.3, ci_low=0.2, ci_high=0.4, null=0.0))
        for v in run.verdicts
    )
    text = " ".join(answer(replace(run, verdicts=lifted)))
    assert "without its verdict none of them is a finding" in text
    below = tuple(
        replace(v, score=replace(v.score, value=-0.3, ci_low=-0.4, ci_high=-0.2, null=0.0))
        for v in run.verdicts
    )
    assert "magnet (against the claim)" in " ".join(answer(replace(run, verdicts=below)))
    found = tuple(replace(v, word=VerdictWord.SUPPORTED) for v in lifted)
    text = " ".join(answer(replace(run, verdicts=found)))
    assert "2 are supported" in text
    assert "none of them is a finding" not in text


def test_markets_stand_side_by_side_where_there_are_several():
    two = make_run(n=30)
    renamed = tuple(replace(s, statistic="near_drift", horizon="4h") for s in two.scores[:1])
    table = claims_by_market(replace(two, scores=(*two.scores, *renamed)))
    assert claims_by_market(make_run(("BTCUSDT",), n=30)) is None
    if table is not None:
        assert table.head[2:] == ("pooled", "BTCUSDT", "ETHUSDT")


def test_the_crosswalk_has_every_item_of_the_checklist_once():
    numbers = [row[0] for row in crosswalk().rows]
    assert {int(re.match(r"\d+", n)[0]) for n in numbers} == set(range(1, 23))
    assert len(set(numbers)) == len(numbers) == 37
    for row in crosswalk().rows:
        for n in map(int, re.findall(r"section[s]? (\d+)", row[2])):
            assert n in TITLES

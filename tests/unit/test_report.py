"""The page: self-contained, escaped, the same bytes, and no hit rate without its null."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_run import NAN, FakeRun, make_outcomes, make_run

from liqbt.report.narrative import headline
from liqbt.report.notes import planted_truth
from liqbt.report.pages.run import write_report
from liqbt.report.tables import score_tables
from liqbt.types import CLUSTER_DTYPE, Forecast, Score, Side, VerdictWord

pytestmark = pytest.mark.usefixtures("undrawn")

VOID = {"meta", "img", "br", "link", "input", "hr"}
HOSTILE = '<script>alert("x")</script>$\\frac{1}{|`*_[a](b)'


class Page(HTMLParser):
    """Collects tags, attributes and text; fails on a tag closed out of order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def written(run: FakeRun, folder: Path) -> tuple[Page, str]:
    folder.mkdir(parents=True, exist_ok=True)
    path = write_report(run, folder)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return Page(text), (folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run() -> FakeRun:
    return make_run(n=360)


@pytest.fixture(scope="module")
def small() -> FakeRun:
    return make_run(("BTCUSDT",), n=60)


@pytest.fixture(scope="module")
def folder(run: FakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of `run`, written once for the tests that only read it."""
    path = tmp_path_factory.mktemp("report")
    written(run, path)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def markdown(folder: Path) -> str:
    return (folder / "report.md").read_text(encoding="utf-8")


@pytest.mark.drawn
def test_same_run_same_bytes(run: FakeRun, folder: Path, tmp_path: Path) -> None:
    written(run, tmp_path)
    files = sorted(p.relative_to(folder) for p in folder.rglob("*.*"))
    # page, text, curves, explorer; map, recent and levels twice; three of scores, and drift
    assert len(files) == 4 + 2 * 3 + 4
    for file in files:
        assert (folder / file).read_bytes() == (tmp_path / file).read_bytes(), file


@pytest.mark.drawn
def test_user_settings_do_not_reach_the_figures(small: FakeRun, tmp_path: Path) -> None:
    import matplotlib as mpl

    written(small, tmp_path / "a")
    with mpl.rc_context({"font.size": 30.0, "svg.hashsalt": "other", "axes.facecolor": "red"}):
        written(small, tmp_path / "b")
        assert mpl.rcParams["font.size"] == 30.0
    for name in ("report.html", "report.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_page_asks_nothing_of_the_network_and_names_its_pictures(page: Page, folder: Path) -> None:
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "form", "base"}
    for _, attributes in page.tags:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in {"src", "href", "action", "style"}:
                inside = (value or "").startswith(("data:image/", "#"))
                assert inside or value == "explore.html", (key, value)
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 2 * 3 + 4
    assert all(len(p["alt"] or "") > 40 for p in pictures)
    css = (folder / "report.html").read_text(encoding="utf-8").split("</style>")[0]
    assert "url(" not in css
    assert "@import" not in css
    headings = [tag for tag, _ in page.tags if tag == "h1"]
    assert len(headings) == 1


def test_markdown_names_figures_that_exist(markdown: str, folder: Path) -> None:
    named = re.findall(r"\]\((figures/[^)]+)\)", markdown)
    assert len(named) == 10
    assert all((folder / name).is_file() for name in named)
    tables = re.findall(r"(?:^\|.*\|\n)+", markdown, flags=re.MULTILINE)
    assert len(tables) >= 10
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table


def test_figures_hold_no_date_and_no_program(folder: Path) -> None:
    for path in (folder / "figures").iterdir():
        data = path.read_bytes()
        for word in (b"Matplotlib", b"Software", b"dc:date", b"matplotlib.org"):
            assert word not in data, (path.name, word)


def hostile_run() -> FakeRun:
    run = make_run((HOSTILE,), n=60)
    manifest = {
        **run.manifest,
        "experiment": HOSTILE,
        "description": HOSTILE,
        "versions": {HOSTILE: HOSTILE},
        "claims": {"magnet": {"words": HOSTILE, "smallest_effect": 0.02}},
    }
    manifest["symbols"][HOSTILE].update(
        price=HOSTILE, price_stand_in=HOSTILE, instruments=[HOSTILE]
    )
    verdicts = tuple(replace(v, reason=HOSTILE) for v in run.verdicts)
    sensitivities = tuple({**row, "name": HOSTILE} for row in run.sensitivities)
    return replace(run, manifest=manifest, verdicts=verdicts, sensitivities=sensitivities)


@pytest.mark.drawn
def test_hostile_names_stay_text(tmp_path: Path) -> None:
    run = hostile_run()
    page, text = written(run, tmp_path)
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.words().count(HOSTILE) >= 8
    assert "<script" not in text
    assert "<script" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    inside = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")}
    assert "figures/map-1-script-alert-x-script-frac-1-a-b.png" in inside
    outside_code = re.sub(r"^    .*$", "", text.replace("\\`", ""), flags=re.MULTILINE)
    assert "[a](b)" not in re.sub(r"`[^`]*`", "", outside_code)


@pytest.mark.drawn
def test_names_without_glyphs_and_control_characters(tmp_path: Path) -> None:
    symbol = "币安\n\x1b[31m🚀" + "ok" * 150
    page, _ = written(make_run((symbol,), n=30), tmp_path)
    assert "币安??[31m🚀okok" in page.words()
    assert "\x1b" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def without(forecast: Forecast, side: Side) -> Forecast:
    density = forecast.density_usd.copy()
    density[0 if side == Side.LONG else 1] = 0.0
    clusters = forecast.clusters[forecast.clusters["side"] != side]
    return replace(forecast, density_usd=density, clusters=clusters)


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ((Side.LONG,), ["no cluster below", "nearest above"]),
        ((Side.SHORT,), ["no cluster above", "nearest below"]),
        ((Side.LONG, Side.SHORT), ["no cluster above", "no cluster below"]),
    ],
)
@pytest.mark.drawn
def test_a_side_without_clusters(
    small: FakeRun, tmp_path: Path, sides: tuple[Side, ...], words: list[str]
) -> None:
    forecasts = small.maps["BTCUSDT"]
    for side in sides:
        forecasts = [without(f, side) for f in forecasts]
    market = {"BTCUSDT": (forecasts, small.paths["BTCUSDT"])}
    page, _ = written(
        replace(small, maps={"BTCUSDT": forecasts}, table=make_outcomes(market)), tmp_path
    )
    for word in words:
        assert word in page.words()


def emptied(run: FakeRun) -> FakeRun:
    """The same run, in which no episode could be scored."""
    nothing = {"value": NAN, "null": NAN, "ci_low": NAN, "ci_high": NAN, "mde": NAN}
    scores = tuple(replace(s, **nothing, n_episodes=0, n_days=0) for s in run.scores)
    bands = tuple(
        {**b, "hit_rate": NAN, "ci_low": NAN, "ci_high": NAN, "null": NAN, "mirror_rate": NAN}
        | {"n_episodes": 0, "n_days": 0}
        for b in run.bands
    )
    flow = tuple({**f, "episodes": 0, "censored": 0, "scored": 0, "eligible": 0} for f in run.flow)
    verdicts = tuple(
        replace(v, word=VerdictWord.NOT_TESTABLE, reason="No episode.", score=None)
        for v in run.verdicts
    )
    return replace(
        run,
        scores=scores,
        bands=bands,
        flow=flow,
        verdicts=verdicts,
        sensitivities=(),
        table=run.table.slice(0, 0),
    )


@pytest.mark.drawn
def test_zero_episodes(small: FakeRun, tmp_path: Path) -> None:
    page, text = written(emptied(small), tmp_path)
    words = page.words()
    assert "no episode could be scored; verdicts: magnet and direction not testable" in words
    assert "No episode could be scored, so nothing can be said." in words
    assert "effect found" not in words
    for found in (words, text):
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b", found)


@pytest.mark.drawn
def test_no_forecast_at_all(small: FakeRun, tmp_path: Path) -> None:
    run = emptied(replace(small, maps={"BTCUSDT": []}))
    page, _ = written(run, tmp_path)
    assert "BTCUSDT: no forecast was issued" in page.words()
    assert "there is no map" in page.words()


@pytest.mark.drawn
def test_run_without_scores_or_bands(small: FakeRun, tmp_path: Path) -> None:
    bare = replace(small, scores=(), bands=(), flow=(), verdicts=(), sensitivities=())
    page, _ = written(bare, tmp_path)
    assert "This run tests no claim." in page.words()


def test_one_market_is_not_shown_twice(small: FakeRun, tmp_path: Path) -> None:
    page, _ = written(small, tmp_path)
    table = page.words().split("Both sides together")[1].split("All statistics")[0]
    assert "BTCUSDT 24 h" in table
    assert "pooled" not in table


def test_simulated_market_states_its_truth_beside_the_figures(
    small: FakeRun, tmp_path: Path, page: Page
) -> None:
    planted = {
        **small.manifest,
        "simulated": True,
        "planted": {"world": "w", "seed": 1, "magnet": 1.5},
    }
    shown, _ = written(replace(small, manifest=planted), tmp_path)
    assert shown.words().count("(world w, seed 1) with a planted effect: magnet 1.5") >= 4
    assert "nothing planted" not in shown.words()
    assert "Simulated market" not in page.words()
    nothing = {**planted, "planted": {"world": "w", "seed": 1, "magnet": 0.0}}
    truth = planted_truth(replace(small, manifest=nothing))
    assert truth is not None
    assert "the true effect is zero" in truth


def test_stand_in_price_is_named(small: FakeRun, tmp_path: Path) -> None:
    manifest = {**small.manifest}
    about = {**manifest["symbols"]["BTCUSDT"], "price_stand_in": "last-price bars of x/Y"}
    manifest["symbols"] = {"BTCUSDT": about}
    page, _ = written(replace(small, manifest=manifest), tmp_path)
    assert "In place of the mark, which this run lacks: last-price bars of x/Y." in page.words()
    assert "price in place of mark" in page.words()
    assert "No mark price was at hand" in page.words()


def test_every_hit_rate_has_its_null_beside_it(page: Page, markdown: str) -> None:
    for sentence in re.split(r"(?<=[.;])\s", page.words()):
        if re.search(r"hit rate [\d.]+%", sentence):
            assert re.search(r"random walk gives [\d.]+%|null [\d.]+%", sentence), sentence
    for table in re.findall(r"(?:^\|.*\|\n)+", markdown, flags=re.MULTILINE):
        head = table.splitlines()[0]
        if "Hit rate" in head:
            assert "Null" in head
    alts = [a["alt"] or "" for tag, a in page.tags if tag == "img"]
    for alt in alts:
        assert len(re.findall(r"hit rate \d", alt)) == len(re.findall(r"null \d", alt))


def test_clusters_of_a_forecast_are_a_ladder(small: FakeRun) -> None:
    from liqbt.report.tables import level_table

    forecast = small.maps["BTCUSDT"][-1]
    table, note = level_table(forecast, "mark")
    middles = [float(row[3].replace(",", "")) for row in table.rows]
    assert middles == sorted(middles, reverse=True)
    at = table.strong[0]
    assert table.rows[at][0] == "mark"
    assert {row[0] for row in table.rows[:at]} == {"short"}
    assert {row[0] for row in table.rows[at + 1 :]} == {"long"}
    listed = len(table.rows) - 1
    omitted = sum(int(n) for n in re.findall(r"(\d+) more", note))
    assert listed + omitted == len(forecast.clusters)


def test_level_distances_by_hand(small: FakeRun) -> None:
    from liqbt.report.tables import level_rows

    clusters = np.array(
        [(-1, 110.0, 112.0, 111.0, 5e6, 0.9), (1, 89.0, 90.0, 89.5, 3e6, 0.8)], CLUSTER_DTYPE
    )
    forecast = replace(small.maps["BTCUSDT"][0], mark=100.0, sigma_1d=0.02, clusters=clusters)
    (short,) = level_rows(forecast, Side.SHORT)
    (long,) = level_rows(forecast, Side.LONG)
    assert short.near_edge == 110.0
    assert long.near_edge == 90.0
    assert short.distance == pytest.approx(0.10)
    assert long.distance == pytest.approx(-0.10)
    assert short.distance_sigma == pytest.approx(math.log(1.1) / 0.02)
    assert long.distance_sigma == pytest.approx(-math.log(0.9) / 0.02)


def test_scores_over_the_placebo_have_a_table_where_there_are_any(run, tmp_path):
    page, markdown = written(run, tmp_path / "without")
    assert "Over the placebo probability" not in page.words() + markdown
    [hit] = [
        s
        for s in run.scores
        if (s.symbol, s.statistic, s.horizon, s.side) == ("pooled", "hit_rate", "24h", "both")
    ]
    lift = replace(hit, statistic="level_lift", value=0.0123, null=0.0, ci_low=-0.02, ci_high=0.04)
    ratio = replace(lift, statistic="observed_over_expected", value=1.07, ci_low=0.9, ci_high=1.2)
    page, markdown = written(replace(run, scores=(*run.scores, lift, ratio)), tmp_path / "with")
    for text in (page.words(), markdown.replace("\\", "")):
        assert "Over the placebo probability" in text
        assert "+1.2 [−2.0, +4.0]" in text
        assert "1.07 [0.90, 1.20]" in text


def test_the_dose_response_has_a_table_where_there_is_one(run, tmp_path):
    page, markdown = written(run, tmp_path / "without")
    assert "Dose-response" not in page.words() + markdown
    [hit] = [
        s
        for s in run.scores
        if (s.symbol, s.statistic, s.horizon, s.side) == ("pooled", "hit_rate", "24h", "both")
    ]
    rows = [
        replace(hit, statistic=name, value=value, null=0.0, ci_low=-0.02, ci_high=0.04)
        for name, value in (
            ("dose_response_raw", 0.014),
            ("dose_response", 0.009),
            ("dose_response_beside_structures", 0.003),
        )
    ]
    page, markdown = written(replace(run, scores=(*run.scores, *rows)), tmp_path / "with")
    for text in (page.words(), markdown.replace("\\", "")):
        table = text[text.index("Dose-response across the mark") :]
        places = [table.index(f"{value} [−2.0, +4.0]") for value in ("+1.4", "+0.9", "+0.3")]
        assert places == sorted(places)
        assert "round numbers" in text


def test_a_statistic_that_nobody_knows_has_its_row_without_a_change_here(run, tmp_path):
    toy = replace(run.scores[0], claim="toy", statistic="toy_gain", value=0.25, null=0.0)
    toy = replace(toy, ci_low=0.15, ci_high=0.35, mde=0.14, side="both")
    page, markdown = written(replace(run, scores=(*run.scores, toy)), tmp_path)
    assert "toy toy gain pooled 4 h both 0.25 [0.15, 0.35] 0.000 0.14 —" in page.words()
    assert "| toy | toy gain | pooled | 4 h | both | 0.25 \\[0.15, 0.35\\] | 0.000 |" in markdown


def test_estimators_stand_side_by_side_and_the_page_is_of_the_first(run, tmp_path):
    def of(estimator: str, score: Score) -> Score:
        far = 0.05 if estimator == "naive" and score.statistic == "mirror_lift" else 0.0
        return replace(score, estimator=estimator, value=score.value + far)

    two = replace(run, scores=tuple(of(n, s) for n in ("reference", "naive") for s in run.scores))
    one = {"estimator": "naive", "base": "reference", "claim": "magnet", "symbol": "pooled"}
    paired = {"value": 0.05, "ci_low": 0.03, "ci_high": 0.07, "n_days": 88, "side": "both"}
    row = {**one, **paired, "horizon": "24h", "statistic": "mirror_lift"}
    alone, _ = written(two, tmp_path / "alone")
    assert "Estimators side by side" not in alone.words()
    shown = replace(two, compared=(row,))
    page, markdown = written(shown, tmp_path / "both")
    words = page.words()
    assert "Less reference [95%]" in words
    lift = "| Lift over mirror, points | pooled | 24 h |"
    first, second = (x for x in markdown.splitlines() if x.startswith(lift))
    assert first.startswith(f"{lift} reference |")
    assert first.endswith("| — |")
    assert second.startswith(f"{lift} naive |")
    assert second.endswith("| +5.0 \\[+3.0, +7.0\\] |")
    rate = "| Hit rate, % | pooled | 24 h |"
    rates = [x for x in markdown.splitlines() if x.startswith(rate)]
    assert all("| 44.0 | — |" in x for x in rates)
    assert len(rates) >= 2
    assert headline(shown) == f"reference on {headline(run)}"
    own = [table.table.rows for table in score_tables(run)]
    assert [table.table.rows for table in score_tables(shown)] == own


def test_the_price_only_twin_stands_beside_the_map_where_one_was_replayed(run, tmp_path):
    of = {"estimator": "mine", "symbol": "BTC"}
    row = {**of, "claim": "magnet", "statistic": "dose_response", "value": 0.05, "twin": 0.03}
    row |= {"null": 0.0, "difference": 0.02, "ci_low": -0.04, "ci_high": 0.08, "n_days": 90}
    alike = {**of, "correlation": 0.84, "landmarks": 90, "reason": ""}
    page, markdown = written(replace(run, twin=(alike,), twin_scores=(row,)), tmp_path / "with")
    assert "Beside the price-only twin" in page.words()
    want = "trends, points | mine | BTC | 0.84 | 5.0 | 3.0 | +2.0 \\[−4.0, +8.0\\] |"
    assert want in markdown
    assert "Beside the price-only twin" not in written(run, tmp_path / "without")[0].words()


def test_placebo_histories_stand_beside_the_map_where_some_were_replayed(run, tmp_path):
    row = {"claim": "magnet", "statistic": "near_drift", "estimator": "mine", "horizon": "4h"}
    row |= {"value": 0.5, "null": 0.0, "histories": 200, "as_good": 59, "p": 60 / 201}
    row |= {"supported": 3, "low": -0.2, "median": 0.3, "high": 0.9, "values": ()}
    beside = {**row, "statistic": "near_return_1h", "supported": None}
    page, markdown = written(replace(run, randomised=(row, beside)), tmp_path / "with")
    assert "Beside placebo histories" in page.words()
    assert "| mine | 0.50 | 0.30 \\[−0.20, 0.90\\] | 59 of 200 | 0.299 | 3 |" in markdown
    assert "| 59 of 200 | 0.299 | — |" in markdown
    assert "Beside placebo histories" not in written(run, tmp_path / "without")[0].words()


def test_horizons_without_a_row_are_left_out_and_units_are_named(run):
    kept = tuple(s for s in run.scores if s.statistic != "first_side_skill" or s.horizon == "24h")
    tables = {t.title: t.table for t in score_tables(replace(run, scores=kept))}
    first, visits = tables["Which side is reached first"], tables["Visits"]
    assert {row[1] for row in first.rows} == {"24 h"}
    assert first.head[2:] == (
        "First-side skill, millinats [95%]",
        "Detectable: First-side skill, millinats",
        "Landmarks",
        "Days",
    )
    assert visits.head[2:5] == (
        "Hit rate, % [95%]",
        "Null: a random walk, %",
        "Lift over random walk, points [95%]",
    )
    assert visits.strong == tuple(i for i, row in enumerate(visits.rows) if row[1] == "24 h")

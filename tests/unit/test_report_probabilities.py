"""Tables and diagram of calibrated probabilities, read off a run by hand."""

from __future__ import annotations

import math

import pytest
from report_run import make_run

from liqbt.report.figures.charts import reliability_figure
from liqbt.report.pages.run import write_report
from liqbt.report.tables import brier_table, score_tables
from liqbt.types import Score

pytestmark = pytest.mark.usefixtures("undrawn")

BINS = tuple(
    {
        "probability": name,
        "low": 0.1 * i,
        "high": 0.1 * (i + 1),
        "mean_probability": 0.1 * i + 0.05,
        "frequency": 0.1 * i + shift,
        "ci_low": math.nan if i == 5 else 0.1 * i + shift - 0.03,
        "ci_high": math.nan if i == 5 else 0.1 * i + shift + 0.03,
        "n_episodes": 100 + i,
    }
    for name, shift in (("full", 0.05), ("ablated", 0.06), ("brownian", 0.0))
    for i in range(6)
)
PARTS = (
    {
        "probability": "full",
        "score": 0.15,
        "miscalibration": 0.003,
        "discrimination": 0.043,
        "uncertainty": 0.19,
    },
)


def row(statistic, value, symbol="pooled"):
    return Score(
        claim="visit" if "visit" in statistic else "direction",
        symbol=symbol,
        horizon="24h",
        side="both",
        statistic=statistic,
        value=value,
        null=0.0,
        ci_low=value - 0.01,
        ci_high=value + 0.01,
        n_episodes=800,
        n_days=96,
        mde=0.014,
    )


def test_gains_are_in_millinats_beside_what_could_have_been_seen():
    run = make_run()
    titles = {table.title for table in score_tables(run)}
    assert titles == {"Visits", "Visits of dense clusters", "Which side is reached first"}
    assert brier_table(run) is None
    run = make_run(
        scores=(
            *run.scores,
            row("visit_gain", 0.002),
            row("visit_gain_over_brownian", 0.05),
            row("first_side_gain", -0.004, "BTCUSDT"),
        )
    )
    tables = {shown.title: shown.table for shown in score_tables(run)}
    visits = tables["What the map adds to a probability of a visit"]
    direction = tables["What the asymmetry adds, over models without it"]
    assert visits.head[2].endswith("over the model without the map, millinats [95%]")
    assert visits.rows[0] == (
        "pooled", "24 h", "+2 [−8, +12]", "+50 [+40, +60]", "14", "800", "96",
    )  # fmt: skip
    assert visits.rows[1][2:] == ("—",) * 5
    assert direction.rows[1][:3] == ("BTCUSDT", "24 h", "−4 [−14, +6]")
    assert all(len(cells) == len(visits.head) for cells in visits.rows)


def test_a_page_has_the_tables_and_the_diagram(tmp_path):
    run = make_run(
        reliability=BINS,
        corp=PARTS,
        scores=(*make_run().scores, row("visit_gain", 0.002), row("first_side_gain", 0.0)),
    )
    folder = tmp_path / "not" / "there"
    page = write_report(run, folder).read_text()
    text = (folder / "report.md").read_text()
    assert "What the map adds to a probability of a visit" in page
    assert "What the asymmetry adds, over models without it" in page
    assert "Whether probabilities of a visit came true" in page
    assert "| with the map | 0.1500 | 0.0030 | 0.0430 | 0.1900 |" in text
    for name in ("reliability-visit-gains.svg", "forest-direction-gains.svg"):
        assert f"figures/{name}" in text
        assert (folder / "figures" / name).is_file()


def test_bins_that_miss_the_diagonal_are_counted():
    figure = reliability_figure(BINS, name="r.svg")
    assert "with the map: 0 of 6 bins miss the diagonal" in figure.alt
    assert "random walk: 5 of 6 bins miss the diagonal" in figure.alt


@pytest.mark.parametrize("keep", [0, 1])
def test_a_probability_that_nothing_was_issued_for_has_an_empty_panel(keep):
    figure = reliability_figure(BINS[: 6 * keep], name="r.svg")
    assert "without the map: 0 of 0 bins" in figure.alt

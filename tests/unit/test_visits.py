"""P(visit): levels by hand, models like a plain optimiser, nothing later seen, gains where due."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from evaluation_world import (
    MAP_SIGMA,
    START,
    bars,
    brownian_market,
    evidence_with,
    map_forecast,
    map_market,
    points,
    reflected,
)
from scipy.optimize import minimize

from liqbt.errors import DataError
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.evaluate import Evaluation, evaluate, scored
from liqbt.evaluation.evidence import Evidence, observe
from liqbt.evaluation.funding import Funding
from liqbt.evaluation.levels import VISIT_DTYPE, cluster_levels, unit_levels
from liqbt.learn.models import VISIT_MODELS, fit_visits, predict_visits
from liqbt.learn.walk import ModelOptions
from liqbt.study.pipeline import Study
from liqbt.study.tables import run_parquet, run_tables
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, Side

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,))
OPTIONS = ModelOptions()
GAINS = [s for s in STATISTICS if "levels" in s.needs]


def levels(seed, n_days=120, per_day=8, effect=0.0):
    """A table of levels of which the densest are visited more often by `effect` in log odds."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(n_days * per_day, VISIT_DTYPE)
    rows["at"] = np.repeat(START + np.arange(n_days) * DAY_NS, per_day)
    rows["matured_ns"] = rows["at"] + DAY_NS + MINUTE_NS + 1
    rows["brownian"] = rng.uniform(0.05, 0.9, len(rows))
    rows["density_rank"] = rng.uniform(0, 1, len(rows))
    for name in ("asymmetry", *VISIT_MODELS["ablated"]):
        rows[name] = rng.normal(0, 1, len(rows))
    rows["funding"] = np.nan
    odds = np.log(rows["brownian"] / (1 - rows["brownian"])) + effect * (rows["density_rank"] - 0.5)
    rows["visited"] = rng.random(len(rows)) < 1 / (1 + np.exp(-odds))
    rows["scored"] = rng.random(len(rows)) < 0.95
    rows["visited"] *= rows["scored"]
    return rows


def test_a_unit_lies_in_the_middle_of_its_band_and_is_visited_where_the_price_went():
    forecasts, path = map_market(0, 30)
    path = points(path.end_ns[:-100], path.close[:-100])  # the last window is not watched through
    units = unit_levels([MarketInput(symbol="A", forecasts=forecasts, path=path)], CONFIG)
    assert len(units) == 30 * 4 * 2
    np.testing.assert_array_equal(units["distance_sigma"][:8:2], [0.375, 0.75, 1.25, 2.0])
    log_price = np.log(path.close)
    n = 0
    for row in units:
        made = forecasts[row["forecast"]]
        inside = (path.end_ns >= made.at + CONFIG.latency_ns) & (path.end_ns < made.at + DAY_NS)
        if not row["scored"]:
            assert made.at + DAY_NS > path.end_ns[-1]
            continue
        away = row["distance_sigma"] * MAP_SIGMA
        here = log_price[inside] - np.log(made.mark)
        reached = here.min() <= -away if row["side"] == Side.LONG else here.max() >= away
        assert row["visited"] == reached
        n += 1
    assert n == 29 * 8
    assert 0.3 < units["visited"][units["band"] == 1].mean() < 0.6


def test_ranks_are_among_the_bins_of_a_band_on_both_sides():
    """By hand: one heap above, in the middle of the second band; nothing elsewhere."""
    density = np.zeros((2, 200))
    middle = int(0.75 * MAP_SIGMA / 5e-4)
    density[1, middle - 4 : middle + 5] = 1.0
    made = map_forecast(START, 100.0, density)
    market = MarketInput(symbol="A", forecasts=[made], path=points([START], [100.0]))
    units = unit_levels([market], CONFIG).reshape(4, 2)
    assert not units["scored"].any()
    assert (units["density_rank"][[0, 2, 3]] == 0.5).all()
    below, above = units["density_rank"][1]
    assert below < 0.5 < 0.9 < above


@pytest.mark.parametrize("kind", ["points", "bars"])
def test_reflection_swaps_the_sides_and_changes_nothing_that_is_issued(kind):
    market = brownian_market(np.random.default_rng(4), days=40, kind=kind)
    rate = np.random.default_rng(5).normal(0, 1e-4, 120)
    known = START + np.arange(120) * 8 * HOUR_NS
    pair = []
    for one, sign in ((market, 1.0), (reflected(market), -1.0)):
        fed = replace(one, funding=Funding(known_ns=known, rate=sign * rate))
        outcomes = observe([fed], CONFIG).outcomes
        for rows in (unit_levels([fed], CONFIG), cluster_levels(outcomes, [fed], CONFIG)):
            order = np.lexsort((rows["distance_sigma"], sign * rows["side"], rows["at"]))
            pair.append(rows[order])
    for there, back in ((pair[0], pair[2]), (pair[1], pair[3])):
        assert len(there) == len(back) > 200
        np.testing.assert_array_equal(there["side"], -back["side"])
        for name in VISIT_DTYPE.names:
            if name != "side":
                a, b = there[name].astype(float), back[name].astype(float)
                np.testing.assert_allclose(a, b, atol=1e-9, err_msg=name)
        assert np.abs(there["trend_1d"]).max() > 0.5
        assert np.isfinite(there["funding"]).sum() > 100


def test_a_model_is_what_a_plain_optimiser_finds():
    rows = levels(1, n_days=40)
    known = np.column_stack([rows[name] for name in VISIT_MODELS["full"]])
    found = predict_visits(rows, OPTIONS)
    p, n_trained = found.p["full"], found.n_trained
    last = len(rows) - 1
    moment = rows["at"][last] // OPTIONS.refit_ns * OPTIONS.refit_ns
    ripe = rows["scored"] & (rows["matured_ns"] <= moment - OPTIONS.embargo_ns)
    assert n_trained[last] == ripe.sum() > 100
    mean, spread = np.nanmean(known[ripe, :-1], axis=0), np.nanstd(known[ripe, :-1], axis=0)
    z = np.clip((known[:, :-1] - mean) / spread, -4, 4)  # nobody feeds funding: it adds nothing
    z = np.column_stack([z, np.ones(len(z))])
    offset = np.log(rows["brownian"] / (1 - rows["brownian"]))
    prior = np.append(np.full(z.shape[1] - 1, OPTIONS.ridge), OPTIONS.ridge_constant)

    def loss(beta):
        odds = offset[ripe] + z[ripe] @ beta
        fits = np.logaddexp(0, odds) - rows["visited"][ripe] * odds
        return fits.sum() + 0.5 * (prior * beta**2).sum()

    best = minimize(loss, np.zeros(z.shape[1]), method="BFGS", options={"gtol": 1e-8}).x
    expected = 1 / (1 + np.exp(-(offset[last] + z[last] @ best)))
    assert p[last] == pytest.approx(expected, abs=2e-5)
    before = rows["at"] < START + 2 * DAY_NS
    np.testing.assert_array_equal(p[before], rows["brownian"][before])


def test_what_comes_later_changes_nothing_that_was_issued():
    rows, other = levels(2), levels(3)
    cut = len(rows) // 2
    moment = rows["at"][cut]
    mixed = np.where(rows["at"] >= moment, other, rows)
    unripe = (rows["at"] < moment) & (rows["matured_ns"] > moment)
    mixed["visited"][unripe] = 1 - mixed["visited"][unripe]
    a, b = predict_visits(rows, OPTIONS), predict_visits(mixed, OPTIONS)
    assert a.n_trained[cut] > 0
    for name in VISIT_MODELS:
        np.testing.assert_array_equal(a.p[name][:cut], b.p[name][:cut])
    shorter = predict_visits(rows[:cut], OPTIONS)
    for name in VISIT_MODELS:
        np.testing.assert_array_equal(a.p[name][:cut], shorter.p[name])


def test_what_is_issued_for_a_level_does_not_depend_on_the_others_that_are_asked_about():
    rows = levels(4, n_days=40)
    whole = predict_visits(rows, OPTIONS)
    models = fit_visits(rows, OPTIONS, asked=rows["at"] // OPTIONS.refit_ns * OPTIONS.refit_ns)
    for part in (slice(0, 5), slice(7, None, 3), slice(len(rows) - 1, None), slice(0, 0)):
        found = models.issue(rows[part])
        np.testing.assert_array_equal(found.n_trained, whole.n_trained[part])
        for name in VISIT_MODELS:
            assert found.p[name].tobytes() == whole.p[name][part].tobytes()
    assert whole.n_trained[-1] > 100


def test_an_outcome_that_is_known_at_its_own_issue_is_refused():
    rows = levels(1, n_days=3)
    rows["matured_ns"][5] = rows["at"][5]
    with pytest.raises(DataError, match="row 5 would have matured at its own issue"):
        predict_visits(rows, OPTIONS)


def gains(seed, effect):
    rows = levels(seed, effect=effect)
    issued = predict_visits(rows, OPTIONS)
    held = {"units": (rows, issued), "clusters": (rows[:0], predict_visits(rows[:0], OPTIONS))}
    evidence = evidence_with("A", rows["at"], CONFIG, levels=held)
    found = scored(evidence, GAINS)
    return {d.score.statistic: d.score for d in found if d.score.symbol == "pooled"}


def kept(evaluation):
    """Tables and Parquet files of a run of one estimator."""
    issued = {m.symbol: m.forecasts for m in evaluation.evidence.markets}
    done = Study(forecasts={"x": issued}, evaluations={"x": evaluation})
    files = run_parquet(done)
    return run_tables(done, []), {name: pa.concat_tables(parts) for name, parts in files.items()}


def test_a_map_that_knows_gains_and_one_that_does_not_does_not():
    knowing = [gains(seed, 3.0)["visit_gain"] for seed in range(6)]
    assert all(score.ci_low > 0 for score in knowing)
    blind = [gains(seed, 0.0)["visit_gain"] for seed in range(12)]
    assert sum(score.ci_low > 0 for score in blind) <= 1
    assert all(abs(score.value) < 0.01 for score in blind)
    assert all(score.mde < 0.02 for score in blind)


def test_scores_are_of_levels_that_fitted_models_were_issued_for():
    rows = levels(7)
    issued = predict_visits(rows, OPTIONS)
    ready = rows["scored"] & (issued.n_trained > 0)
    both = dict.fromkeys(("units", "clusters"), (rows, issued))
    evidence = evidence_with("A", rows["at"], CONFIG, levels=both)
    details = [*scored(evidence, GAINS)]
    assert {d.score.n_episodes for d in details} == {int(ready.sum())}
    assert 0 < ready.sum() < len(rows)
    log_p = {
        name: np.log(np.where(rows["visited"] == 1, p, 1 - p))[ready].mean()
        for name, p in {**issued.p, "brownian": rows["brownian"]}.items()
    }
    values = {d.score.statistic: d.score.value for d in details}
    assert values["visit_gain"] == pytest.approx(log_p["full"] - log_p["ablated"])
    assert values["visit_gain_over_brownian"] == pytest.approx(log_p["full"] - log_p["brownian"])
    assert values["cluster_visit_gain"] == values["visit_gain"]
    tables, _ = kept(Evaluation(details=(), evidence=evidence))
    parts = {row["probability"]: row for row in tables["corp"]}
    bins = {name: [r for r in tables["reliability"] if r["probability"] == name] for name in parts}
    assert set(parts) == {"full", "ablated", "brownian"}
    for name, mine in bins.items():
        assert sum(row["n_episodes"] for row in mine) == ready.sum(), name
    assert parts["ablated"]["miscalibration"] < 0.01


def test_a_run_keeps_the_levels_that_were_scored_and_has_none_without_the_primary_horizon():
    market = brownian_market(np.random.default_rng(1), days=40, kind="bars")
    found = evaluate(Evidence(markets=[market], config=CONFIG), GAINS)
    tables, parquet = kept(found)
    units = parquet["visits.parquet"].to_pydict()
    assert len(units["p"]) == found.scores[0].n_episodes > 150
    assert set(units["symbol"]) == {"A"}
    visited = parquet["cluster_visits.parquet"]["visited"].to_numpy()
    assert set(visited) == {-1, 0, 1}
    assert sum(row["n_episodes"] for row in tables["reliability"]) == 3 * (visited >= 0).sum()
    short = EvaluationConfig(horizons_ns=(4 * HOUR_NS,))
    none = evaluate(Evidence(markets=[market], config=short), GAINS)
    tables, parquet = kept(none)
    assert (none.details, tables["reliability"], tables["corp"]) == ((), [], [])
    assert {"visits.parquet", "cluster_visits.parquet"}.isdisjoint(parquet)
    assert np.isnan(parquet["clusters.parquet"]["p"].to_numpy()).all()


def test_chances_of_current_clusters_are_those_of_episodes_and_see_no_future():
    market = brownian_market(np.random.default_rng(1), days=40, kind="bars")
    evidence = Evidence(markets=[market], config=CONFIG)
    rows = evidence.chances
    assert len(rows) == sum(len(f.clusters) for f in market.forecasts)
    asked = (rows["distance_sigma"] >= CONFIG.floor) & (rows["distance_sigma"] <= CONFIG.ceiling)
    issued = ~np.isnan(rows["p"])
    assert not issued[~asked].any()
    assert np.array_equal(issued, ~np.isnan(rows["p_placebo"]))
    begun = START + 9 * DAY_NS  # after the first refit that had anything to learn from
    assert issued[asked & (rows["at"] >= begun)].all()
    assert not issued[rows["at"] < START + DAY_NS].any()
    # the same p̂ as episodes are held against, by another way
    births = evidence.episodes(0, DAY_NS)
    p, _ = evidence.placebo(0, DAY_NS)
    starts = np.cumsum([0, *(len(f.clusters) for f in market.forecasts)])
    mine = rows[starts[births["forecast"]] + births["cluster"]]
    held = births["birth"] & ~np.isnan(mine["p"])
    assert held.sum() > 100
    np.testing.assert_allclose(mine["p_placebo"][held], p[held], rtol=1e-9)
    y = births["visited"][held]
    assert abs(mine["p"][held].mean() - y.mean()) < 0.05
    # without what came later: bit for bit
    until = START + 25 * DAY_NS
    early = [f for f in market.forecasts if f.at < until]
    stop = int(np.searchsorted(market.path.end_ns, until))
    path = bars(
        market.path.end_ns[:stop] - HOUR_NS,
        HOUR_NS,
        market.path.low[:stop],
        market.path.high[:stop],
    )
    again = Evidence(
        markets=[MarketInput(symbol="A", forecasts=early, path=path)], config=CONFIG
    ).chances
    assert (~np.isnan(again["p"])).sum() > 1000
    for name in ("p", "p_placebo"):
        assert again[name].tobytes() == rows[name][: len(again)].tobytes()


def test_what_was_issued_before_teaches_and_is_not_scored():
    """An opened period: its first levels have models, fitted to what came before."""
    market = brownian_market(np.random.default_rng(1), days=60, kind="bars")
    since = START + 30 * DAY_NS
    early = [f for f in market.forecasts if f.at < since]
    late = replace(market, forecasts=market.forecasts[len(early) :])
    before = replace(market, forecasts=early)
    first = []
    for past in ([], [before]):
        found = evaluate(Evidence(markets=[late], config=CONFIG, training=past), GAINS)
        first.append(min(kept(found)[1]["visits.parquet"]["at"].to_pylist()))
    assert first[1] == since < first[0]

"""The price-only twin beside every estimator, and placebo histories: what they can tell apart."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from liqbt.cli import cli
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.bins import ResponseBins
from liqbt.evaluation.claims.register import CLAIMS, STATISTICS, statistic_of
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.study.executors import in_processes
from liqbt.study.pipeline import MarketStudies, market_studies, study, whole_study
from liqbt.study.randomise import (
    Randomised,
    _beside,
    _Outcome,
    describe_randomised,
    randomised,
)
from liqbt.study.run import run_experiment
from liqbt.study.schema import Experiment, configuration_identity, parse_experiment
from liqbt.study.twin import map_correlations, market_twins, twin_tables
from liqbt.tape.values import Tape, tape_from_events
from liqbt.types import DAY_NS, EVENT_DTYPE, HOUR_NS, Instrument, Kind, VerdictWord

START = 20_000 * DAY_NS
BESIDE = {"magnet", "direction", "asymmetry", "accuracy_85"}
"""Claims that a tape of hours decides by what a map scores without its twin beside it."""
OWN = """
import numpy as np

from liqbt.errors import EstimatorError
from liqbt.estimators import DensityEstimator
from liqbt.types import Kind


class Follower(DensityEstimator):
    '''Mass 1 to 5 % above where open interest rose last, else below.'''

    def __init__(self, params, market):
        super().__init__(params, market)
        self.memory["last"] = np.zeros(2)

    def update(self, events):
        super().update(events)
        for row in events[events["kind"] == Kind.OPEN_INTEREST]:
            self.memory["last"] = np.array([self.memory["last"][1], row["p0"]])

    def density(self, at, prices):
        before, now = self.memory["last"]
        away = np.log(prices / self.mark) * (1.0 if now > before else -1.0)
        return np.where((away > 0.01) & (away < 0.05), 1e6, 0.0)


class Fragile(DensityEstimator):
    '''Cannot do without liquidations.'''

    def __init__(self, params, market):
        super().__init__(params, market)
        self.memory["seen"] = np.zeros(1)

    def update(self, events):
        super().update(events)
        self.memory["seen"] += (events["kind"] == Kind.LIQUIDATION_TOTAL).sum()

    def density(self, at, prices):
        if not self.memory["seen"][0]:
            raise EstimatorError("there are no liquidations")
        return np.abs(np.log(prices / self.mark)) * 1e6
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Any:
    place = tmp_path_factory.mktemp("own")
    (place / "own_twins.py").write_text(OWN)
    yield place
    sys.modules.pop("own_twins", None)


def experiment_of(folder: Path, **changes: Any) -> Experiment:
    params = {"sigma_sampling": "1h", "sigma_window": "2d"}
    kinds = ("mark", "open_interest", "liquidation_total")
    raw = {
        "name": "small",
        "data": {"world": "small.yaml"},
        "symbols": {"X": {"events": dict.fromkeys(kinds, "v/X")}},
        "schedule": {"warm_up": "3d", "every": "6h"},
        "evaluation": {"horizons": ["4h", "24h"], "bootstrap_reps": 200},
        "estimators": {"mine": {"use": "own_twins:Follower", "params": params}},
    }
    return parse_experiment(raw | changes, folder / "small.yaml")


def using(folder: Path, **uses: str) -> Experiment:
    params = {"sigma_sampling": "1h", "sigma_window": "2d"}
    chosen = {name: {"use": use, "params": params} for name, use in uses.items()}
    return experiment_of(folder, estimators=chosen)


def told_tape(informed: bool, seed: int = 0, days: int = 60) -> Tape:
    """Hourly marks that drift one way all day; open interest rises before a day that rises."""
    rng = np.random.default_rng(seed)
    n = days * 24
    hour = np.arange(1, n + 1)
    drift = rng.choice([-1.0, 1.0], days + 2)
    price = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.006, n) + 0.002 * drift[(hour - 1) // 24]))
    sign = drift[hour // 24] if informed else rng.choice([-1.0, 1.0], n)
    coins = 1000.0 * np.exp(np.cumsum(0.01 * sign * rng.random(n)))
    out = np.zeros(3 * n, EVENT_DTYPE)
    for k in range(5):
        out[f"p{k}"] = np.nan
    for k, kind in enumerate((Kind.MARK, Kind.OPEN_INTEREST, Kind.LIQUIDATION_TOTAL)):
        rows = out[k::3]
        rows["kind"], rows["ts_event"] = kind, START + hour * HOUR_NS
        rows["ts_known"] = rows["ts_event"]
    for k in range(4):
        out[f"p{k}"][0::3] = price
    out["p0"][1::3] = coins
    out["p0"][2::3], out["p1"][2::3], out["span_s"][2::3] = 1e5, 1e5, 3600
    return tape_from_events(out, (Instrument("v", "X"),))


def histories(experiment: Experiment, tape: Tape, n: int = 12, **options: Any) -> list[Randomised]:
    return randomised(experiment, {"X": tape}, histories=n, **options)


def drift(rows: list[Randomised]) -> Randomised:
    return next(row for row in rows if row.statistic == "near_drift")


@pytest.mark.nightly
def test_positions_that_tell_the_price_are_told_from_those_that_do_not(folder):
    experiment = experiment_of(folder)
    informed = drift(histories(experiment, told_tape(True), 39))
    assert informed.value > 0.5
    assert informed.as_good == 0
    assert informed.p == pytest.approx(1 / 40)
    assert abs(informed.median) < 0.5 * informed.value
    blind = [drift(histories(experiment, told_tape(False, seed), 19)).p for seed in range(4)]
    assert max(blind) > 0.3
    assert min(blind) > 0.05


def test_the_real_record_is_what_a_run_scores(folder):
    experiment, tape = experiment_of(folder), told_tape(True)
    scores = study(experiment, {"X": tape}).first.scores
    rows = histories(experiment, tape, 1)
    assert [row.claim for row in rows] == [claim.id for claim in CLAIMS]
    for row in rows:
        want = [
            (one.value, one.null)
            for one in scores
            if (one.statistic, one.symbol, one.side) == (row.statistic, "pooled", "both")
            and one.horizon == row.horizon
        ]  # none of what this tape lacks a feed for: then there is no value either
        np.testing.assert_array_equal([(row.value, row.null)], want or [(math.nan, math.nan)])
    valued = {row.claim for row in rows if math.isfinite(row.value)}
    assert {"magnet", "direction", "asymmetry", "location", "accuracy_85"} <= valued
    assert valued.isdisjoint({"chain", "wall"})


def test_neither_processes_nor_how_many_there_are_change_a_history(folder):
    experiment, tape = experiment_of(folder), told_tape(True)
    five = histories(experiment, tape, 5)
    three = histories(experiment, tape, 3, executor=in_processes(2))
    for a, b in zip(five, three, strict=True):
        np.testing.assert_array_equal(a.values[:3], b.values)
    other = histories(experiment.model_copy(update={"seed": 1}), tape, 3)
    assert drift(other).values != drift(three).values


def test_a_map_that_reads_no_positions_does_as_well_in_every_history(folder):
    row = drift(histories(using(folder, plain="round_numbers"), told_tape(True), 5))
    assert math.isfinite(row.value)
    assert (row.as_good, row.p) == (5, 1.0)


def test_better_is_counted_in_the_direction_of_the_statistic(folder):
    def of(name: str, value: float) -> _Outcome:
        return _Outcome(values={name: (value, 0.0)}, supported=frozenset())

    values = (0.1, 0.2, 0.3, 0.4, math.nan)
    for name, as_good in (("stated_brier", 3), ("near_drift", 4)):
        row = _beside("e", name, of(name, 0.2), [of(name, value) for value in values])
        assert row.as_good == as_good  # a tie counts, and so does what has no value
        assert row.p == pytest.approx((1 + as_good) / 6)
    rows = histories(experiment_of(folder), told_tape(False), 9, statistics=("level_lift",))
    assert [row.statistic for row in rows] == ["level_lift"]
    assert rows[0].as_good == sum(value >= rows[0].value for value in rows[0].values)
    assert rows[0].supported is None  # it decides no claim


def test_supported_histories_are_those_that_the_claims_rule_supports(folder, monkeypatch):
    experiment, tape = experiment_of(folder), told_tape(True, 1, days=120)
    details = study(experiment, {"X": tape}).first.details
    words = {verdict.claim: verdict.word for verdict in verdicts(details, withheld={})}
    assert words["magnet"] == VerdictWord.SPECIFIC
    assert drift(histories(experiment, tape, 20)).supported == 0
    monkeypatch.setattr("liqbt.study.randomise.shifted_tape", lambda tape, _share: tape)
    same = histories(experiment, tape, 2)  # which are the record itself
    assert (drift(same).as_good, drift(same).p) == (2, 1.0)
    for row in same:
        assert row.supported == (2 if words[row.claim].supports else 0)


def test_a_statistic_without_a_value_decides_nothing(folder):
    rows = histories(experiment_of(folder), told_tape(True), 2)
    row = next(row for row in rows if row.claim == "wall")  # no depth is fed
    assert math.isnan(row.value)
    assert math.isnan(row.p)
    assert row.supported == 0
    assert row.statistic in describe_randomised([row])


def test_what_cannot_be_randomised_is_one_sentence(folder):
    experiment, tape = experiment_of(folder), told_tape(True, days=13)
    with pytest.raises(ConfigError, match="'near_drif' is not computed; did you mean 'near_drift'"):
        histories(experiment, tape, statistics=("near_drif",))
    with pytest.raises(DataError, match="needs twice as many"):
        histories(experiment, tape)


def twins(experiment: Experiment, tape: Tape, *symbols: str) -> dict[str, Any]:
    tapes = dict.fromkeys(symbols or ("X",), tape)
    markets = market_studies(MarketStudies(experiment=experiment, tapes=tapes))
    beside = [market_twins(experiment, tapes[one.symbol], one) for one in markets]
    return twin_tables(whole_study(markets, STATISTICS), beside)


def test_markets_share_a_shift_and_are_scored_together(folder):
    one = experiment_of(folder)
    market = one.symbols["X"]
    experiment = one.model_copy(update={"symbols": {"X": market, "Y": market}})
    tape = told_tape(True)
    row = drift(randomised(experiment, {"X": tape, "Y": tape}, histories=3))
    alone = drift(histories(one, tape, 3))
    np.testing.assert_allclose(row.values, alone.values)  # the slope of a market and of two of it
    found = twins(experiment, tape, "X", "Y")
    assert [each["symbol"] for each in found["twin"]] == ["X", "Y"]
    hits = [each for each in found["twin_scores"] if each["claim"] == "accuracy_85"]
    assert [each["symbol"] for each in hits] == ["X", "Y", "pooled"]
    assert math.isfinite(hits[0]["twin"])
    np.testing.assert_allclose([each["twin"] for each in hits], hits[0]["twin"])


def test_every_estimator_has_its_twin_beside_it(folder):
    experiment = using(folder, mine="own_twins:Follower", plain="round_numbers")
    found = twins(experiment, told_tape(True))
    mine, plain = found["twin"]
    assert (mine["estimator"], plain["estimator"]) == ("mine", "plain")
    assert plain["correlation"] == pytest.approx(1.0, abs=1e-6)
    assert abs(mine["correlation"]) < 0.5  # its twin is told that open interest always rises
    assert mine["landmarks"] == plain["landmarks"] > 40
    rows = {(row["estimator"], row["claim"]): row for row in found["twin_scores"]}
    assert set(rows) == {(name, claim) for name in ("mine", "plain") for claim in BESIDE}
    apart, same = rows["mine", "accuracy_85"], rows["plain", "accuracy_85"]
    assert apart["difference"] == pytest.approx(apart["value"] - apart["twin"])
    assert apart["ci_low"] > 0.05
    assert same["difference"] == pytest.approx(0.0, abs=1e-12)
    drifts = rows["plain", "magnet"]
    assert abs(drifts["value"]) > 0.5
    assert drifts["difference"] == pytest.approx(0.0, abs=1e-6)  # densities are single precision
    constant = rows["mine", "magnet"]  # all of its twin's mass is above: no slope on that
    assert constant["value"] > 0.5
    assert math.isnan(constant["twin"])
    assert math.isnan(constant["difference"])


def test_the_twin_does_not_change_with_positions(folder):
    experiment = using(folder, mine="own_twins:Follower", plain="round_numbers")
    values = [
        [row["twin"] for row in twins(experiment, told_tape(informed))["twin_scores"]]
        for informed in (True, False)
    ]
    assert len(values[0]) == 2 * len(BESIDE)
    assert np.isfinite(values[0]).sum() == 1 + len(BESIDE)
    # the prices of the two tapes are those of one seed: the draws of positions come after them
    # but for its scale, the mean inflow, which single precision rounds another way
    np.testing.assert_allclose(*values, rtol=1e-6)


def test_a_twin_that_cannot_be_had_says_why_and_fails_no_run(folder):
    (row,) = twins(using(folder, mine="own_twins:Fragile"), told_tape(True))["twin"]
    assert math.isnan(row["correlation"])
    assert "there are no liquidations" in row["reason"]


def test_the_correlation_of_two_maps_is_within_a_landmark():
    rng = np.random.default_rng(0)
    n, each = 5, 8
    forecast = np.repeat(np.arange(n), each)
    empty = np.zeros(n * each)
    density = rng.random((n * each, 2))
    bins = ResponseBins(
        horizon_ns=DAY_NS,
        n_landmarks=n,
        forecast=forecast,
        at=forecast * DAY_NS,
        distance=empty,
        distance_sigma=empty,
        band=forecast * 0,
        density=density,
        visited=density,
        trend=np.zeros((n * each, 3)),
    )
    scaled = replace(bins, density=density * (10.0**forecast)[:, None])
    assert map_correlations(bins, scaled) == pytest.approx([1.0] * n)
    other = replace(bins, density=rng.random((n * each, 2)))
    want = [
        np.corrcoef(density[forecast == i].ravel(), other.density[forecast == i].ravel())[0, 1]
        for i in range(n)
    ]
    assert map_correlations(bins, other) == pytest.approx(want)
    assert not map_correlations(bins, replace(bins, density=density * 0.0))


def test_histories_of_a_run_stand_in_its_tables_and_in_its_identity_only_where_asked(
    tmp_path, root
):
    (tmp_path / "w.yaml").write_text("name: w\ndays: 30\nwarmup_days: 4\n")
    kinds = ("mark", "open_interest", "bar", "liquidation")
    raw = {
        "name": "small",
        "data": {"world": "w.yaml"},
        "symbols": {
            "SIM": {
                "events": dict.fromkeys(kinds, "simulated/SIM"),
                "margin": {"tiers": "BTCUSDT"},
            }
        },
        "schedule": {"warm_up": "4d", "every": "4h"},
        "evaluation": {"bootstrap_reps": 200, "horizons": ["24h"]},
    }
    path = tmp_path / "x.yaml"
    plain, asked = parse_experiment(raw, path), parse_experiment(raw | {"randomise": 3}, path)
    none = parse_experiment(raw | {"randomise": 0}, path)
    assert configuration_identity(plain) == configuration_identity(none)
    assert "randomise" not in plain.model_dump(mode="json")
    assert configuration_identity(asked)["config"]["randomise"] == 3
    path.write_text(json.dumps(raw | {"randomise": 3}))
    run = run_experiment(path, tmp_path / "results")
    tables = json.loads((run.path / "tables.json").read_text())
    assert run.manifest["randomise"] == 3
    asked = ["claims", "randomise", str(path), "--histories", "3", "--executor", "serial", "--json"]
    said = CliRunner().invoke(cli, [*asked, "--results", str(tmp_path / "results")])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout) == tables["randomised"]
    wrong = CliRunner().invoke(cli, [*asked, "--statistic", "doze"])
    assert isinstance(wrong.exception, ConfigError)
    assert [row["statistic"] for row in tables["randomised"]] == [c.statistic for c in CLAIMS]
    assert all(len(row["values"]) == 3 for row in tables["randomised"])
    assert [row["symbol"] for row in tables["twin"]] == ["SIM"]
    assert 0.3 < tables["twin"][0]["correlation"] < 1.0
    own = {claim.id for claim in CLAIMS if "twin" not in statistic_of(claim.statistic).needs}
    assert {row["claim"] for row in tables["twin_scores"]} == own - {"wall"}  # no depth is fed

"""Somebody else's levels, scored: the protocol of a run, and what is refused."""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shell import call

from liqbt.config.schema import EvaluationOptions
from liqbt.errors import ConfigError, DataError, LiqbtError
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.evaluate import scored as rows_of
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.probability import brier_score, corp, log_score
from liqbt.log.disk import read_parquet
from liqbt.log.store import EventLog
from liqbt.report.narrative import published_section
from liqbt.report.pages.run import write_report
from liqbt.study.events import simulate_world
from liqbt.study.ingest import ingest_files
from liqbt.study.pipeline import protocol
from liqbt.study.progress import silent
from liqbt.study.published.level_file import read_published
from liqbt.study.published.levels import market_levels
from liqbt.study.published.markets import instrument_names, score_options
from liqbt.study.published.score import UNSEEN, _market_input, _replay, score_forecasts
from liqbt.study.published.work import prepare
from liqbt.study.run import run_experiment
from liqbt.study.store import Run
from liqbt.types import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    FloatArray,
    Instrument,
    Kind,
    Side,
    VerdictWord,
)

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = "name: small\ndays: 16\nwarmup_days: 5\nmagnet: 1.0\n"
EXPERIMENT = """
name: small
data: {log: log}
symbols:
  SIM:
    events:
      mark: simulated/SIM
      open_interest: simulated/SIM
      bar: simulated/SIM
    margin: {tiers: BTCUSDT}
schedule: {warm_up: 5d}
evaluation: {bootstrap_reps: 200}
seed: 3
"""
HEAD = ("at", "symbol", "side", "low", "high", "notional")
OPTIONS = EvaluationOptions(bootstrap_reps=200)
# what rests on the bins between the clusters too: ranks among them, and sums over them
LEARNT = re.compile(r"(level_lift|mirror_lift_did|observed_over_expected)(_densest)?")
"""What the learnt null is part of: a run learns in its warm-up, too, a file has none."""
BESIDE = {s.id for s in STATISTICS if {"structures", "twin"} & {*s.needs}}
"""Which a run alone computes: a published file has no structural maps, and no twin, beside it."""
OF_THE_DENSITY = re.compile(
    r".*_dense|first_side_.*|dose_response.*|.*_gain|visit_gain_.*"  # peaks, bins, and asymmetry
    r"|(hit_rate|skill)_(direction|first_side).*"  # whose call is the asymmetry's
)
OF_THE_MAP = {"hours", "touches"}
"""Tables of near mass by the hour, and of bands that are cut out of the density."""
OF_THE_FEED = {"cascades", "large_moves"}  # a log's liquidations are not read beside its prices
Row = tuple[object, ...]


def write(path: Path, rows: Iterable[Row], head: Sequence[str] = HEAD) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
    return path


def iso(ns: int) -> str:
    return f"{np.datetime64(int(ns), 'ns')}Z"


def side_of(code: int) -> str:
    return "long" if code > 0 else "short"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("score")
    (folder / "world.yaml").write_text(WORLD)
    (folder / "small.yaml").write_text(EXPERIMENT)
    simulate_world(folder / "world.yaml", seed=3, log_dir=folder / "log")
    return folder


@pytest.fixture(scope="module")
def run(home) -> Run:
    return run_experiment(home / "small.yaml", home / "results")


@pytest.fixture(scope="module")
def scored(run) -> list:
    """The forecasts that the run scores."""
    start = np.datetime64(run.manifest["symbols"]["SIM"]["first"][:-1], "ns").astype(np.int64)
    return [f for f in run.forecasts("SIM") if f.at >= start + 5 * DAY_NS]


@pytest.fixture(scope="module")
def cluster_rows(scored) -> list[Row]:
    return [
        (
            iso(f.at),
            "SIM",
            side_of(c["side"]),
            float(c["low"]),
            float(c["high"]),
            float(c["notional_usd"]),
        )
        for f in scored
        for c in f.clusters
    ]


@pytest.fixture(scope="module")
def few(cluster_rows) -> list[Row]:
    """A day of it, for what is refused."""
    return cluster_rows[:600]


@pytest.fixture
def try_rows(home, tmp_path) -> Callable[..., Run]:
    def score(rows: Iterable[Row], head: Sequence[str] = HEAD, **options) -> Run:
        options = {"options": OPTIONS, "seed": 3} | options
        file = write(tmp_path / "mine.csv", rows, head)
        return score_forecasts(file, home / "log", tmp_path / "r", **options)

    return score


@pytest.fixture(scope="module")
def same(home, cluster_rows, tmp_path_factory) -> Run:
    """The run's own clusters, scored as somebody else's."""
    folder = tmp_path_factory.mktemp("same")
    file = write(folder / "mine.csv", cluster_rows)
    return score_forecasts(file, home / "log", folder / "r", options=OPTIONS, seed=3)


def key(score) -> tuple[str, ...]:
    return score.claim, score.symbol, score.horizon, score.side, score.statistic


def values(score) -> str:
    return repr(replace(score, estimator=""))  # NaN equals itself so


# --- the same as a run --------------------------------------------------------------------------


def test_a_runs_own_clusters_score_as_in_the_run(run, same):
    theirs, ours = ({key(s): values(s) for s in r.scores} for r in (run, same))
    alone = {k for k in theirs if k[-1] in BESIDE}
    assert {k[-1] for k in alone} >= {"near_drift_beside_twin", "near_jumps_beside_twin"}
    assert theirs.keys() - alone == ours.keys()
    needs = {s.id: {*s.needs} for s in STATISTICS}
    alike = {
        k
        for k in ours
        if not OF_THE_DENSITY.fullmatch(k[-1])
        and not LEARNT.fullmatch(k[-1])
        and not needs[k[-1]] & OF_THE_MAP
        and k[-1] not in OF_THE_FEED
    }
    assert {k[-1] for k in alike} == {
        name + part
        for name in ("hit_rate", "brownian_lift", "mirror_lift")
        for part in ("", "_densest")
    } | {
        name + level + null
        for level in ("_nearest", "_either_side")
        for name, nulls in (
            ("hit_rate", [""]),
            ("skill", ["_over_brownian", "_over_mirror", "_over_other_times"]),
        )
        for null in nulls
    }
    assert {k: theirs[k] for k in alike} == {k: ours[k] for k in alike}
    assert same.flow == run.flow
    assert same.landmarks == run.landmarks
    assert repr(same.bands) == repr(run.bands)


def test_what_befell_a_runs_own_clusters_is_the_same_row_by_row(run, same):
    theirs, ours = run.outcomes(), same.outcomes()
    differ = {n for n in theirs.column_names if not _equal(theirs[n], ours[n])}
    assert differ <= {"density_rank", "penetrated", "estimator"}, (
        "peaks and ranks are not published"
    )
    sides, mine = run.first_sides(), same.first_sides()
    differ = {n for n in sides.column_names if not _equal(sides[n], mine[n])}
    assert differ <= {"asymmetry", "theta", "p_up", "p_down", "p_neither", "estimator"}


def _equal(a: pa.ChunkedArray, b: pa.ChunkedArray) -> bool:
    if pa.types.is_floating(a.type):
        return np.array_equal(a.to_numpy(), b.to_numpy(), equal_nan=True)
    return bool(a.equals(b))


def test_marks_and_sigmas_are_those_of_the_replay(scored, same):
    ours = same.forecasts("SIM")
    assert [f.at for f in ours] == [f.at for f in scored]
    for name in ("mark", "mark_ts", "sigma_1d", "mark_bin", "grid", "open_interest_usd"):
        assert [getattr(f, name) for f in ours] == [getattr(f, name) for f in scored]


def test_a_runs_whole_density_gives_its_dose_response(run, scored, home, tmp_path):
    """Where the rows are the bins themselves, what rests on the density agrees too."""
    file = write(tmp_path / "bins.csv", (r for f in scored for r in bin_rows(f)))
    bins = score_forecasts(file, home / "log", tmp_path / "r", options=OPTIONS, seed=3)
    for theirs, ours in zip(scored, bins.forecasts("SIM"), strict=True):
        np.testing.assert_allclose(ours.density_usd, theirs.density_usd, rtol=1e-5, atol=1e-3)
        assert ours.asymmetry == pytest.approx(theirs.asymmetry, abs=1e-5)
    found = {key(s): s for s in bins.scores}
    for score in run.scores:
        if score.statistic.startswith("dose_response") and score.statistic not in BESIDE:
            ours = found[key(score)]
            assert (ours.n_episodes, ours.n_days) == (score.n_episodes, score.n_days)
            if not math.isnan(score.value):
                assert ours.value == pytest.approx(score.value, abs=2e-3)


def bin_rows(forecast) -> Iterator[Row]:
    """The bins of a forecast as rows; empty ones, and those that hold the mark, are left out."""
    n = forecast.density_usd.shape[1]
    for row, side in ((0, Side.LONG), (1, Side.SHORT)):
        edges = forecast.grid.prices(forecast.mark_bin, side, n)
        for j in np.flatnonzero(forecast.density_usd[row]):
            ends = sorted((float(edges[j]), float(edges[j + 1])))
            yield (
                iso(forecast.at),
                "SIM",
                side_of(side),
                *ends,
                float(forecast.density_usd[row, j]),
            )


# --- identity -----------------------------------------------------------------------------------


def contents(run: Run) -> dict[str, bytes]:
    return {p.relative_to(run.path).as_posix(): p.read_bytes() for p in run.path.rglob("*.*")}


def test_the_same_file_and_log_give_the_same_bytes(home, few, tmp_path):
    runs = []
    for place in ("a", "b"):
        folder = tmp_path / place
        folder.mkdir()
        file = write(folder / "mine.csv", few)
        runs.append(
            score_forecasts(file, home / "log", folder / "r", options=OPTIONS, finish=write_report)
        )
    assert runs[0].run_id == runs[1].run_id
    assert contents(runs[0]) == contents(runs[1])
    assert str(tmp_path) not in (runs[0].path / "manifest.json").read_text()


def test_a_finished_scoring_is_reused_and_another_file_or_seed_is_another(try_rows, few):
    first = try_rows(few)
    made = (first.path / "metrics.json").stat().st_mtime_ns
    assert try_rows(few).path == first.path
    assert (first.path / "metrics.json").stat().st_mtime_ns == made
    other = [(*row[:5], float(row[5]) * 2) for row in few]
    assert len({first.run_id, try_rows(other).run_id, try_rows(few, seed=4).run_id}) == 3


def test_csv_gzip_and_parquet_score_alike(home, few, tmp_path):
    file = write(tmp_path / "one.csv", few)
    (tmp_path / "two.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
    columns = dict(zip(HEAD, zip(*few, strict=True), strict=True))
    at = np.array([a.rstrip("Z") for a in columns["at"]], "datetime64[ns]")
    zoned = pa.array(at).cast(pa.timestamp("ns", "Asia/Tokyo"))
    table = pa.table({**columns, "at": zoned})
    pq.write_table(table, tmp_path / "three.parquet")
    scores = [
        repr(score_forecasts(f, home / "log", tmp_path / "r", options=OPTIONS).scores)
        for f in (file, tmp_path / "two.csv.gz", tmp_path / "three.parquet")
    ]
    assert scores[0] == scores[1] == scores[2]


# --- levels -------------------------------------------------------------------------------------


def levels_of(tmp_path, *rows, **how):
    full = [("2025-01-10T00:00:00Z", "X", *row, 2**i) for i, row in enumerate(rows)]
    read = read_published(write(tmp_path / "l.csv", full))
    return market_levels(read, 0, 0.01, **how)


def test_a_level_without_width_is_a_bin_outward_from_where_it_was_published(tmp_path):
    found = levels_of(tmp_path, ("short", 110, 110), ("long", 90, 90))
    short, long = found.published.levels
    assert (short["low"], short["high"]) == (110, pytest.approx(110 * math.exp(0.01)))
    assert (long["high"], long["low"]) == (90, pytest.approx(90 * math.exp(-0.01)))
    assert found.n_single == 2


def test_a_level_without_width_ends_where_the_next_row_begins(tmp_path):
    found = levels_of(
        tmp_path, ("short", 110.5, 112), ("short", 110, 110), ("long", 90, 90), ("long", 89.5, 89.5)
    )
    bands = [(c["side"], c["low"], c["high"]) for c in found.published.levels]
    assert bands == [
        (-1, 110, 110.5),
        (-1, 110.5, 112),
        (1, 89.5, 90),
        (1, pytest.approx(89.5 * math.exp(-0.01)), 89.5),
    ]
    assert found.number.tolist() == [2, 1, 3, 4]


OVERLAPPING = [
    ([("short", 110, 112), ("short", 111, 113)], (110, 113), 1),
    ([("short", 110, 115), ("short", 111, 112)], (110, 115), 1),
    ([("long", 90, 92), ("long", 91, 93)], (90, 93), 2),
    ([("short", 110, 110), ("short", 110, 110)], (110, 110 * math.exp(0.01)), 1),
    ([("short", 110, 110), ("short", 110, 112)], (110, 112), 1),
    ([("long", 90, 90), ("long", 88, 90)], (88, 90), 1),
    ([("long", 89, 89), ("long", 88, 90)], (88, 90), 2),
    ([("short", 110, 120), ("short", 111, 112), ("short", 115, 121)], (110, 121), 1),
]


@pytest.mark.parametrize(("rows", "band", "nearest"), OVERLAPPING)
def test_rows_of_one_side_and_time_that_overlap_are_one_band(tmp_path, rows, band, nearest):
    """It begins where the nearest row does, whose number and stated probability it has."""
    apart = ("short", 300, 301) if rows[0][0] == "short" else ("long", 30, 31)
    found = levels_of(tmp_path, *rows, apart)
    one, other = found.published.levels
    assert (one["low"], one["high"]) == pytest.approx(band)
    assert one["notional_usd"] == 2 ** len(rows) - 1
    assert (other["low"], other["notional_usd"]) == (apart[1], 2 ** len(rows))
    assert found.number[0] == nearest
    assert (found.n_merged, len(found.number)) == (len(rows), 2)
    with pytest.raises(DataError, match=r"l\.csv: rows 1 and 2, the first .* overlap"):
        levels_of(tmp_path, *rows, apart, overlaps="refuse")


def test_a_band_ends_where_its_farthest_row_does_and_at_its_time_and_side(tmp_path):
    """Beside bands of every size: what a slow walk over the rows finds."""
    rng = np.random.default_rng(4)
    rows = []
    for hour in range(20):
        for side in ("short", "long"):
            low = rng.integers(100, 160, 12)
            high = low + rng.integers(1, 9, 12)
            rows += [
                (f"2025-01-10T{hour:02}:00:00Z", "X", side, *r) for r in zip(low, high, strict=True)
            ]
    rows = [(*row, i + 1) for i, row in enumerate(rows)]
    found = market_levels(read_published(write(tmp_path / "l.csv", rows)), 0, 0.01)
    expected = []
    for hour in sorted({row[0] for row in rows}):
        for side, code in (("short", -1), ("long", 1)):
            mine = [row for row in rows if (row[0], row[2]) == (hour, side)]
            covered = sorted({x for row in mine for x in range(row[3], row[4])})
            runs = np.split(covered, np.flatnonzero(np.diff(covered) > 1) + 1)
            for low, high in ((int(r[0]), int(r[-1]) + 1) for r in runs):
                # rows that only touch are two bands
                inner = sorted(r for r in mine if low <= r[3] < high)
                cuts = [x for x in range(low + 1, high) if not any(r[3] < x < r[4] for r in inner)]
                for a, b in zip([low, *cuts], [*cuts, high], strict=True):
                    sum_ = sum(r[5] for r in inner if a <= r[3] < b)
                    expected.append((hour, code, a, b, sum_))
    times = np.repeat(found.published.at, np.diff(found.published.offsets))
    bands = [
        (iso(at)[:19] + "Z", int(c["side"]), int(c["low"]), int(c["high"]), c["notional_usd"])
        for at, c in zip(times, found.published.levels, strict=True)
    ]
    assert sorted(bands) == sorted(expected)
    assert len(bands) < len(rows)


def test_overlapping_rows_are_scored_and_counted(home, few, tmp_path):
    at, symbol, side, low, high, notional = few[0]
    twice = [*few, (at, symbol, side, low, high, 2.0 * float(notional))]
    file = write(tmp_path / "mine.csv", twice)
    run = score_forecasts(file, home / "log", tmp_path / "r", options=OPTIONS)
    assert run.manifest["published"]["merged"] == 2
    section = published_section(run)
    assert any("2 rows overlap others" in fact for fact in section["facts"])
    plain = score_forecasts(
        write(tmp_path / "p.csv", few), home / "log", tmp_path / "r", options=OPTIONS
    )
    rates = [[s.value for s in r.scores if s.statistic == "hit_rate"] for r in (run, plain)]
    assert rates[0] == rates[1]
    with pytest.raises(DataError, match="overlap"):
        score_forecasts(file, home / "log", tmp_path / "r", options=OPTIONS, overlaps="refuse")


def test_rows_that_touch_or_are_of_two_sides_are_disjoint(tmp_path):
    rows = [("short", 110, 111), ("short", 111, 112), ("long", 88, 90), ("long", 87, 88)]
    assert len(levels_of(tmp_path, *rows, ("long", 111, 112)).published.levels) == 5


# --- honesty ------------------------------------------------------------------------------------


def test_later_events_change_nothing_that_was_issued(home, few, tmp_path):
    """The log ends, or goes on otherwise: marks and sigmas of before are the same bits."""
    log = EventLog.open(home / "log")
    cut = int(np.datetime64(few[-1][0].rstrip("Z"), "ns").astype(np.int64)) + 6 * HOUR_NS
    shorter = EventLog.open_or_create(tmp_path / "log")
    tables = {}
    for kind in (Kind.MARK, Kind.OPEN_INTEREST):
        table = log.read(kind, [Instrument("simulated", "SIM")])
        known = table["ts_known"].to_numpy()
        tables[kind] = table.filter(pa.array(known < cut))
    shorter.append(tables.items(), {"file": "cut", "file_sha256": "0", "map_sha256": "0"})
    file = write(tmp_path / "mine.csv", few)
    options = EvaluationOptions(bootstrap_reps=200, horizons=("4h",))
    runs = [
        score_forecasts(file, place, tmp_path / "r", options=options)
        for place in (home / "log", tmp_path / "log")
    ]
    ours, theirs = (r.forecasts("SIM") for r in runs)
    assert len(ours) == len(theirs) > 10
    for a, b in zip(ours, theirs, strict=True):
        assert (a.mark, a.mark_ts, a.sigma_1d) == (b.mark, b.mark_ts, b.sigma_1d)
        assert a.clusters.tobytes() == b.clusters.tobytes()


@pytest.fixture(scope="module")
def oracle(scored, run, home, tmp_path_factory) -> Run:
    """Levels that the price is going to reach, with a certainty of visits that is true."""
    prices, rows = run.prices("SIM"), []
    for f in scored[::6]:
        ahead = (prices["ts"] > f.at + HOUR_NS) & (prices["ts"] < f.at + 20 * HOUR_NS)
        if prices["ts"][-1] > f.at + DAY_NS:
            top, low = float(prices["close"][ahead].max()), float(prices["close"][ahead].min())
            rows.append((iso(f.at), "SIM", "short", top, top, 1))
            rows.append((iso(f.at), "SIM", "long", low, low, 1))
    folder = tmp_path_factory.mktemp("oracle")
    file = write(folder / "oracle.csv", rows)
    options = EvaluationOptions(bootstrap_reps=200, horizons=("24h",))
    return score_forecasts(file, home / "log", folder / "r", options=options)


def test_levels_that_know_the_future_score_far_better(oracle, same):
    """An oracle must shine, or the score is broken; and nothing from outside tells it apart."""
    lift = {s.statistic: s for s in oracle.scores if (s.symbol, s.side) == ("SIM", "both")}
    assert lift["hit_rate"].value > 0.95
    assert lift["hit_rate"].null < 0.7
    [own] = [
        s
        for s in same.scores
        if (s.symbol, s.statistic, s.horizon, s.side) == ("SIM", "brownian_lift", "24h", "both")
    ]
    assert lift["brownian_lift"].value > own.ci_high + 0.2
    assert lift["brownian_lift"].value > 0.3
    assert oracle.manifest["published"]["unseen"] == UNSEEN


# --- probabilities ------------------------------------------------------------------------------


def with_probability(rows: Sequence[Row], p: Callable[[int], object]) -> list[Row]:
    return [(*row, p(i)) for i, row in enumerate(rows)]


def stated(run: Run, horizon: str = "24h") -> dict[str, object]:
    return {
        s.statistic.removeprefix("stated_"): s
        for s in run.scores
        if s.statistic.startswith("stated_") and (s.symbol, s.horizon) == ("SIM", horizon)
    }


def births_of(run: Run, horizon_ns: int) -> dict[str, np.ndarray]:
    table = run.outcomes()
    columns = {n: table[n].to_numpy() for n in table.column_names if n != "market"}
    use = columns["birth"] & (columns["censor"] == 0) & (columns["horizon_ns"] == horizon_ns)
    return {n: v[use] for n, v in columns.items()}


def test_stated_probabilities_are_scored_beside_the_random_walks(try_rows, cluster_rows):
    """Each episode by the probability stated for it at birth: a hand computation."""
    rng = np.random.default_rng(1)
    stated_p = {
        row[:5]: round(float(p), 3)
        for row, p in zip(cluster_rows, rng.uniform(0.05, 0.95, len(cluster_rows)), strict=True)
    }
    rows = [(*row, stated_p[row[:5]]) for row in cluster_rows]
    run = try_rows(rows, (*HEAD, "p_visit_24h"))
    births = births_of(run, DAY_NS)
    edges = [
        (s, *sorted(e)) for s, *e in zip(births["side"], births["near"], births["far"], strict=True)
    ]
    p = np.array(
        [
            stated_p[(iso(at), "SIM", side_of(side), low, high)]
            for at, (side, low, high) in zip(births["at"], edges, strict=True)
        ]
    )
    y, q = births["visited"].astype(float), births["brownian"]
    found = stated(run)
    assert found["brier"].n_episodes == len(p)
    assert found["brier"].value == pytest.approx(brier_score(p, y).mean())
    assert found["brier"].null == pytest.approx(brier_score(q, y).mean())
    assert found["brier_gain"].value == pytest.approx(found["brier"].null - found["brier"].value)
    assert found["log_skill"].value == pytest.approx((log_score(p, y) - log_score(q, y)).mean())
    for name in ("miscalibration", "discrimination", "uncertainty"):
        assert found[name].value == pytest.approx(getattr(corp(p, y), name))
        assert found[name].null == pytest.approx(getattr(corp(q, y), name))
    assert found["impossible"].value == 0.0
    assert found["brier_gain"].ci_high < 0.0, "random numbers must lose against the walk"
    assert {s.horizon for s in run.scores if s.statistic == "stated_brier"} == {"24h"}


def test_rows_without_a_probability_are_left_out_of_its_scores_alone(try_rows, cluster_rows):
    half = with_probability(cluster_rows, lambda i: 0.4 if i % 2 else "")
    run = try_rows(half, (*HEAD, "p_visit_24h"))
    hit = next(s for s in run.scores if key(s)[1:] == ("SIM", "24h", "both", "hit_rate"))
    assert 0 < stated(run)["brier"].n_episodes < hit.n_episodes
    none = try_rows(with_probability(cluster_rows[:600], lambda _: ""), (*HEAD, "p_visit_24h"))
    assert stated(none) == {}


def test_what_was_called_impossible_and_came_to_pass_leaves_no_log_skill(try_rows, cluster_rows):
    run = try_rows(with_probability(cluster_rows, lambda _: 0), (*HEAD, "p_visit_24h"))
    found = stated(run)
    hits = births_of(run, DAY_NS)["visited"].mean()
    assert math.isnan(found["log_skill"].value)
    assert found["impossible"].value == pytest.approx(hits)
    assert found["brier"].value == pytest.approx(hits)
    page = write_report(run, run.path).read_text()
    assert "What had been called impossible came to pass" in page


def test_constant_probabilities_discriminate_nothing(try_rows, cluster_rows):
    run = try_rows(with_probability(cluster_rows, lambda _: 0.3), (*HEAD, "p_visit_24h"))
    assert stated(run)["discrimination"].value == pytest.approx(0.0, abs=1e-12)


def test_true_certainty_is_the_best_that_can_be_stated(oracle, home, tmp_path):
    births = births_of(oracle, DAY_NS)
    rows = [
        (iso(at), "SIM", side_of(side), near, near, 1, int(visited))
        for at, side, near, visited in zip(
            births["at"], births["side"], births["near"], births["visited"], strict=True
        )
    ]
    file = write(tmp_path / "sure.csv", rows, (*HEAD, "p_visit_24h"))
    options = EvaluationOptions(bootstrap_reps=200, horizons=("24h",))
    found = stated(score_forecasts(file, home / "log", tmp_path / "r", options=options))
    assert found["brier"].value == 0.0
    assert found["log_skill"].value > 0.3


# --- what is refused ----------------------------------------------------------------------------


def change(row: int, **cells: object) -> Callable[[list[Row]], list[Row]]:
    def changed(rows: list[Row]) -> list[Row]:
        values = dict(zip(HEAD, rows[row - 1], strict=True)) | cells
        return [*rows[: row - 1], tuple(values.values()), *rows[row:]]

    return changed


REFUSED: dict[str, tuple[Callable[[list[Row]], list[Row]], str]] = {
    "naive time": (change(7, at="2025-01-20T01:00:00"), r"row 7 has at '2025-01-20T01:00:00'; ex"),
    "date": (change(7, at="2025-01-20"), r"row 7 has at '2025-01-20'; expected a time with its zo"),
    "no time": (change(2, at="soon"), r"row 2 has at 'soon'; expected a time with its zone"),
    "empty time": (change(2, at=""), r"row 2 has at nothing; expected a time with its zone"),
    "another year": (change(2, at="1999-01-01T00:00:00Z"), r"row 2 .* a time from 2009 to 2100"),
    "before": (change(3, at="2024-12-31T00:00:00Z"), r"row 3 has at 2024-12-31T00:00:00Z, outside"),
    "after": (change(3, at="2025-12-31T00:00:00Z"), r"row 3 has at 2025-12-31T00:00:00Z, outside"),
    "side": (change(4, side="buy"), r"row 4 has side 'buy'; expected long .* or short"),
    "NaN price": (change(5, low="nan"), r"row 5 has low .*; expected a number"),
    "word": (change(5, high="high"), r"row 5 has high 'high'; expected a number"),
    "infinite": (change(5, high="inf"), r"row 5 has high .*inf.*; expected a number"),
    "negative price": (change(5, low=-1), r"row 5 has low .*-1.*; expected a price above 0"),
    "inverted": (change(5, low=9e4, high=8e4), r"row 5 has low 90000 above high 80000"),
    "negative notional": (change(6, notional=-1), r"row 6 has notional .*; expected USD, from 0"),
    "NaN notional": (change(6, notional="NaN"), r"row 6 has notional .*; expected a number"),
    "huge notional": (change(6, notional=1e30), r"row 6 has notional .*; expected USD, from 0"),
    "no symbol": (change(8, symbol=""), r"row 8 has no symbol"),
    "symbol": (change(8, symbol="SIN"), r"no price of 'SIN'; did you mean 'SIM'"),
    "twice": (lambda rows: [*rows, rows[0]], r"rows 1 and 601 are the same, .* each row once"),
    "ragged": (lambda rows: [*rows, rows[0][:3]], r"row 601 has not as many cells as the header"),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_a_row_that_cannot_be_right_is_named(home, few, tmp_path, what):
    spoil, says = REFUSED[what]
    file = write(tmp_path / "mine.csv", spoil(few))
    with pytest.raises(LiqbtError, match=r"mine\.csv: .*" + says) as caught:
        score_forecasts(file, home / "log", tmp_path / "r", options=OPTIONS)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "r").glob("score-*"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("at,symbol,side,low,high,notional\n", "has a header but no rows"),
        ("at,symbol,side,low,hi,notional\nx,x,x,1,2,3\n", r"no column 'high'; nearest: 'hi'"),
        ("at,symbol,side,low,low,high,notional\n", "has the column 'low' twice"),
        ("PAR1 is what it says", "no readable Parquet"),
    ],
)
def test_a_file_that_is_no_table_of_levels_is_refused(home, tmp_path, text, says):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        score_forecasts(tmp_path / "mine.csv", home / "log", tmp_path / "r")


def test_a_file_that_is_not_there_is_refused(home, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv cannot be read"):
        score_forecasts(tmp_path / "none.csv", home / "log", tmp_path / "r")


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.int64()])
def test_parquet_times_without_a_zone_are_refused(home, few, tmp_path, kind):
    columns = dict(zip(HEAD, zip(*few, strict=True), strict=True))
    at = np.array([a.rstrip("Z") for a in columns["at"]], "datetime64[us]")
    table = pa.table({**columns, "at": pa.array(at).cast(kind)})
    pq.write_table(table, tmp_path / "mine.parquet")
    with pytest.raises(DataError, match=r"column 'at' h.*zone"):
        score_forecasts(tmp_path / "mine.parquet", home / "log", tmp_path / "r")


@pytest.mark.parametrize("cell", ["1.2", "-0.1", "85%", "85", "inf"])
def test_a_probability_outside_0_to_1_is_refused(try_rows, few, cell):
    rows = with_probability(few, lambda i: cell if i == 9 else 0.5)
    with pytest.raises(DataError, match=r"row 10 has p_visit_24h .*a probability from 0 to 1"):
        try_rows(rows, (*HEAD, "p_visit_24h"))


@pytest.mark.parametrize("name", ["p", "probability", "p_visit", "P_VISIT_24H", "p_visit_0h"])
def test_a_probability_of_nothing_known_is_refused(try_rows, few, name):
    with pytest.raises(DataError, match=f"column '{name}' looks like a probability"):
        try_rows(with_probability(few, lambda _: 0.5), (*HEAD, name))


def test_a_probability_of_a_horizon_that_is_not_scored_is_refused(try_rows, few):
    with pytest.raises(ConfigError, match=r"probabilities .* for 2d, .* not scored; scored are 4h"):
        try_rows(with_probability(few, lambda _: 0.5), (*HEAD, "p_visit_48h"))


def test_two_columns_of_one_horizon_are_refused(try_rows, few):
    rows = [(*row, 0.5, 0.5) for row in few]
    with pytest.raises(DataError, match="'p_visit_1d' states a horizon a second time"):
        try_rows(rows, (*HEAD, "p_visit_24h", "p_visit_1d"))


def test_sides_that_mean_something_else_are_refused(try_rows, few):
    turned = {"long": "short", "short": "long"}
    rows = [(*row[:2], turned[str(row[2])], *row[3:]) for row in few]
    with pytest.raises(DataError, match=r"rows lie on the wrong side of the price, first row \d+"):
        try_rows(rows)


def test_a_row_that_the_price_has_passed_is_counted_and_never_a_hit(try_rows, few, scored):
    mark = scored[0].mark
    passed = (few[0][0], "SIM", "long", mark * 1.01, mark * 1.02, 1e6)
    plain, more = try_rows(few), try_rows([*few, passed])
    assert plain.manifest["published"]["wrong_side"] == 0
    assert more.manifest["published"]["wrong_side"] == 1
    assert [r["inside"] for r in more.flow] == [r["inside"] + 1 for r in plain.flow]
    assert [r["eligible"] for r in more.flow] == [r["eligible"] for r in plain.flow]
    kinds = ("hit_rate", "mirror_lift")
    ours, theirs = ([values(s) for s in r.scores if s.statistic in kinds] for r in (more, plain))
    assert ours == theirs


def test_prices_of_something_else_are_refused(try_rows, few):
    scale = {"long": 0.01, "short": 100.0}
    rows = [(*r[:3], r[3] * scale[r[2]], r[4] * scale[r[2]], r[5]) for r in few]
    with pytest.raises(DataError, match=r"none of its 600 rows lies 0\.25 to 2\.5 σ beyond"):
        try_rows(rows)


def test_a_horizon_longer_than_the_data_is_refused(try_rows, cluster_rows):
    with pytest.raises(ConfigError, match=r"7d is longer than the data.*--horizons 4h,24h"):
        try_rows(cluster_rows[-3000:])


def test_a_file_from_before_sigma_is_known_is_refused(try_rows, run):
    first = run.manifest["symbols"]["SIM"]["first"]
    at = np.datetime64(first[:-1], "ns") + np.timedelta64(6, "h")
    with pytest.raises(DataError, match="σ of 'SIM' is not known at any time of the file"):
        try_rows([(f"{at}Z", "SIM", "long", 5e4, 5.1e4, 1)])


def test_times_before_sigma_is_known_are_counted(try_rows, few, run):
    first = run.manifest["symbols"]["SIM"]["first"]
    at = np.datetime64(first[:-1], "ns") + np.timedelta64(6, "h")
    found = try_rows([(f"{at}Z", "SIM", "long", 5e4, 5.1e4, 1), *few])
    assert found.manifest["published"]["without_sigma"] == 1


def test_too_few_episodes_are_said_with_how_many_are_needed(try_rows, few):
    found = try_rows(few)
    assert {v.word for v in found.verdicts} == {VerdictWord.NOT_TESTABLE}
    reasons = {v.claim: v.reason for v in found.verdicts}
    unseen = {claim: reasons.pop(claim) for claim in ("location", "placement", "chain", "wall")}
    assert reasons.keys() >= {"magnet", "direction", "acceleration", "stops", "accuracy_85"}
    assert all("at least 30 on 20 days are needed" in reason for reason in reasons.values())
    # what rests on a feed, or a twin, that is not there says so
    assert "no liquidation is fed" in unseen["location"]
    assert "no liquidation is fed" in unseen["placement"]
    assert "no liquidation is fed" in unseen["chain"]
    assert "no depth is fed" in unseen["wall"]


def test_equal_notional_is_no_crowd_and_has_no_interval(try_rows, scored):
    rows = [
        (iso(f.at), "SIM", side, f.mark * math.exp(sign * 0.01), f.mark * math.exp(sign * 0.01), 1)
        for f in scored[:200]
        for side, sign in (("long", -1), ("short", 1))
    ]
    found = try_rows(rows)
    assert {f.asymmetry for f in found.forecasts("SIM")} == {0.0}
    skill = next(s for s in found.scores if key(s)[1:] == ("SIM", "4h", "both", "first_side_skill"))
    assert (skill.value, math.isnan(skill.ci_low)) == (0.0, True)
    drifts = [s for s in found.scores if s.statistic in ("near_drift", "near_jumps")]
    assert {s.claim for s in drifts} == {"magnet", "direction"}
    assert all(math.isnan(s.value) and math.isnan(s.ci_low) for s in drifts)
    crowded = [s for s in found.scores if s.statistic == "first_side_crowded_lift"]
    assert {s.n_episodes for s in crowded} == {0}
    verdict = next(v for v in found.verdicts if v.claim == "direction")
    assert verdict.word == VerdictWord.NOT_TESTABLE


# --- the log's instruments ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def venues(tmp_path_factory) -> Path:
    """A log with the mark of one coin at two venues, and hourly bars of another."""
    folder = tmp_path_factory.mktemp("venues")
    stamps = 1_735_689_600 + 3600 * np.arange(24 * 12)
    price = 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.006, len(stamps))))
    lines = [f"{t},{p},{p * 1.001},{p * 0.999},{p},1" for t, p in zip(stamps, price, strict=True)]
    (folder / "a.csv").write_text("t,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    common = "time: {column: t, unit: s}\nfeed: polled\nlatency: 60s\n"
    for venue in ("one", "two"):
        (folder / f"{venue}.yaml").write_text(
            f"{common}stamp: instant\nvenue: {venue}\nsymbol: ABC\n"
            "emit: [{kind: mark, fields: {price: close}}]\n"
        )
    (folder / "bars.yaml").write_text(
        f"{common}stamp: open\nspan: 1h\nvenue: one\nsymbol: XYZ\nemit: [{{kind: bar, fields: "
        "{open: open, high: high, low: low, close: close, volume_coins: volume}}]\n"
    )
    for name in ("one", "two", "bars"):
        ingest_files(folder / f"{name}.yaml", [folder / "a.csv"], folder / "log")
    return folder


def band_rows(folder: Path, symbol: str) -> list[Row]:
    """A band on each side of the price, four hours apart."""
    lines = (folder / "a.csv").read_text().splitlines()[1:]
    rows = []
    for line in lines[72:240:4]:
        cells = line.split(",")
        at, p = int(cells[0]) + 3600 + 120, float(cells[4])
        rows += [(iso(at * 10**9), symbol, "long", p * 0.96, p * 0.97, 1e6)]
        rows += [(iso(at * 10**9), symbol, "short", p * 1.03, p * 1.04, 1e6)]
    return rows


def test_a_symbol_at_several_venues_must_be_chosen(venues, tmp_path):
    file = write(tmp_path / "v.csv", band_rows(venues, "ABC"))
    arguments = (file, venues / "log", tmp_path / "r")
    options = EvaluationOptions(bootstrap_reps=200, horizons=("24h",))
    with pytest.raises(ConfigError, match=r"at several venues .*one/ABC, two/ABC; choose one with"):
        score_forecasts(*arguments, options=options)
    named = instrument_names(["ABC=two/ABC"])
    found = score_forecasts(*arguments, options=options, named=named)
    assert found.manifest["symbols"]["ABC"]["instruments"] == ["two/ABC"]
    assert "--market 'ABC=two/ABC'" in found.manifest["command"]
    write(file, band_rows(venues, "one/ABC"))
    found = score_forecasts(*arguments, options=options)
    assert found.manifest["symbols"]["one/ABC"]["instruments"] == ["one/ABC"]


def test_sigma_is_sampled_no_finer_than_the_price_feed(venues, tmp_path):
    file = write(tmp_path / "v.csv", band_rows(venues, "XYZ"))
    options = EvaluationOptions(bootstrap_reps=200, horizons=("24h",))
    found = score_forecasts(file, venues / "log", tmp_path / "r", options=options)
    assert (
        found.config["symbols"]["XYZ"]["estimators"]["published"]["params"]["sigma_sampling"]
        == "1h"
    )
    assert found.manifest["symbols"]["XYZ"]["price_stand_in"] == "last-price bars of one/XYZ"
    assert len(found.forecasts("XYZ")) == 42


def test_several_markets_are_scored_each_and_pooled(venues, tmp_path):
    rows = [*band_rows(venues, "XYZ"), *band_rows(venues, "two/ABC")]
    options = EvaluationOptions(bootstrap_reps=200, horizons=("24h",))
    file = write(tmp_path / "v.csv", rows)
    found = score_forecasts(file, venues / "log", tmp_path / "r", options=options)
    n = {
        s.symbol: s.n_episodes
        for s in found.scores
        if s.statistic == "hit_rate" and s.side == "both"
    }
    assert n.keys() == {"XYZ", "two/ABC", "pooled"}
    assert n["pooled"] == n["XYZ"] + n["two/ABC"] > 0


def test_an_instrument_for_a_symbol_that_the_file_lacks_is_refused(try_rows, few):
    with pytest.raises(ConfigError, match="has no symbol 'BTC'; it has SIM"):
        try_rows(few, named=instrument_names(["BTC=x/y"]))
    with pytest.raises(DataError, match="no price of 'x/y'"):
        try_rows(few, named=instrument_names(["SIM=x/y"]))


@pytest.mark.parametrize("text", ["BTC", "BTC=x", "=x/y", "BTC=x/"])
def test_an_instrument_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="expected SYMBOL=VENUE/NAME"):
        instrument_names([text])


def test_options_are_refused_by_their_name():
    with pytest.raises(ConfigError, match=r"--horizons: .*'4x' is not a duration"):
        score_options(horizons="4x")
    with pytest.raises(ConfigError, match=r"--latency: .*'soon' is not a duration"):
        score_options(latency="soon")
    assert score_options() == EvaluationOptions()


# --- the command --------------------------------------------------------------------------------


def test_the_command_writes_a_report_that_says_what_cannot_be_seen(
    monkeypatch, capsys, home, few, tmp_path
):
    head = (*HEAD, "p_visit_24h", "colour")
    file = write(tmp_path / "vendor.csv", [(*row, 0.85, "red") for row in few], head)
    arguments = ("score", file, "--log", home / "log", "--out", tmp_path / "r")
    code, out, err = call(monkeypatch, capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    value = json.loads(out)
    assert set(value) == {"run_id", "path", "published", "metrics"}
    assert value["published"]["ignored_columns"] == ["colour"]
    path = Path(value["path"])
    for name in ("report.html", "report.md"):
        text = (path / name).read_text()
        assert UNSEEN.split(":")[0] in text
        assert "Columns that were not read: colour." in text
    code, out, _ = call(monkeypatch, capsys, *arguments)
    assert code == 0
    assert UNSEEN in out
    assert "at least 30 on 20 days are needed" in out
    assert "stated probabilities, 24 h: Brier score" in out
    assert call(monkeypatch, capsys, "report", path)[0] == 0
    assert call(monkeypatch, capsys, "line", path)[0] == 0
    rows = json.loads((path / "metrics.json").read_text())
    assert {tuple(row) for row in rows} == {
        (
            "claim",
            "symbol",
            "horizon",
            "side",
            "statistic",
            "value",
            "null",
            "ci_low",
            "ci_high",
            "n_episodes",
            "n_days",
            "mde",
            "unit",
            "estimator",
        )
    }
    assert read_parquet(path / "outcomes.parquet").num_rows > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.csv", "--log", "log"], "none.csv"),
        (["mine.csv", "--log", "nolog"], "nolog"),
        (["mine.csv", "--log", "log", "--horizons", "soon"], "--horizons"),
        (["mine.csv", "--log", "log", "--market", "BTC"], "--market"),
        (["mine.csv"], "Missing option '--log'"),
    ],
)
def test_what_the_command_cannot_use_is_one_sentence(
    monkeypatch, capsys, tmp_path, arguments, says
):
    write(tmp_path / "mine.csv", [("2025-01-10T00:00:00Z", "X", "long", 1, 2, 3)])
    monkeypatch.chdir(tmp_path)
    code, out, err = call(monkeypatch, capsys, "score", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err
    assert sum(1 for line in err.splitlines() if line.startswith("liqbt:")) <= 1
    assert [p.name for p in tmp_path.iterdir()] == ["mine.csv"]


def candle_log(folder: Path, days: int = 40) -> tuple[Path, FloatArray]:
    """A log of hourly candles known a minute after their end, and the closes of its minutes."""
    rng = np.random.default_rng(5)
    price = 50_000 * np.exp(np.cumsum(rng.normal(0, 0.025 / np.sqrt(1440), days * 1440)))
    hours = price.reshape(-1, 60)
    times = np.datetime64("2026-01-01T00:00") + np.arange(len(hours)) * np.timedelta64(1, "h")
    file = folder / "SIMUSDT-1h.csv"
    body = zip(times, hours[:, 0], hours.max(1), hours.min(1), hours[:, -1], strict=True)
    lines = [f"{t}:00+00:00,{o},{h},{low},{c},1.0" for t, o, h, low, c in body]
    file.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n")
    source = Path(__file__).parents[2] / "experiments/sources/binance-spot-candles-1h.yaml"
    ingest_files(source, [file], folder / "log")
    return folder / "log", price


def test_levels_wait_for_the_end_of_the_bar_and_are_measured_from_it(tmp_path):
    log, price = candle_log(tmp_path)
    start = int(np.datetime64("2026-01-01T00:00", "ns").astype(np.int64))
    minutes = [6000, 6030, 6059, 8400, 20_000, 57_590]
    rows = [
        (iso(start + m * MINUTE_NS), "SIMUSDT", side, price[m - 1] * k, price[m - 1] * k, m, 0.25)
        for m in minutes
        for side, k in (("long", 0.99), ("short", 1.01))
    ]
    file = write(tmp_path / "mine.csv", rows, (*HEAD, "p_visit_4h"))
    options = OPTIONS.model_copy(update={"horizons": (4 * HOUR_NS,)})
    run = score_forecasts(file, log, tmp_path / "r", options=options)
    issued = run.forecasts("SIMUSDT")
    # the second and the third fall into one hour: the later is what is known at its end
    ends = [6000, 6060, 8400, 20_040, 57_600]
    assert [f.at for f in issued] == [start + (m + 1) * MINUTE_NS + 1 for m in ends]
    assert [f.mark for f in issued] == pytest.approx([price[m - 1] for m in ends])
    assert [f.clusters["notional_usd"][0] for f in issued] == [6000, 6059, 8400, 20_000, 57_590]
    about = run.manifest["published"]
    assert (about["times"], about["moved"], about["dropped"]) == (6, 5, 1)
    facts = " ".join(published_section(run)["facts"])
    assert "5 times waited for a price" in facts
    assert "1 times are not scored" in facts


def test_levels_after_the_last_price_are_not_scored(tmp_path):
    log, price = candle_log(tmp_path)
    start = int(np.datetime64("2026-01-01T00:00", "ns").astype(np.int64))
    last = len(price) + 1  # a minute after the end of the last bar: it is known just now
    rows = [(iso(start + last * MINUTE_NS), "SIMUSDT", "long", 40_000, 40_000, 1.0)]
    with pytest.raises(DataError, match="no bar of its times or later is in the log"):
        score_forecasts(write(tmp_path / "mine.csv", rows), log, tmp_path / "r", options=OPTIONS)


def test_honest_random_levels_on_candles_beat_their_mirrors_no_more(tmp_path):
    """Levels about the price of their minute; measured from a candle's close they did."""
    log, price = candle_log(tmp_path)
    start = int(np.datetime64("2026-01-01T00:00", "ns").astype(np.int64))
    found, lift = [], next(one for one in STATISTICS if one.id == "mirror_lift")
    lift = replace(lift, sides=("both",))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        minutes = np.arange(3000, len(price) - 600, 180) + rng.integers(0, 180)
        rows = []
        for m in minutes.tolist():
            for side, sign in (("long", -1.0), ("short", 1.0)):
                level = price[m - 1] * np.exp(sign * 0.01 * rng.uniform(0.1, 2.5))
                rows.append((iso(start + m * MINUTE_NS), "SIMUSDT", side, level, level, 1.0))
        file = write(tmp_path / "random.csv", rows)
        options = OPTIONS.model_copy(update={"horizons": (4 * HOUR_NS,)})
        work = prepare(file, log, tmp_path / "r", options, {}, seed)
        market = _market_input(work, 0, _replay(work, 0, silent))
        evidence = Evidence(markets=[market], config=protocol(options), root=seed)
        found += [d.score for d in rows_of(evidence, [lift]) if d.score.symbol == "pooled"]
    lifts = np.array([s.value for s in found])
    assert len(lifts) == 20
    assert abs(lifts.mean()) < 2.5 * lifts.std(ddof=1) / np.sqrt(len(lifts))
    assert sum(s.ci_low > 0 or s.ci_high < 0 for s in found) <= 3


@pytest.fixture(scope="module")
def month(tmp_path_factory) -> Path:
    """A run of a month without any effect, and its log."""
    folder = tmp_path_factory.mktemp("month")
    (folder / "world.yaml").write_text("name: small\ndays: 32\nwarmup_days: 5\n")
    (folder / "small.yaml").write_text(EXPERIMENT)
    simulate_world(folder / "world.yaml", seed=4, log_dir=folder / "log")
    return folder


@pytest.fixture(scope="module")
def monthly(month) -> Run:
    return run_experiment(month / "small.yaml", month / "results")


@pytest.mark.parametrize(("ahead_h", "suspect"), [(0, False), (4, True)])
def test_a_file_whose_clock_is_ahead_is_suspect(month, monthly, tmp_path, ahead_h, suspect):
    rows = [
        (iso(f.at - ahead_h * HOUR_NS), "SIM", side_of(c["side"]), c["low"], c["high"], 1e6)
        for f in monthly.forecasts("SIM")[5 * 24 :]
        for c in f.clusters
    ]
    run = score_forecasts(
        write(tmp_path / "mine.csv", rows), month / "log", tmp_path, options=OPTIONS
    )
    [magnet] = [v for v in run.verdicts if v.claim == "magnet"]
    assert (magnet.word == VerdictWord.SUSPECT) == suspect
    assert ("look for look-ahead: dose_response at 4h is -" in magnet.reason) == suspect
    assert VerdictWord.SUSPECT not in {v.word for v in monthly.verdicts}

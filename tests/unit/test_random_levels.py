"""Random levels on real prices: placed from the past alone, and a gate that can fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqbt.errors import DataError
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.episodes import eligible, flatten
from liqbt.evaluation.inference.estimates import Estimate
from liqbt.evaluation.path import PricePath
from liqbt.evaluation.probability import ReliabilityRow
from liqbt.types import CLUSTER_DTYPE, DAY_NS, HOUR_NS, DensityGrid, Forecast
from liqbt.validity import candles, random_levels
from liqbt.validity.random_levels import LIFE_NS, PER_SIDE, levels_verdict, place_levels

CONFIG = EvaluationConfig(horizons_ns=(DAY_NS,), bootstrap_reps=400)
START = 20_000 * DAY_NS


def market(days: int, seed: int = 3) -> MarketInput:
    """A Brownian path in hourly bars of 60 minutes each, forecast every hour at its true σ."""
    rng = np.random.default_rng(seed)
    sigma, minutes = 0.03, days * 1440
    x = np.log(50_000) + np.cumsum(rng.normal(0.0, sigma / np.sqrt(1440), minutes))
    bars = x.reshape(-1, 60)
    start = START + HOUR_NS * np.arange(len(bars))
    path = PricePath(
        start_ns=start, end_ns=start + HOUR_NS, low=np.exp(bars.min(axis=1)),
        high=np.exp(bars.max(axis=1)), close=np.exp(bars[:, -1]), spacing_ns=0,
        max_gap_ns=HOUR_NS,
    )  # fmt: skip
    forecasts = [
        Forecast(
            symbol="X", at=int(end) + 1, latest_known=int(end), mark=float(close),
            mark_ts=int(end), sigma_1d=sigma, grid=DensityGrid(anchor=50_000.0, step=5e-4),
            mark_bin=0, density_usd=np.zeros((2, 1), np.float32),
            clusters=np.zeros(0, CLUSTER_DTYPE), asymmetry=0.0, asymmetry_reach=0.1,
        )
        for end, close in zip(path.end_ns, path.close, strict=True)
    ]  # fmt: skip
    return MarketInput(symbol="X", forecasts=forecasts, path=path)


def test_levels_lie_in_the_band_live_five_hours_and_know_no_future():
    forecasts = market(12).forecasts
    placed = place_levels(forecasts, CONFIG, np.random.default_rng(1))
    births = [
        i for i, f in enumerate(forecasts) if i and f.at // LIFE_NS != placed[i - 1].at // LIFE_NS
    ]
    flat = flatten("X", [placed[i] for i in births])
    assert eligible(flat, CONFIG, horizon_ns=DAY_NS).all()
    assert len(flat.clusters) == 2 * PER_SIDE * len(births)
    assert np.ptp(flat.distance_sigma(DAY_NS)) > 2.0
    i = births[1]
    kept = placed[i + 1].clusters
    assert 0 < len(kept) <= 2 * PER_SIDE
    assert set(kept["low"]) <= set(placed[i].clusters["low"])
    assert not set(placed[births[2]].clusters["low"]) & set(kept["low"])
    fewer = place_levels(forecasts[:100], CONFIG, np.random.default_rng(1))
    assert all(
        a.clusters.tobytes() == b.clusters.tobytes() for a, b in zip(fewer, placed, strict=False)
    )


def test_random_levels_on_a_brownian_path_pass_and_those_that_know_the_next_day_do_not(monkeypatch):
    """The same market, seed and rule: only what places the levels is another."""
    given = market(120)
    found = random_levels.random_levels_found([given], CONFIG, np.random.SeedSequence(1))
    assert found["word"] == "passed", found["reason"]
    assert [(r["symbol"], r["null"]) for r in found["lifts"]][:2] == [
        ("X", "placebo"),
        ("X", "brownian"),
    ]
    honest = place_levels

    def knowing(forecasts, config, rng):
        """Leave out the levels that the price will not reach, in every third stretch."""
        out = []
        for i, f in enumerate(honest(forecasts, config, rng)):
            stop = min(i + 24, len(forecasts) - 1)
            low, high = (g(given.path.close[i : stop + 1]) for g in (np.min, np.max))
            reached = np.where(
                f.clusters["side"] < 0, f.clusters["low"] <= high, f.clusters["high"] >= low
            )
            out.append(replace(f, clusters=f.clusters[reached | (f.at // LIFE_NS % 3 > 0)]))
        return out

    monkeypatch.setattr(random_levels, "place_levels", knowing)
    cheated = random_levels.random_levels_found([given], CONFIG, np.random.SeedSequence(1))
    assert cheated["word"] == "failed"
    assert "over p̂, with a standard error of" in cheated["reason"]


def lift(value: float, hac: float, bootstrap: float, null: str = "placebo") -> dict:
    return {"symbol": "X", "null": null, "value": value, "hac_se": hac, "bootstrap_se": bootstrap,
            "error": max(hac, bootstrap)}  # fmt: skip


def tenth(p: float, value: float, half: float, n: int = 500) -> ReliabilityRow:
    frequency = Estimate(value=value, ci_low=value - half, ci_high=value + half, n_episodes=n)
    return ReliabilityRow(low=p - 0.05, high=p + 0.05, mean_probability=p, frequency=frequency)


def test_the_rule_of_random_levels_by_hand():
    right = [tenth(0.25, 0.26, 0.02), tenth(0.75, 0.74, 0.02)]
    assert levels_verdict([lift(0.006, 0.004, 0.0035)], right)[0] == "passed"
    # 2 of the smaller error, although 1.5 of the larger
    word, reason = levels_verdict([lift(0.006, 0.004, 0.003)], right)
    assert word == "failed"
    assert "X: +0.60 points over p̂, with a standard error of 0.30" in reason
    # where the error is a quarter of a point, half a point is too much
    assert levels_verdict([lift(0.0048, 0.0025, 0.0026)], right)[0] == "passed"
    assert levels_verdict([lift(-0.005, 0.0025, 0.0026)], right)[0] == "failed"
    # another null is shown and not judged
    both = [lift(0.0, 0.004, 0.004), lift(0.05, 0.004, 0.004, "brownian")]
    assert levels_verdict(both, right)[0] == "passed"
    # a band for two bins is 2.24/1.96 as wide as for one: 0.0229 for 0.02
    assert levels_verdict(both, [tenth(0.25, 0.272, 0.02), right[1]])[0] == "passed"
    word, reason = levels_verdict(both, [tenth(0.25, 0.274, 0.02), right[1]])
    assert (word, "where it says 25.0%, 27.4% were visited" in reason) == ("failed", True)
    # a bin of 29 episodes decides nothing, and no bin at all is no pass
    assert levels_verdict(both, [*right, tenth(0.9, 0.5, 0.01, n=29)])[0] == "passed"
    assert levels_verdict(both, [tenth(0.9, 0.5, 0.01, n=29)])[0] == "failed"


def test_what_is_kept_is_believed_for_the_same_code_and_data_alone(tmp_path, monkeypatch):
    made = []

    def found(*_):
        made.append(1)
        return {"word": "passed", "reason": "r"}

    monkeypatch.setattr(candles, "random_levels_found", found)
    monkeypatch.setattr(candles, "_market", lambda *_: None)
    data, out = tmp_path / "data", tmp_path / "out"
    absent = candles.random_levels_entry(out, data, root=5)
    assert (absent["word"], made) == ("absent", [])
    assert "no candles/BTCUSDT-1h.csv.gz here" in absent["reason"]
    (data / "candles").mkdir(parents=True)
    for name in candles.CANDLES:
        (data / name).write_bytes(b"one")
    first = candles.random_levels_entry(out, data, root=5)
    assert candles.random_levels_entry(out, data, root=5) == first
    assert len(made) == 1
    (data / candles.CANDLES[0]).write_bytes(b"two")
    assert candles.random_levels_entry(out, data, root=5)["data"] != first["data"]
    assert candles.random_levels_entry(out, tmp_path, root=5)["word"] == "passed"
    assert len(made) == 2
    # other code (here another seed) and no data: nothing is believed
    assert candles.random_levels_entry(out, tmp_path, root=6)["word"] == "absent"
    (out / candles.KEPT).write_text("{")
    with pytest.raises(DataError, match=r"random-levels\.json: found no result"):
        candles.random_levels_entry(out, data, root=5)


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.data
def test_random_levels_on_real_candles_are_decided(data_root, tmp_path):
    """What they show is the gate's to say; here: that it is computed, and small."""
    found = candles.random_levels_entry(tmp_path, data_root, root=0)
    pooled = next(r for r in found["lifts"] if (r["symbol"], r["null"]) == ("pooled", "placebo"))
    assert pooled["n_days"] > 900
    assert abs(pooled["value"]) < 0.01
    assert found["corp"]["placebo"]["miscalibration"] < found["corp"]["brownian"]["miscalibration"]

"""Baselines and map-emitting nulls."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from estimator_events import TIERS, at, bar, events, mark, market, of, open_interest, trade

from liqbt.errors import ConfigError
from liqbt.estimators.baselines import DistanceKernel, Uniform, VolumeProfile
from liqbt.estimators.nulls import Mirror, TimeShift, recentre, reflect
from liqbt.estimators.oi_flow import OIFlow
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, Forecast, Kind, Side

STEP = 0.01


def made(make=OIFlow, **changes):
    base = {
        "tiers": TIERS,
        "step": STEP,
        "fine_bins": 20,
        "coarse": 10,
        "sigma_window": 30 * MINUTE_NS,
    }
    return make(*of(make, **(base | changes)))


MARKS = [mark(300 * i, 100 + (i % 3)) for i in range(12)]
OI = open_interest(0, 500.0)
WHEN = at(3361)


def issued(estimator, *rows) -> Forecast:
    estimator.update(events(*rows))
    forecast = estimator.forecast(WHEN)
    assert forecast is not None
    return forecast


@pytest.mark.parametrize("make", [Uniform, DistanceKernel, VolumeProfile])
def test_a_baseline_sums_to_open_interest_on_each_side(make):
    forecast = issued(made(make), *MARKS, OI, trade(10, 120.0, 1.0), trade(11, 80.0, 1.0))
    usd = 500.0 * forecast.mark
    assert forecast.open_interest_usd == usd
    assert forecast.density_usd.sum(axis=1) == pytest.approx([usd, usd], rel=1e-5)


@pytest.mark.parametrize("make", [Uniform, DistanceKernel, VolumeProfile])
def test_a_baseline_without_open_interest_has_a_shape_only(make):
    forecast = issued(made(make), *MARKS, trade(10, 120.0, 1.0), trade(11, 80.0, 1.0))
    assert math.isnan(forecast.open_interest_usd)
    assert forecast.density_usd.sum(axis=1) == pytest.approx([1.0, 1.0], rel=1e-5)


def test_uniform_is_equal_in_every_bin_and_has_no_clusters():
    forecast = issued(made(Uniform), *MARKS, OI)
    fine, coarse = forecast.density_usd[:, :20], forecast.density_usd[:, 20:]
    assert fine == pytest.approx(np.full_like(fine, fine[0, 0]))
    assert coarse == pytest.approx(np.full_like(coarse, 10 * fine[0, 0]))
    assert len(forecast.clusters) == 0
    assert forecast.asymmetry == 0.0


def test_the_distance_kernel_is_half_normal_in_sigma():
    forecast = issued(made(DistanceKernel, scale_sigma=2.0), *MARKS, OI)
    for row, side in ((0, Side.LONG), (1, Side.SHORT)):
        edges = forecast.grid.prices(forecast.mark_bin, side, 20)
        middle = np.sqrt(edges[1:] * edges[:-1])
        z = np.log(middle / forecast.mark) / (2.0 * forecast.sigma_1d)
        expected = np.exp(-0.5 * (z**2 - z[0] ** 2)) * forecast.density_usd[row][0]
        np.testing.assert_allclose(forecast.density_usd[row][:20], expected, rtol=1e-5)


def test_the_volume_profile_is_what_was_traded_by_side_of_the_mark():
    trades = [trade(10, 95.3, 3.0), trade(11, 90.2, 1.0), trade(12, 108.8, 5.0)]
    forecast = issued(made(VolumeProfile, half_life=10**9 * HOUR_NS), *MARKS, OI, *trades)
    below, above = forecast.density_usd
    # trades decide, not the marks' path; coins at 95.3 and 90.2 valued there
    assert np.count_nonzero(below) == 2
    assert np.count_nonzero(above) == 1
    ratio = below.max() / below[below > 0].min()
    assert ratio == pytest.approx(3 * 95.3 / 90.2, rel=0.01)
    assert len(forecast.clusters) == 3


def test_the_volume_profile_forgets_with_its_half_life():
    early, late = [trade(10, 95.3, 8.0)], [trade(10 + 3 * 3600, 90.2, 1.0)]
    marks = [mark(3 * 3600 + 300 * i, 100 + (i % 3)) for i in range(12)]
    estimator = made(VolumeProfile, half_life=HOUR_NS)
    estimator.update(events(MARKS[0], OI, *early, *late, *marks))
    below = estimator.forecast(at(3 * 3600 + 3361)).density_usd[0]
    values = below[below > 0]
    assert values.max() / values.min() == pytest.approx(95.3 / 90.2, rel=0.01)


def test_a_long_run_does_not_overflow_the_profile():
    estimator = made(VolumeProfile, half_life=HOUR_NS)
    rows = [mark(3600 * h, 100.0 + h % 2) for h in range(0, 24 * 60)]
    estimator.update(events(OI, *rows))
    profile = estimator.state()["profile"]
    assert np.isfinite(profile).all()
    assert 0 < profile.max() < 1e15


def test_bars_are_the_profile_where_there_are_no_trades():
    rows = [bar(300, 95.3, 95.4, 95.35, 4.0), bar(600, 108.1, 108.2, 108.15, 4.0)]
    forecast = issued(made(VolumeProfile), *MARKS, OI, *rows)
    assert [np.count_nonzero(row) for row in forecast.density_usd] == [1, 1]


@pytest.mark.parametrize("make", [Uniform, DistanceKernel, VolumeProfile])
def test_a_baseline_declines_while_sigma_is_unknown(make):
    assert made(make).forecast(WHEN) is None
    estimator = made(make)
    estimator.update(events(*MARKS[:2], OI))
    assert estimator.forecast(WHEN) is None


def test_baseline_parameters_are_checked():
    with pytest.raises(ConfigError, match="scale_sigma"):
        made(DistanceKernel, scale_sigma=0)
    with pytest.raises(ConfigError, match="half_life is -1"):
        made(VolumeProfile, half_life=-1)
    with pytest.raises(ConfigError, match="at least 1 day"):
        TimeShift(made(Uniform), days=0)


@pytest.fixture(scope="module")
def real() -> Forecast:
    """A forecast with clusters on both sides."""
    tape = market(seed=3, days=6)
    estimator = OIFlow(*of(OIFlow, tiers=TIERS))
    estimator.update(tape)
    forecast = estimator.forecast(int(tape["ts_known"][-1]) + 1)
    assert forecast is not None
    return forecast


def test_reflection_keeps_distances_and_swaps_sides(real):
    mirrored = reflect(real)
    n, shorts = len(real.clusters), int((real.clusters["side"] == -1).sum())
    assert 0 < shorts < n
    for i in range(n):
        one, other = real.clusters[(i + shorts) % n], mirrored.clusters[i]
        assert other["side"] == -one["side"]
        for a, b in (("low", "high"), ("high", "low"), ("peak", "peak")):
            distance = math.log(one[a] / real.mark)
            assert math.log(other[b] / real.mark) == pytest.approx(-distance, abs=1e-15, rel=1e-12)
        assert other["notional_usd"] == one["notional_usd"]
        assert other["density_rank"] == one["density_rank"]
    assert mirrored.clusters["side"].tolist() == sorted(mirrored.clusters["side"].tolist())
    up = mirrored.clusters[mirrored.clusters["side"] == -1]
    down = mirrored.clusters[mirrored.clusters["side"] == 1]
    assert (up["low"] > real.mark).all()
    assert (down["high"] < real.mark).all()
    assert (np.diff(up["low"]) > 0).all()
    assert (np.diff(down["high"]) < 0).all()
    assert mirrored.asymmetry == -real.asymmetry


def test_reflection_takes_the_densities_and_their_grid_along(real):
    mirrored = reflect(real)
    n = real.density_usd.shape[1]
    for row, side in ((0, Side.LONG), (1, Side.SHORT)):
        assert mirrored.density_usd[row].tobytes() == real.density_usd[1 - row].tobytes()
        edges = mirrored.grid.prices(mirrored.mark_bin, side, n)
        other = real.grid.prices(real.mark_bin, Side(-side), n)
        np.testing.assert_allclose(edges, real.mark**2 / other, rtol=1e-12)
    assert not mirrored.density_usd.flags.writeable
    assert not mirrored.clusters.flags.writeable


def test_reflecting_twice_gives_the_map_back(real):
    back = reflect(reflect(real))
    assert back.mark_bin == real.mark_bin
    assert back.grid.anchor == pytest.approx(real.grid.anchor, rel=1e-15)
    assert back.density_usd.tobytes() == real.density_usd.tobytes()
    for name in real.clusters.dtype.names:
        np.testing.assert_allclose(back.clusters[name], real.clusters[name], rtol=1e-14)


def test_a_near_edge_stays_off_the_mark_when_reflected(real):
    for mark_price in (1.0, 3.3, 97.123, 65432.1):
        clusters = real.clusters[[0, -1]].copy()
        clusters["side"] = [-1, 1]
        clusters["low"] = [math.nextafter(mark_price, math.inf), mark_price / 2]
        clusters["high"] = [2 * mark_price, math.nextafter(mark_price, 0)]
        touching = Forecast(
            **{
                name: getattr(real, name)
                for name in Forecast.__dataclass_fields__
                if name not in ("mark", "clusters")
            },
            mark=mark_price,
            clusters=clusters,
        )
        mirrored = reflect(touching).clusters
        assert mirrored["low"][0] > mark_price > mirrored["high"][1]


def test_mirror_issues_the_reflection():
    forecast = issued(made(), *MARKS, OI, open_interest(1, 700.0))
    mirrored = issued(Mirror(made()), *MARKS, OI, open_interest(1, 700.0))
    assert mirrored.clusters.tobytes() == reflect(forecast).clusters.tobytes()
    assert mirrored.latest_known == forecast.latest_known
    assert Mirror(made()).forecast(WHEN) is None


def test_recentring_keeps_log_distances(real):
    now = issued(made(), *MARKS, OI)
    moved = recentre(real, now)
    assert (moved.mark, moved.at, moved.sigma_1d) == (now.mark, now.at, now.sigma_1d)
    for name in ("low", "high", "peak"):
        np.testing.assert_allclose(
            moved.clusters[name] / moved.mark, real.clusters[name] / real.mark, rtol=1e-14
        )
    for side in (Side.LONG, Side.SHORT):
        np.testing.assert_allclose(
            moved.grid.prices(moved.mark_bin, side, 50) / moved.mark,
            real.grid.prices(real.mark_bin, side, 50) / real.mark,
            rtol=1e-12,
        )
    factor = now.open_interest_usd / real.open_interest_usd
    np.testing.assert_allclose(
        moved.clusters["notional_usd"], factor * real.clusters["notional_usd"]
    )
    np.testing.assert_allclose(moved.density_usd, factor * real.density_usd, rtol=1e-5)


def run(estimator, tape, times, start=0):
    cuts = np.searchsorted(tape["ts_known"], times, side="left")
    out = []
    for at_, (a, b) in zip(times, pairwise([start, *cuts]), strict=True):
        estimator.update(tape[a:b])
        out.append(estimator.forecast(int(at_)))
    return out, int(cuts[-1])


def shifted():
    return TimeShift(OIFlow(*of(OIFlow, tiers=TIERS)), days=2)


def test_the_time_shift_issues_the_map_of_two_days_earlier():
    tape = market(seed=8, days=8)
    times = at(0) + np.arange(1, 8 * 12) * 2 * HOUR_NS
    plain, _ = run(OIFlow(*of(OIFlow, tiers=TIERS)), tape, times)
    shift, _ = run(shifted(), tape, times)
    first = next(i for i, f in enumerate(plain) if f is not None)
    assert [f is None for f in shift] == [i < first + 24 for i in range(len(times))]
    for i in range(first + 24, len(times)):
        expected = recentre(plain[i - 24], plain[i])
        assert shift[i].clusters.tobytes() == expected.clusters.tobytes()
        assert shift[i].density_usd.tobytes() == expected.density_usd.tobytes()
        assert shift[i].latest_known == plain[i].latest_known


def test_the_time_shift_resumes_bit_for_bit_and_forgets():
    tape = market(seed=8, days=8)
    times = at(0) + np.arange(1, 8 * 12) * 2 * HOUR_NS
    whole, _ = run(shifted(), tape, times)
    first = shifted()
    _, cut = run(first, tape, times[:60])
    saved = first.state()
    assert all(not array.dtype.hasobject for array in saved.values())
    assert len(saved["past.rows"]) <= 3 * 12 + 1
    resumed = shifted()
    resumed.restore(saved)
    rest, _ = run(resumed, tape, times[60:], start=cut)
    for one, other in zip(whole[60:], rest, strict=True):
        assert one.clusters.tobytes() == other.clusters.tobytes()
        assert one.density_usd.tobytes() == other.density_usd.tobytes()
        assert one.grid == other.grid


def test_asking_twice_changes_nothing():
    tape = market(seed=8, days=8)
    times = at(0) + np.arange(1, 8 * 12) * 2 * HOUR_NS
    estimator = shifted()
    out, _ = run(estimator, tape, times)
    before = estimator.state()
    again = estimator.forecast(int(times[-1]))
    assert again.clusters.tobytes() == out[-1].clusters.tobytes()
    assert all(before[k].tobytes() == v.tobytes() for k, v in estimator.state().items())


def test_nulls_nest_and_keep_long_names():
    name = "a very long name of a market, longer than any fixed field would hold: " + "é" * 40
    tape = market(seed=8, days=8)
    times = at(0) + np.arange(1, 8 * 12) * 2 * HOUR_NS

    def make():
        inner = OIFlow(*of(OIFlow, symbol=name, tiers=TIERS))
        return TimeShift(Mirror(TimeShift(inner, days=1)), days=1)

    whole, _ = run(make(), tape, times)
    first, rest = make(), make()
    _, cut = run(first, tape, times[:70])
    rest.restore(first.state())
    out, _ = run(rest, tape, times[70:], start=cut)
    assert out[-1].symbol == name
    for one, other in zip(whole[70:], out, strict=True):
        assert one.clusters.tobytes() == other.clusters.tobytes()
        assert (one.symbol, one.mark_bin, one.grid) == (other.symbol, other.mark_bin, other.grid)


def test_the_time_shift_does_not_bridge_a_gap_of_days():
    tape = market(seed=8, days=8)
    early = at(0) + np.arange(1, 30) * 2 * HOUR_NS
    late = np.array([at(0) + 7 * DAY_NS, at(0) + 7 * DAY_NS + HOUR_NS])
    out, _ = run(shifted(), tape, np.concatenate((early, late)))
    assert out[-2:] == [None, None]


def test_kinds_that_no_estimator_uses_are_passed_over():
    rows = [*MARKS, OI, open_interest(1, 700.0)]
    noise = events(*rows).copy()
    noise["kind"] = np.where(np.arange(len(noise)) % 2, Kind.FUNDING, Kind.DEPTH)
    with_noise = np.concatenate((events(*rows), noise))
    with_noise = with_noise[np.lexsort((with_noise["kind"], with_noise["ts_known"]))]
    for make in (OIFlow, VolumeProfile):
        one, other = made(make), made(make)
        one.update(events(*rows))
        other.update(with_noise)
        expected = one.forecast(WHEN)
        actual = other.forecast(WHEN)
        assert actual.density_usd.tobytes() == expected.density_usd.tobytes()

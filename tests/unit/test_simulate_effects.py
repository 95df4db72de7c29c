"""Effects by hand: truths made up so that the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from effect_truths import STEP, by_name, made_up, one_bin
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from liqbt.errors import ConfigError, DataError
from liqbt.simulate.effects.levels import levels_of, mid_ranks
from liqbt.simulate.effects.magnet import level_effects, magnet_effect, slope
from liqbt.simulate.effects.maps import correlation, mass_by_distance, outside_share, wasserstein
from liqbt.simulate.effects.twin import twin_visits
from liqbt.simulate.effects.values import difference, joined, quotient, ratio, sum_by_day
from liqbt.simulate.effects.windows import _highest, windows_of
from liqbt.types import DAY_NS, HOUR_NS, DensityGrid

NAMES = {"mechanism": "m", "statistic": "s", "unit": "share"}


def sawtooth(hours):
    """±10 bp an hour: σ of a day is 49 bp."""
    return 1e-5 + 0.001 * (np.arange(hours + 1) % 2)


class TestValues:
    def test_ratio_and_its_error_by_hand(self):
        total, weight = np.array([2.0, 0.0, 3.0, 1.0, 5.0]), np.array([2.0, 1.0, 3.0, 2.0, 4.0])
        ts = np.array([0, 1, 3, 4, 6]) * DAY_NS  # two days are empty
        effect = ratio(sum_by_day(total, weight, ts), **NAMES)
        r = 11 / 12
        u = np.zeros(7)
        u[[0, 1, 3, 4, 6]] = (total - r * weight) / 12
        lagged = [float(np.sum(u[k:] * u[: 7 - k])) for k in range(3)]
        expected = lagged[0] + 2 * (2 / 3 * lagged[1] + 1 / 3 * lagged[2])
        assert effect.value == pytest.approx(r)
        assert effect.standard_error == pytest.approx(math.sqrt(expected))
        assert (effect.n, effect.n_days, effect.null) == (5, 5, 0.0)

    def test_markets_do_not_touch(self):
        rng = np.random.default_rng(1)
        parts = [
            sum_by_day(rng.normal(size=40), np.ones(40), np.arange(40) * DAY_NS) for _ in range(3)
        ]
        together = ratio(joined(parts), **NAMES)
        r = sum(p.total.sum() for p in parts) / 120
        variance = 0.0
        for p in parts:
            u = (p.total - r * p.weight) / 120
            variance += u @ u + 2 * (2 / 3 * (u[1:] @ u[:-1]) + 1 / 3 * (u[2:] @ u[:-2]))
        assert together.value == pytest.approx(r)
        assert together.standard_error == pytest.approx(math.sqrt(variance))
        assert together.n_days == 120

    def test_nothing_is_nan(self):
        none = sum_by_day(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
        effect = ratio(joined([none]), **NAMES)
        assert math.isnan(effect.value)
        assert math.isnan(effect.standard_error)
        assert (effect.n, effect.n_days) == (0, 0)

    def test_difference_and_quotient_against_the_spread_of_many(self):
        rng = np.random.default_rng(2)
        gap, share, errors = [], [], []
        days = np.arange(200) * DAY_NS
        for _ in range(300):
            common = rng.normal(size=200)
            a = sum_by_day(3.0 + common + rng.normal(size=200), np.ones(200), days)
            b = sum_by_day(2.0 + common + rng.normal(size=200), np.ones(200), days)
            d, q = difference(a, b, **NAMES), quotient(a, b, **NAMES)
            gap.append(d.value)
            share.append(q.value)
            errors.append((d.standard_error, q.standard_error))
        assert np.mean(gap) == pytest.approx(1.0, abs=0.02)
        assert np.mean(share) == pytest.approx(1.5, abs=0.02)
        claimed = np.mean(errors, axis=0)
        assert 0.85 < np.std(gap) / claimed[0] < 1.15
        assert 0.85 < np.std(share) / claimed[1] < 1.15
        assert q.null == 1.0
        assert d.null == 0.0


class TestWindows:
    @given(
        st.lists(st.integers(-50, 50), min_size=1, max_size=40),
        st.integers(1, 45),
    )
    @settings(max_examples=150, deadline=None)
    def test_sliding_maximum(self, values, width):
        x = np.array(values, dtype=float)
        if width > x.size:
            return
        expected = [max(values[i : i + width]) for i in range(len(values) - width + 1)]
        assert _highest(x, width)[: len(expected)].tolist() == expected

    def test_excursions_with_and_without_the_push(self):
        # flat noise, and a push of 1 bp an hour from hour 80 on
        x = sawtooth(120)
        push = np.zeros(120)
        push[80:] = 1e-4
        x = x + np.concatenate([[0.0], np.cumsum(push)])
        truth = made_up(x, one_bin((4, 1.0), (4, 1.0)), push)
        w = windows_of(truth, DAY_NS)
        assert w.start[0] == 72
        assert w.start[-1] == 120 - 24
        i = int(np.flatnonzero(w.start == 90)[0])
        window = x[90:114]
        assert w.up[i] == pytest.approx(window.max() - x[90])
        assert w.down[i] == pytest.approx(x[90] - window.min())
        assert w.free_up[i] == pytest.approx(0.001)  # the sawtooth alone
        assert w.free_down[i] == pytest.approx(0.0, abs=1e-12)
        assert w.moved[i] == pytest.approx(24 * 1e-4)
        assert w.noise_sigma[i] == pytest.approx(0.02)  # of a day, as made up
        past = np.diff(x[90 - 72 : 91])
        assert w.sigma[i] == pytest.approx(math.sqrt((past**2).mean() * 24))

    def test_a_horizon_between_points_is_refused(self):
        with pytest.raises(ConfigError, match="multiple"):
            windows_of(made_up(sawtooth(120), one_bin((4, 1), (4, 1))), DAY_NS + 1)


class TestLevels:
    @given(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=60),
    )
    @settings(max_examples=150, deadline=None)
    def test_mid_ranks_against_scipy(self, rows):
        group = np.array([g for g, _ in rows], dtype=np.int64)
        value = np.array([v for _, v in rows], dtype=float)
        expected = np.empty(group.size)
        for g in set(group.tolist()):
            mine = group == g
            expected[mine] = (stats.rankdata(value[mine]) - 0.5) / mine.sum()
        np.testing.assert_allclose(mid_ranks(group, value), expected)

    def test_bands_ranks_and_mirrors(self):
        truth = made_up(sawtooth(120), one_bin((6, 1.0), (7, 2.0)))
        w = windows_of(truth, DAY_NS)
        levels = levels_of(truth, w)
        assert levels.distance_sigma.min() >= 0.25
        assert levels.distance_sigma.max() < 2.5
        # below, the bins about the sixth rank first; above, about the seventh
        for above, dense in ((False, 6), (True, 7)):
            mine = (levels.above == above) & (levels.window == 0)
            d = levels.distance_sigma[mine] * w.sigma[0]
            offset = math.log(truth.snapshot_mark[72] / truth.grid.anchor) / STEP
            inside = offset - truth.mark_bin[72]
            j = np.rint(d / STEP - (1 - inside if above else inside)).astype(int)
            assert j[np.argmax(levels.rank[mine])] == dense
        # a mirror's rank is the other side's at the same distance
        both = np.isfinite(levels.mirror_rank_both)
        assert 0.5 < both.mean() <= 1.0
        assert levels.rank_both[both].mean() == pytest.approx(
            levels.mirror_rank_both[both].mean(), abs=0.02
        )

    def test_slope_is_exact_where_the_model_is(self):
        rng = np.random.default_rng(3)
        cell = rng.integers(0, 7, 500)
        dose = rng.random(500) + 0.1 * cell  # correlated with the cells
        y = 0.3 * dose + np.sin(cell)
        effect = ratio(slope(y, dose, cell, rng.integers(0, 20, 500) * DAY_NS), **NAMES)
        assert effect.value == pytest.approx(0.3)
        assert effect.standard_error == pytest.approx(0.0, abs=1e-12)


class TestMagnet:
    def test_a_pull_upward_is_the_difference_to_the_twin(self):
        # a sawtooth that would stay, pushed up by 1 bp an hour toward dense shorts
        push = np.full(240, 1e-4)
        x = sawtooth(240) + np.concatenate([[0.0], np.cumsum(push)])
        truth = made_up(x, one_bin((10, 0.5), (5, 1.0)), push)
        effect = magnet_effect(truth)
        assert effect.hit_rate > 0.4  # from the foot of a tooth
        assert effect.mirror_rate == 0.0
        assert effect.twin_rate == 0.0  # the tooth is 10 bp high, the level at least 25 bp away
        assert effect.mirror_lift == effect.twin_lift == effect.hit_rate
        effects = by_name(level_effects([truth]))
        assert effects["densest_twin_lift"].value == pytest.approx(effect.twin_lift)
        assert effects["densest_mirror_lift"].value == pytest.approx(effect.mirror_lift)
        assert effects["dose_response_twin"].value > 0
        assert effect.displacement_sigma > 0.3

    def test_without_a_push_the_twin_is_the_path(self):
        rng = np.random.default_rng(4)
        x = np.cumsum(rng.normal(0, 0.002, 961))
        density = rng.gamma(0.3, 1.0, (960, 2, 203))
        effects = by_name(level_effects([made_up(x, density)]))
        for name in ("densest_twin_lift", "dense_twin_lift", "dose_within_side_twin"):
            assert effects[name].value == 0.0
        # dense at random: no relation, by the stated error
        for name in ("dose_within_side", "dose_response_raw", "densest_mirror_lift"):
            assert abs(effects[name].value) < 4 * effects[name].standard_error
        assert effects["dose_within_side"].n > 10_000
        assert all(e.mechanism == "magnet" and e.unit == "share" for e in effects.values())

    def test_reflection_changes_nothing(self):
        rng = np.random.default_rng(5)
        x = np.cumsum(rng.normal(0, 0.002, 481)) + STEP / 2
        density = rng.gamma(0.3, 1.0, (480, 2, 203)).astype(np.float32)
        push = rng.normal(0, 0.001, 480)
        one = by_name(level_effects([made_up(x, density, push)]))
        # the grid's anchor is the first price, so that a price and its mirror lie in mirrored bins
        other = by_name(level_effects([made_up(-x, density[:, ::-1], -push)]))
        for name, effect in one.items():
            assert other[name].value == pytest.approx(effect.value, abs=1e-9), name
            assert other[name].n == effect.n


class TestMaps:
    def test_wasserstein_against_scipy(self):
        rng = np.random.default_rng(6)
        for _ in range(20):
            a, b = rng.gamma(0.5, 1.0, 30), rng.gamma(0.5, 1.0, 30)
            at = np.arange(30) * 0.005
            expected = stats.wasserstein_distance(at, at, a, b)
            assert wasserstein(a, b, 0.005) == pytest.approx(expected)
            assert correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
        assert wasserstein(a, 7 * a, 0.005) == pytest.approx(0.0, abs=1e-15)
        assert math.isnan(wasserstein(a, np.zeros(30), 0.005))
        assert math.isnan(correlation(a, np.ones(30)))

    def test_mass_is_kept_and_counted_from_the_price(self):
        rng = np.random.default_rng(7)
        grid = DensityGrid(anchor=100.0)
        density = rng.gamma(0.5, 1.0, (2, 364)).astype(np.float32)
        price = 100.0 * math.exp(12.4 * STEP)
        mass = mass_by_distance(density, grid, 12, price=price, width=0.01, bins=200)
        np.testing.assert_allclose(mass.sum(axis=1), density.sum(axis=1, dtype=float), rtol=1e-6)
        assert outside_share(density, mass) == pytest.approx([0.0, 0.0], abs=1e-6)
        near = mass_by_distance(density, grid, 12, price=price, width=STEP, bins=20)
        # the first bin below ends 0.4 bins from the price: 0.6 of it lies in the first result
        assert near[0, 0] == pytest.approx(0.6 * density[0, 0], rel=1e-5)
        assert near[1, 0] == pytest.approx(0.4 * density[1, 0], rel=1e-5)
        assert near[0, 5] == pytest.approx(0.4 * density[0, 4] + 0.6 * density[0, 5], rel=1e-5)


class TestTwin:
    def test_by_hand(self):
        push = np.zeros(48)
        push[10:20] = 1e-3
        x = np.concatenate([[0.0], np.cumsum(push)])
        truth = made_up(x, one_bin((4, 1.0), (4, 1.0)), push)
        hours = np.array([5, 5, 15, 15, 30], dtype=np.int64)
        at = hours * HOUR_NS
        level = np.exp([0.0095, 0.0105, 0.0095, -0.001, 0.012])
        above = np.array([True, True, True, False, True])
        factual, twin = twin_visits(
            truth,
            at_ns=at,
            from_ns=at,
            until_ns=at + 12 * HOUR_NS,
            level=level,
            above=above,
            every=1,
        )
        # from 5 the path reaches 7e-3 by hour 17; from 15 it goes from 5e-3 to 10e-3
        assert factual.tolist() == [False, False, True, False, False]
        assert twin.tolist() == [False, False, False, False, False]
        with pytest.raises(DataError, match="outside the time"):
            twin_visits(
                truth,
                at_ns=at,
                from_ns=at,
                until_ns=at + 99 * HOUR_NS,
                level=level,
                above=above,
                every=1,
            )

    def test_what_had_been_pushed_before_issue_stays(self):
        push = np.zeros(48)
        push[:10] = 1e-3
        x = np.concatenate([[0.0], np.cumsum(push)]) + np.where(np.arange(49) == 30, 2e-3, 0.0)
        truth = made_up(x, one_bin((4, 1.0), (4, 1.0)), push)
        at = np.array([20], dtype=np.int64) * HOUR_NS
        factual, twin = twin_visits(
            truth,
            at_ns=at,
            from_ns=at,
            until_ns=at + 20 * HOUR_NS,
            level=np.exp([0.0115]),
            above=np.array([True]),
            every=1,
        )
        assert factual.tolist() == twin.tolist() == [True]

"""Each mechanism's effect on a truth made up so that the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from effect_truths import STEP, by_name, made_up, one_bin

from liqbt.errors import ConfigError
from liqbt.simulate.effects.acceleration import acceleration_effects
from liqbt.simulate.effects.bursts import bursts_of, lot_coins
from liqbt.simulate.effects.direction import (
    cascades_of,
    direction_effects,
    large_moves,
    two_sided_moves,
)
from liqbt.simulate.effects.drive import drive_effects
from liqbt.simulate.effects.fuel import fuel_effects
from liqbt.simulate.effects.levels import within_reach
from liqbt.simulate.effects.logit import fit, held_out
from liqbt.simulate.effects.placement import placed_ratio, placement_effects, swings
from liqbt.simulate.effects.reversal import reversal_effects
from liqbt.simulate.effects.stops import stop_effects, stop_run_effects
from liqbt.simulate.effects.walls import wall_effects
from liqbt.simulate.tables import POSITION_DTYPE
from liqbt.types import HOUR_NS

EMPTY = np.zeros((2, 203), dtype=np.float32)


class TestLogit:
    def test_against_statsmodels(self):
        rng = np.random.default_rng(1)
        x = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
        y = (rng.random(400) < 1 / (1 + np.exp(-(0.3 + x[:, 1] - 0.5 * x[:, 2])))).astype(float)
        expected = sm.Logit(y, x).fit(disp=0)
        np.testing.assert_allclose(fit(x, y), expected.params, rtol=1e-5)
        fold = rng.integers(0, 3, 400)
        scores = held_out(x, y, fold)
        other = sm.Logit(y[fold != 1], x[fold != 1]).fit(disp=0).predict(x[fold == 1])
        mine = y[fold == 1]
        np.testing.assert_allclose(
            scores[fold == 1], np.log(np.where(mine > 0, other, 1 - other)), rtol=1e-4
        )

    def test_noise_gains_nothing_out_of_sample(self):
        rng = np.random.default_rng(2)
        one = np.ones((600, 1))
        y, fold = (rng.random(600) < 0.5).astype(float), np.arange(600) % 6
        noise = held_out(np.column_stack([one, rng.normal(size=600)]), y, fold)
        assert (noise - held_out(one, y, fold)).mean() < 0.002


class TestFuel:
    def test_the_response_by_hand(self):
        # every tenth hour 1 % or 2 % of open interest is forced; the next point moves 20 bp per 1 %
        n, push, forced = 400, np.zeros(400), []
        for k, i in enumerate(range(20, 380, 10)):
            side, lots = (1, 100) if k % 2 else (-1, 200)
            forced.append((i, side, lots))
            push[i] = -side * 0.002 * lots / 100
        x = np.concatenate([[0.0], np.cumsum(push)])
        truth = made_up(x, EMPTY, push, forced=forced)
        assert lot_coins(truth) == 1.0
        bursts = bursts_of(truth)
        assert bursts.share[:2].tolist() == [0.02, 0.01]
        assert bursts.sign[:2].tolist() == [1.0, -1.0]
        effects = by_name(fuel_effects([truth]))
        assert effects["after_forced"].value == pytest.approx(20.0)
        assert effects["after_forced_pushed"].value == pytest.approx(20.0)
        assert effects["after_unforced"].n == n
        assert math.isnan(effects["after_unforced"].value)  # nobody left by choice

    def test_flow_by_choice_is_told_from_its_counterparty(self):
        rng = np.random.default_rng(3)
        truth = made_up(np.zeros(301), EMPTY, forced=[(i, 1, 50) for i in range(5, 300, 7)])
        bought = rng.integers(0, 60, 300)
        truth.steps["taker_bought"] += bought  # beyond what was forced
        stopped = rng.integers(0, 9, 300)
        truth.steps["taker_sold"] += stopped
        truth.steps["stopped_long"] += stopped
        push = 0.0005 * bought / 100  # within the hour in which it was bought
        x = np.concatenate([[0.0], np.cumsum(push)])
        truth.path_price, truth.displacement = np.exp(x), push
        effects = by_name(fuel_effects([truth]))
        assert effects["after_unforced"].value == pytest.approx(5.0)  # bp per 1 %
        assert effects["after_unforced_pushed"].value == pytest.approx(5.0)

    def test_the_next_cluster_is_reached_by_the_push(self):
        # 5-minute points; σ of an hour is 41 bp; shorts are forced, and the push of 30 bp reaches
        # the cluster 25 bp ahead, every second time; noise alone reaches it every fourth time
        density = one_bin((100, 1.0), (4, 5.0))
        n = 12 * 12 * 40
        push, noise, forced = np.zeros(n), np.zeros(n), []
        for k, i in enumerate(range(144, n - 144, 144)):
            forced.append((i, -1, 100))
            if k % 4 in (0, 1):
                push[i], push[i + 30] = 0.003, -0.003
            if k % 4 == 0:
                noise[i + 1], noise[i + 31] = 0.003, -0.003
        x = np.concatenate([[0.0], np.cumsum(push + noise)]) + STEP / 2
        truth = made_up(x, density, push, minutes=5, forced=forced)
        truth.grid = type(truth.grid)(anchor=1.0)
        truth.mark_bin = np.array([truth.grid.bin_of(p) for p in truth.snapshot_mark.tolist()])
        effects = by_name(fuel_effects([truth]))
        hazard = effects["next_cluster_hazard"]
        assert hazard.value == pytest.approx(2.0, rel=0.1)
        assert hazard.null == 1.0


class TestDirection:
    def market(self, seed, lean):
        """Hourly moves; A is ±1 for a day; large moves follow it with probability ½ + lean."""
        rng = np.random.default_rng(seed)
        hours = 24 * 60
        move = rng.normal(0, 0.001, hours)
        density = np.zeros((hours, 2, 203), dtype=np.float32)
        for day in range(60):
            crowded = int(rng.random() < 0.5)  # 0: longs below
            density[day * 24 : day * 24 + 24, crowded, 10] = 1.0
            toward = rng.random() < 0.5 + lean
            down = (crowded == 0) == toward
            if day > 3:
                move[day * 24 + 12] = -0.02 if down else 0.02
        return made_up(np.concatenate([[0.0], np.cumsum(move)]), density)

    def test_a_lean_is_found_in_its_own_units(self):
        markets = [self.market(seed, 0.3) for seed in range(12)]
        effects = by_name(direction_effects(markets))
        move = effects["crowded_move"]
        # some days' moves are found twice or not at all: σ takes the past moves in
        assert move.value == pytest.approx(0.3, abs=4 * move.standard_error)
        share = 0.5 + move.value
        gain = math.log(2) + share * math.log(share) + (1 - share) * math.log(1 - share)
        assert effects["skill_given_move"].value == pytest.approx(gain, abs=0.01)
        assert effects["skill_per_day"].value < effects["skill_given_move"].value
        assert effects["skill_per_day"].n_days == 12 * 60

    def test_no_lean_no_skill(self):
        effects = by_name(direction_effects([self.market(seed, 0.0) for seed in range(12)]))
        assert abs(effects["crowded_move"].value) < 4 * effects["crowded_move"].standard_error
        assert effects["skill_given_move"].value < 0.003

    def test_a_cascade_needs_forced_flow_and_a_move(self):
        hours = 24 * 40
        move = np.where(np.arange(hours) % 2, 0.001, -0.001)
        move[[700, 705, 900]] = [-0.02, -0.02, 0.02]
        forced = [(i, 1, 1) for i in range(1, hours, 3)]
        forced += [(701, 1, 500), (706, 1, 500), (800, 1, 500), (901, 1, 500)]
        truth = made_up(np.concatenate([[0.0], np.cumsum(move)]), EMPTY, forced=sorted(forced))
        found = cascades_of(truth)
        # 705 belongs to 700; 800 did not move; at 900 the move was up but longs were forced
        assert (found.start_ns // HOUR_NS).tolist() == [700]
        assert found.down.tolist() == [1.0]
        assert set((large_moves(truth).start_ns // HOUR_NS).tolist()) >= {700, 900}

    def test_either_way_asks_the_map_and_the_size_alone(self):
        hours = 24 * 40
        move = np.where(np.arange(hours) % 2, 0.001, -0.001)
        move[[700, 760, 820]] = [-0.02, 0.02, -0.02]
        density = np.zeros((hours, 2, 203), dtype=np.float32)
        density[:, :, 30] = 100.0  # within 2 %
        density[760, 0, 30], density[820, 1, 30] = 0.0, 1e-6
        forced = [(i, side, 1) for i in range(1, hours, 3) for side in (1, -1)]
        truth = made_up(np.concatenate([[0.0], np.cumsum(move)]), density, forced=forced)
        found = two_sided_moves(truth)
        assert (found.start_ns // HOUR_NS).tolist() == [700]
        assert found.down.tolist() == [1.0]

    def test_two_markets_are_needed(self):
        with pytest.raises(ConfigError, match="expected 2 or more"):
            direction_effects([self.market(0, 0.3)])


class TestDrive:
    def test_ratio_and_size_are_told_apart(self):
        rng = np.random.default_rng(5)
        markets, pointed, size_of = [], 0.0, 0.0
        for _ in range(8):
            days = 150
            density = np.zeros((days * 24, 2, 203), dtype=np.float32)
            move = np.zeros(days * 24)
            for d in range(days):
                r, size = rng.normal(), math.exp(rng.normal())
                rows = slice(d * 24, d * 24 + 24)
                density[rows, 0, 5] = size * 100 / (1 + math.exp(-r))
                density[rows, 1, 5] = size * 100 / (1 + math.exp(r))
                fall = rng.random() < 1 / (1 + math.exp(-1.5 * r))
                move[rows] = -1e-5 if fall else 1e-5
                pointed, size_of = pointed + r * (fall - 0.5), size_of + abs(r)
            markets.append(made_up(np.concatenate([[0.0], np.cumsum(move)]), density))
        effects = by_name(drive_effects(markets))
        assert effects["ratio_gain"].value > 0.1
        assert (
            effects["ratio_given_absolute"].value
            > 3 * effects["ratio_given_absolute"].standard_error
        )
        given = effects["absolute_given_ratio"]
        assert given.value < 2 * given.standard_error
        assert effects["ratio_toward"].value == pytest.approx(pointed / size_of, rel=0.01)
        left = effects["ratio_toward_given_absolute"]
        assert left.value > 5 * left.standard_error
        assert abs(effects["absolute_toward_given_ratio"].value) < left.value / 3

    def test_notional_within_reach(self):
        density = np.zeros((2, 203), dtype=np.float32)
        density[0, [0, 9, 10, 201]] = [1.0, 2.0, 4.0, 8.0]
        truth = made_up(np.zeros(49), density)
        down, up = within_reach(truth, truth.snapshot_ns[:2], 0.005)
        assert down.tolist() == [3.0, 3.0]  # ten bins of 5 bp
        assert up.tolist() == [0.0, 0.0]


class TestReversal:
    def path(self, after):
        """Longs are forced at hour 50, 150, ...; what follows is `after`, in σ of an hour."""
        unit = 0.02 / math.sqrt(24)
        move, forced = np.zeros(600), []
        for i in range(50, 550, 100):
            forced.append((i, 1, 100))
            move[i : i + len(after)] = np.array(after) * unit
        return np.concatenate([[0.0], np.cumsum(move)]), move, forced

    @pytest.mark.parametrize(
        ("after", "score"),
        [([1.5], 1.0), ([-1.5, 3.0], 0.0), ([0.4, -0.8], 0.5), ([0.6, 0.6, -4.0], 1.0)],
    )
    def test_which_barrier_comes_first(self, after, score):
        x, move, forced = self.path(after)
        free = by_name(reversal_effects([made_up(x, EMPTY, forced=forced)]))
        assert free["return_placebo"].value == score - 0.5
        assert free["return_twin"].value == 0.0
        assert free["return_placebo"].n == 5
        pushed = by_name(reversal_effects([made_up(x, EMPTY, move, forced=forced)]))
        assert pushed["return_twin"].value == score - 0.5  # the twin stays: ½

    def test_small_forced_flow_is_no_sweep(self):
        x, _, forced = self.path([1.5])
        small = [(i, side, 10) for i, side, _ in forced]
        assert by_name(reversal_effects([made_up(x, EMPTY, forced=small)]))["return_twin"].n == 0


class TestAcceleration:
    def test_the_speed_ratio_by_hand(self):
        # the sawtooth is 3 times as high on even days, on which the map is dense about the price
        hours = 24 * 12
        even = np.arange(hours + 1) // 24 % 2 == 0
        x = STEP / 2 + np.where(np.arange(hours + 1) % 2, np.where(even, 0.0003, 0.0001), 0.0)
        dense, sparse = np.zeros((2, 203)), np.zeros((2, 203))
        dense[:, 0] = 1.0
        sparse[:, 40] = 1.0
        density = np.where(even[:-1, None, None], dense, sparse)
        truth = made_up(x, density)
        effect, log = acceleration_effects([truth])
        moves = np.abs(np.diff(x))
        expected = moves[even[:-1]].mean() / moves[~even[:-1]].mean()
        assert effect.value == pytest.approx(expected)
        assert effect.value == pytest.approx(3.0, rel=0.1)
        assert effect.n == hours
        assert effect.null == 1.0
        assert log.value == pytest.approx(math.log(expected))
        assert log.standard_error == pytest.approx(effect.standard_error / expected)
        assert (log.null, log.statistic) == (0.0, "log_speed_ratio")


class TestWalls:
    def test_what_a_wall_holds_back(self):
        # pushes up of 1 % at hours 30, 60, ...; where a wall stands, it takes all of the next one
        move, push, walls = np.zeros(300), np.zeros(300), []
        for k, i in enumerate(range(30, 290, 30)):
            move[i], move[i + 10] = 0.01, -0.01
            if k % 3 == 0:
                price = math.exp(0.005)
                walls.append((i * HOUR_NS, (i + 9) * HOUR_NS, 1, price, 0.01))
                push[i], push[i + 10] = -0.01, 0.01
        x = np.concatenate([[0.0], np.cumsum(move + push)])
        truth = made_up(x, EMPTY, push, walls=walls)
        effects = by_name(wall_effects([truth]))
        assert effects["pass_through_twin"].value == -1.0
        assert effects["pass_through_twin"].n == 3
        assert effects["pass_through_mirror"].value == 0.0  # neither side was passed
        weak = made_up(np.concatenate([[0.0], np.cumsum(move)]), EMPTY, walls=walls)
        effects = by_name(wall_effects([weak]))
        assert effects["pass_through_twin"].value == 0.0
        assert effects["pass_through_mirror"].value == 1.0

    def test_no_walls_no_rows(self):
        assert wall_effects([made_up(np.zeros(50), EMPTY)]) == ()


class TestStops:
    def test_the_difference_by_hand(self):
        rng = np.random.default_rng(6)
        x = np.cumsum(rng.normal(0, 0.002, 1201))
        same = by_name(stop_effects([made_up(x, rng.gamma(0.3, 1.0, (1200, 2, 203)))]))
        effect = same["stop_hit_difference"]
        assert abs(effect.value) < 4 * effect.standard_error
        assert same["stop_hit_twin"].value == 0.0
        # density where the price will be within the day: dense levels are hit, sparse ones are not
        seen = np.zeros((1200, 2, 203), dtype=np.float32)
        truth = made_up(x, seen)
        bins = np.floor((x - x[0]) / STEP).astype(int)
        for t in range(1200):
            window = bins[t : t + 24] - truth.mark_bin[t]
            seen[t, 0, : max(-int(window.min()) - 1, 0)] = 1.0
            seen[t, 1, : max(int(window.max()) - 1, 0)] = 1.0
        told = by_name(stop_effects([made_up(x, seen)]))["stop_hit_difference"]
        assert told.value > 0.2
        assert told.value > 5 * told.standard_error

    def test_stops_that_the_price_has_come_to_by_hand(self):
        # a new high every 12 h; on even days the map is dense there and a push hits the stop
        hours, noise, push = 24 * 40, np.zeros(24 * 40), np.zeros(24 * 40)
        rng = np.random.default_rng(7)
        noise[:96] = rng.normal(0.0, 0.004, 96)  # σ of the past is that of the last three days
        for k, i in enumerate(range(100, hours - 20, 12)):
            noise[i], noise[i + 6] = 0.004, -0.0042
            if k % 2 == 0:
                push[i + 1], push[i + 5] = 0.003, -0.003
        x = np.concatenate([[0.0], np.cumsum(noise + push)])
        density = np.zeros((hours, 2, 203))
        density[:, :, 60] = 1.0  # within reach, and never near the price
        for k, i in enumerate(range(100, hours - 20, 12)):
            if k % 2 == 0:
                density[i : i + 2, :, 0] = 40.0
        pushed = by_name(stop_run_effects([made_up(x, density, push)]))
        free = np.concatenate([[0.0], np.cumsum(noise)])
        same = by_name(stop_run_effects([made_up(free, density)]))
        assert pushed["stop_run_twin"].value > 0.5
        assert pushed["stop_run"].value > 0.5
        assert same["stop_run_twin"].value == 0.0
        assert pushed["stop_run_twin"].unit == "share"


class TestPlacement:
    def test_swings_by_hand(self):
        x = np.concatenate([np.linspace(0, -0.03, 31), np.linspace(-0.029, 0.01, 40)])
        truth = made_up(x, EMPTY)
        hour, level, side = swings(truth, 6)
        assert side.tolist() == [-1]
        assert hour.tolist() == [29]  # the hour that ends at point 30
        assert level.tolist() == pytest.approx([-0.03])

    def test_forced_flow_just_beyond_a_swing(self):
        # down to a swing low, up, down again through it; forced just beyond it and farther down
        def leg(a, b):
            return np.linspace(a, b, round(abs(b - a) / STEP) + 1)[1:]

        one = np.concatenate([leg(0, -0.02), leg(-0.02, 0.02), leg(0.02, -0.06), leg(-0.06, 0.0)])
        x = np.concatenate([[0.0], np.tile(one, 3)]) + STEP / 2
        low = -0.02
        forced = []
        for i in range(1, x.size):
            falls = x[i] < x[i - 1]
            if falls and low - 0.004 < x[i] < low and i % one.size > 100:
                forced.append((i, 1, 30))
            elif falls and x[i] < low - 0.004:
                forced.append((i, 1, 10))
        truth = made_up(x, EMPTY, forced=forced)
        truth.grid = type(truth.grid)(anchor=1.0)
        effect = placement_effects([truth])[0]
        assert effect.value > 2.0
        assert effect.null == 1.0
        level = [(i, side, 10) for i, side, _ in forced]
        assert placement_effects([_again(x, level)])[0].value < effect.value / 2

    def test_entrants_just_beyond_a_swing_against_entrants_exchanged(self):
        x = np.zeros(120)
        x[28:33] = [-0.01, -0.015, -0.02, -0.015, -0.01]
        truth = made_up(x, EMPTY)
        p = np.zeros(101, dtype=POSITION_DTYPE)
        p["side"], p["margin"], p["entry_price"] = 1, 1, 1.0
        p["opened_ns"] = 50 * HOUR_NS + np.arange(101)
        p["first_liquidation_price"][:50] = np.exp(-0.021)  # 50 of 50 below the low …
        p["first_liquidation_price"][50:] = np.exp(-0.05)
        p["first_liquidation_price"][50:100:2] = np.exp(-0.0235)  # … and 25 of the next 50
        p["margin"][100] = 0  # backed in full: no liquidation price
        truth.positions = p
        ratio = placed_ratio([truth], swing_h=6, beyond=0.004, mechanism="m")
        assert ratio.value == pytest.approx(2.0)
        p["opened_ns"] -= 16 * HOUR_NS  # not confirmed yet
        assert np.isnan(placed_ratio([truth], swing_h=6, beyond=0.004, mechanism="m").value)


def _again(x, forced):
    truth = made_up(x, EMPTY, forced=forced)
    truth.grid = type(truth.grid)(anchor=1.0)
    return truth

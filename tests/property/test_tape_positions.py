"""Tapes of the same prices: the twin knows nothing of positions, a history has those of a time."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from estimator_events import at, event, events, market, of
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.errors import DataError
from liqbt.estimators import DensityEstimator
from liqbt.estimators.baselines import DistanceKernel
from liqbt.estimators.oi_flow import OIFlow
from liqbt.estimators.structural import RoundNumbers
from liqbt.margin.tiers import flat_tiers
from liqbt.replay import replay
from liqbt.tape.positions import price_only_tape, shifted_tape
from liqbt.tape.values import Tape, tape_from_events
from liqbt.types import DAY_NS, HOUR_NS, Instrument, Kind

POSITIONS = (Kind.OPEN_INTEREST, Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL)


class Own(DensityEstimator):
    """Coins that came in while open interest rose, at the price of then; none once it fell."""

    def __init__(self, params, spec) -> None:
        super().__init__(params, spec)
        self.memory["coins"] = np.zeros(2)
        self.memory["placed"] = np.zeros((0, 2))

    def update(self, batch) -> None:
        super().update(batch)
        for row in batch[batch["kind"] == Kind.OPEN_INTEREST]:
            last, known = self.memory["coins"]
            placed = self.memory["placed"]
            if known and row["p0"] > last:
                new = [[self.mark, row["p0"] - last]]
                self.memory["placed"] = np.concatenate([placed, new])
            elif known and last > 0.0:
                self.memory["placed"] = placed * [1.0, row["p0"] / last]
            self.memory["coins"] = np.array([row["p0"], 1.0])

    def density(self, now, prices):
        out = np.zeros(len(prices))
        for entry, coins in self.memory["placed"]:
            for level in (0.95 * entry, 1.05 * entry):
                out[np.argmin(np.abs(prices - level))] += coins * level
        return out


MAKERS = (OIFlow, DistanceKernel, RoundNumbers, Own)


def tape_of(seed: int, days: int = 6, **changes) -> Tape:
    options = {"every_s": 3600, "totals": True} | changes
    return tape_from_events(market(seed, days=days, **options), (Instrument("v", "X"),))


def other_positions(tape: Tape, seed: int) -> Tape:
    """The same prices; open interest is garbage, liquidations are others and fewer."""
    rng = np.random.default_rng(seed)
    rows = np.array(tape.events)
    snapshots = rows["kind"] == Kind.OPEN_INTEREST
    n = int(snapshots.sum())
    rows["p0"][snapshots] = 10.0 ** rng.uniform(-3, 9, n)
    rows["p1"][snapshots] = np.where(rng.random(n) < 0.5, np.nan, rng.uniform(0, 1e12, n))
    forced = np.isin(rows["kind"], POSITIONS[1:])
    rows["p0"][forced] = rng.exponential(1e6, int(forced.sum()))
    return tape_from_events(rows[~(forced & (rng.random(len(rows)) < 0.5))], tape.instruments)


def maps(make, tape: Tape) -> np.ndarray:
    options = {"tiers": flat_tiers("X", 0.004, 125)} if make is OIFlow else {}
    made = make(*of(make, **options, sigma_sampling=HOUR_NS, sigma_window=24 * HOUR_NS))
    issued = replay(tape, made, np.arange(at(2 * 86_400), at(5 * 86_400), 12 * HOUR_NS))
    assert len(issued) == 6
    return np.array([np.concatenate(f.density_usd) for f in issued], np.float64)


@given(st.integers(0, 10_000), st.sampled_from([0, 2]))
@settings(max_examples=20)
def test_prices_keep_their_bytes_and_their_order(seed, trades):
    tape = tape_of(seed, trades=trades)
    twin = price_only_tape(tape)
    kept = ~np.isin(tape.events["kind"], POSITIONS)
    priced = twin.events["kind"] != Kind.OPEN_INTEREST
    assert twin.events[priced].tobytes() == tape.events[kept].tobytes()
    assert not np.isin(twin.events["kind"], POSITIONS[1:]).any()
    left = tape.events[~np.isin(tape.events["kind"], POSITIONS[1:])]
    for name in ("ts_known", "ts_event", "kind", "side", "instrument", "span_s"):
        np.testing.assert_array_equal(twin.events[name], left[name])
    moved = shifted_tape(tape_of(seed, days=16), 0.5).events
    record = tape_of(seed, days=16).events
    same = record["kind"] != Kind.OPEN_INTEREST
    assert moved[same].tobytes() == record[same].tobytes()


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_the_twin_is_told_of_constant_inflow(seed):
    tape = tape_of(seed)
    before, after = tape.of(Kind.OPEN_INTEREST), price_only_tape(tape).of(Kind.OPEN_INTEREST)
    want = naive.constant_inflow(before["ts_event"].tolist(), before["p0"].tolist())
    np.testing.assert_allclose(after["p0"], want, rtol=1e-12)
    rate = np.diff(after["p0"]) / np.diff(after["ts_event"])
    np.testing.assert_allclose(rate, rate[0], rtol=1e-6)
    rises = np.diff(before["p0"]).clip(min=0.0).sum()
    assert after["p0"][-1] - after["p0"][0] == pytest.approx(rises)


@pytest.mark.parametrize("make", MAKERS)
def test_the_twin_knows_nothing_of_positions(make):
    tape = tape_of(3)
    mine = maps(make, price_only_tape(tape))
    for seed in range(3):
        garbage = maps(make, price_only_tape(other_positions(tape, seed)))
        shares = [each / each.sum(axis=1, keepdims=True) for each in (mine, garbage)]
        np.testing.assert_allclose(shares[0], shares[1], rtol=1e-5, atol=1e-9)


def test_an_estimator_that_reads_positions_differs_from_its_twin():
    tape = tape_of(3)
    for make in (OIFlow, Own):
        real, twin = maps(make, tape), maps(make, price_only_tape(tape))
        real, twin = (each / each.sum(axis=1, keepdims=True) for each in (real, twin))
        assert np.abs(real - twin).sum(axis=1).max() > 0.02


def test_usd_of_the_twin_are_at_the_last_price_and_tell_nothing_else():
    rows = events(
        event(Kind.OPEN_INTEREST, 0, 5.0, 500.0),
        event(Kind.MARK, 60, 100.0, 100.0, 100.0, 100.0),
        event(Kind.OPEN_INTEREST, 86_400, 6.0, 777.0),
        event(Kind.OPEN_INTEREST, 2 * 86_400, 4.0),
    )
    twin = price_only_tape(tape_from_events(rows, (Instrument("v", "X"),))).of(Kind.OPEN_INTEREST)
    # one coin in two days, for thirty days before
    assert twin["p0"] == pytest.approx([15.0, 15.5, 16.0])
    assert math.isnan(twin["p1"][0])
    assert twin["p1"][1] == pytest.approx(1550.0)
    assert math.isnan(twin["p1"][2])


def test_without_rises_or_snapshots_there_is_a_twin_still():
    rows = events(event(Kind.OPEN_INTEREST, 0, 5.0), event(Kind.OPEN_INTEREST, 86_400, 4.0))
    twin = price_only_tape(tape_from_events(rows, (Instrument("v", "X"),)))
    assert twin.events["p0"] == pytest.approx([30.0, 31.0])
    bare = tape_from_events(
        events(event(Kind.MARK, 0, 1.0, 1.0, 1.0, 1.0)), (Instrument("v", "X"),)
    )
    assert price_only_tape(bare).digest == bare.digest


@given(st.integers(0, 10_000), st.floats(0.0, 1.0, exclude_max=True))
@settings(max_examples=20)
def test_a_history_has_the_changes_of_another_time(seed, share):
    tape = tape_of(seed, days=20)
    before, after = tape.of(Kind.OPEN_INTEREST), shifted_tape(tape, share).of(Kind.OPEN_INTEREST)
    change = np.diff(np.log(before["p0"]))
    moved = np.diff(np.log(after["p0"]))
    n, week = len(change), 7 * 24
    fits = [k for k in range(n) if np.allclose(np.roll(change, k), moved, atol=1e-9)]
    assert len(fits) == 1
    assert week <= fits[0] <= n - week
    assert after["p0"][[0, -1]] == pytest.approx(before["p0"][[0, -1]])


def test_every_shift_is_a_week_at_least_whatever_the_cadence():
    rng = np.random.default_rng(1)
    seconds = np.cumsum(rng.choice([300, 3600, 86_400], 400))
    rows = events(
        *(
            event(Kind.OPEN_INTEREST, s, c)
            for s, c in zip(seconds, rng.uniform(1, 2, 400), strict=True)
        )
    )
    tape = tape_from_events(rows, (Instrument("v", "X"),))
    known, change = rows["ts_known"], np.diff(np.log(rows["p0"]))
    for share in (0.0, 0.3, 0.999999):
        moved = np.diff(np.log(shifted_tape(tape, share).events["p0"]))
        shift = next(k for k in range(400) if np.allclose(np.roll(change, k), moved, atol=1e-9))
        source = (np.arange(399) - shift) % 399
        assert (np.abs(known[source] - known[:399]) >= 7 * DAY_NS).all()


def test_a_history_needs_positive_open_interest_of_two_weeks():
    with pytest.raises(DataError, match=r"open interest spans 12 days: a shift by at least seven"):
        shifted_tape(tape_of(0, days=12), 0.0)
    rows = np.array(tape_of(0, days=16).events)
    rows["p0"][np.flatnonzero(rows["kind"] == Kind.OPEN_INTEREST)[5]] = 0.0
    with pytest.raises(DataError, match=r"open interest is 0 coins at one of 384 snapshots"):
        shifted_tape(tape_from_events(rows, (Instrument("v", "X"),)), 0.0)
    bare = rows[rows["kind"] == Kind.MARK]
    with pytest.raises(DataError, match="holds no open interest"):
        shifted_tape(tape_from_events(bare, (Instrument("v", "X"),)), 0.0)

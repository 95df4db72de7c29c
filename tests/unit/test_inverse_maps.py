"""Maps of contracts that are margined in their coin: their own rule, and dollars that stay."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from estimator_events import at, event, events, mark, market, of, trade

from liqbt.errors import EstimatorError, MarginError
from liqbt.estimators.baselines import Uniform
from liqbt.estimators.density import summed
from liqbt.estimators.levmix import LevMix
from liqbt.estimators.oi_flow import OIFlow
from liqbt.margin import bracket_ratios
from liqbt.margin.rules import INVERSE
from liqbt.margin.tiers import flat_tiers
from liqbt.study.estimators import margin_tiers
from liqbt.study.schema import MarketConfig
from liqbt.types import MINUTE_NS, Kind, Side

RATE, STEP = 0.004, 0.002
TIERS = {rule: flat_tiers(rule, RATE, 125, rule) for rule in INVERSE}


def flow(rule="okx_inverse", **changes):
    base = {
        "leverages": (10.0,),
        "weights": (1.0,),
        "half_lives_h": (1e12,),
        "step": STEP,
        "fine_bins": 100,
        "sigma_window": 30 * MINUTE_NS,
    }
    return OIFlow(*of(OIFlow, **(base | {"tiers": TIERS[rule]} | changes)))


def interest(second, coins, usd=math.nan):
    return event(Kind.OPEN_INTEREST, second, coins, usd)


def quiet(until):
    """Marks that σ can be taken of."""
    return [mark(s, 100.0 + 0.01 * (s // 60 % 2)) for s in range(0, until, 60)]


@pytest.mark.parametrize("rule", sorted(INVERSE))
def test_each_rule_places_its_own_levels(rule):
    """A coin-margined long is closed nearer its entry than a linear one, a short farther away."""
    long, short = bracket_ratios(TIERS[rule].at(0), [10, 50], 1e4)
    flat_long, flat_short = bracket_ratios(flat_tiers("X", RATE, 125).at(0), [10, 50], 1e4)
    assert (long > flat_long).all()
    assert (short > flat_short).all()
    by_hand = {
        "binance_inverse": (1.004 / 1.1, 0.996 / 0.9),
        "okx_inverse": (1.004 / 1.1, 0.996 / 0.9),
        "bybit_inverse": (1 / 1.096, 1 / 0.904),
        "bitmex_inverse": (1 / 1.096, 1 / 0.904),
    }
    assert (long[0], short[0]) == pytest.approx(by_hand[rule])
    rows = [*quiet(3600), interest(3500, 10.0, 1000.0), trade(3590, 100.0, 1.0)]
    rows += [interest(3595, 15.0, 1500.0)]
    estimator = flow(rule)
    estimator.update(events(*rows))
    issued = estimator.forecast(at(3601))
    assert [c.side for c in map(issued.cluster, range(2))] == [Side.SHORT, Side.LONG]
    for i, ratio in ((0, short[0]), (1, long[0])):
        assert issued.cluster(i).peak == pytest.approx(100.0 * ratio, rel=STEP)
        assert issued.cluster(i).notional_usd == pytest.approx(1500.0)  # all that is open, in USD
    assert issued.open_interest_usd == 1500.0


def test_a_move_of_the_price_opens_and_closes_nothing():
    """1,000 USD of contracts stay 1,000 USD: in coins they would seem to rise and fall."""
    rows, stated = [], []
    for i in range(60):
        price = 100.0 * (1.0 + 0.05 * math.sin(i / 5))
        rows += [mark(60 * i, price)]
        stated += [interest(60 * i + 1, 1000.0 / price, 1000.0)]
    for held in (stated, [interest(60 * i + 1, float(e["p0"][0])) for i, e in enumerate(stated)]):
        estimator = flow()
        estimator.update(events(*rows, *held))
        assert estimator.state()["coins"].sum() == pytest.approx(0.0, abs=1e-9)
        assert estimator.open_interest_usd == pytest.approx(1000.0)
    linear = flow(tiers=flat_tiers("X", RATE, 125))
    linear.update(events(*rows, *stated))
    assert linear.state()["coins"].sum() > 1.0


@pytest.mark.parametrize("kind", [OIFlow, LevMix])
def test_in_parts_and_restored_it_is_the_same_to_the_bit(kind):
    tape = market(seed=3, days=3, trades=2, totals=True)
    made = [kind(*of(kind, tiers=TIERS["bitmex_inverse"], step=STEP)) for _ in range(3)]
    made[0].update(tape)
    half = len(tape) // 2 + 1
    for row in range(0, half, 7):
        made[1].update(tape[row : min(row + 7, half)])
    made[2].restore(made[1].state())
    made[2].update(tape[half:])
    for name, whole in made[0].state().items():
        assert whole.tobytes() == made[2].state()[name].tobytes(), name
    assert made[0].forecast(int(tape["ts_known"][-1]) + 1) is not None


def test_a_map_without_a_margin_rule_reads_coins_as_ever():
    tape = market(seed=3, days=3)
    maps = []
    for tiers in (TIERS["okx_inverse"], flat_tiers("X", RATE, 125)):
        estimator = Uniform(*of(Uniform, tiers=tiers))
        estimator.update(tape)
        maps.append(estimator.forecast(int(tape["ts_known"][-1]) + 1).density_usd)
    assert np.array_equal(*maps)


def test_a_map_over_venues_is_the_sum_of_maps_by_their_own_rules():
    rows = [*quiet(3600), interest(3500, 10.0, 1000.0), trade(3590, 100.0, 1.0)]
    rows += [interest(3595, 15.0, 1500.0)]
    maps = []
    for tiers in (flat_tiers("X", RATE, 125), TIERS["okx_inverse"]):
        estimator = flow(tiers=tiers)
        estimator.update(events(*rows))
        maps.append(estimator.forecast(at(3601)))
    both = summed(maps, "both")
    for side in range(2):
        assert both.density_usd[side].sum() == pytest.approx(
            sum(f.density_usd[side].sum() for f in maps), rel=1e-6
        )
    peaks = sorted(c.peak for c in map(both.cluster, range(len(both.clusters))))
    apart = sorted(f.cluster(i).peak for f in maps for i in range(2))
    assert peaks == pytest.approx(apart, rel=STEP)
    # from another venue's mark a level is as far as it was from its own
    basis = replace(maps[1], mark=maps[1].mark * math.exp(-3 * STEP))
    moved = summed([maps[0], basis], "both")
    lows = sorted(moved.clusters["peak"] / both.mark)
    assert lows[0] == pytest.approx(peaks[0] / both.mark, rel=1e-9)
    assert lows[1] == pytest.approx(peaks[1] / both.mark * math.exp(3 * STEP), rel=STEP / 2)
    with pytest.raises(EstimatorError, match=r"the maps of both were issued at .*; expected one"):
        summed([maps[0], replace(maps[1], at=maps[1].at + 1)], "both")


def test_what_cannot_be_is_one_sentence():
    with pytest.raises(MarginError, match="bracket 1x of okx_inverse: its shorts can never"):
        bracket_ratios(TIERS["okx_inverse"].at(0), [1], 1e4)
    held = {"mark": "binance-um/BTCUSDT", "open_interest": "okx/BTC-USD-SWAP"}
    rule = {"rule": "okx_inverse", "flat_rate": 0.0045, "max_leverage": 100}
    market_config = MarketConfig.model_validate({"events": held, "margin": rule})
    tiers = margin_tiers(market_config.margin, "here").at(0)
    assert (tiers.rule, tiers.rate[0]) == ("okx_inverse", 0.0045)
    linear = {**held, "open_interest": "okx/BTC-USDT-SWAP"}
    for events_, margin, said in (
        (linear, rule, "not known to be an inverse contract, and 'margin.rule' is okx_inverse"),
        (held, {"tiers": "BTCUSDT"}, "an inverse contract .* such as okx_inverse"),
        (held, {"rule": "okx_inverse", "tiers": "BTCUSDT"}, "no tiers are shipped for"),
        (held, {**rule, "rule": "okx_inverted"}, "okx_inverse"),
    ):
        with pytest.raises(ValueError, match=said):
            MarketConfig.model_validate({"events": events_, "margin": margin})

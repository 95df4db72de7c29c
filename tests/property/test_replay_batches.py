"""Forecasts in batches: where a batch ends changes nothing, and none knows what comes after it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from estimator_events import small_config, tapes
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt import replay as loop
from liqbt.errors import EstimatorError
from liqbt.estimators.levmix import LevMix
from liqbt.estimators.oi_flow import OIFlow
from liqbt.evaluation.near import beside_asymmetry, density_rows, longest_density, near_mass
from liqbt.forecasts import (
    ROW_DTYPE,
    Forecasts,
    cluster_counts,
    column,
    forecast_bytes,
    joined_clusters,
    kept_forecasts,
    restated,
    symbols_of,
)
from liqbt.replay import copied, replay, replay_many
from liqbt.tape.values import trusted_tape
from liqbt.types import MINUTE_NS, Instrument

MADE = (OIFlow, LevMix)


def made(make, kind):
    as_one = {"intervals": False} if make is LevMix else {}
    return make(*small_config(kind, make, sigma_min_coverage=0.01, **as_one))


def times_of(tape, every):
    known = tape["ts_known"]
    return np.arange(int(known[0]), int(known[-1]) + 2 * every, every)


class OneByOne:
    """The inner estimator, which is asked for one forecast after the other."""

    def __init__(self, inner):
        self.update, self.forecast = inner.update, inner.forecast
        self.state, self.restore = inner.state, inner.restore


@settings(max_examples=20)  # each replays a tape four times
@given(tapes(), st.sampled_from(MADE), st.sampled_from([20, 90, 240]), st.data())
def test_where_a_batch_ends_changes_no_byte(case, make, minutes, data):
    kind, events = case
    tape = trusted_tape(events.copy(), (Instrument("x", "X"),))
    times = times_of(events, minutes * MINUTE_NS)
    expected = [forecast_bytes(f) for f in replay(tape, OneByOne(made(make, kind)), times)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_AT_ONCE", data.draw(st.integers(1, 9)))
        patch.setattr(loop, "_TOGETHER", data.draw(st.integers(1, 50)))
        both = {"one": made(make, kind), "single": OneByOne(made(make, kind))}
        found = replay_many(tape, both, times, batch=data.draw(st.integers(1, 50)))
    assert isinstance(found["one"], Forecasts)
    for name in both:
        assert [forecast_bytes(f) for f in found[name]] == expected, name
    # a batch that has no room for all of them goes on in the next
    short = made(make, kind)
    short._issued = short._issued._replace(rows=short._issued.rows[:1].copy())
    parts = (short._market, short._book, short._plan, short._emission.scratch, short._issued)
    short._work = tuple(map(tuple, parts))
    cuts = np.searchsorted(events["ts_known"], times)
    batches = Forecasts(short.forecast_batches(copied(events, 0, int(cuts[-1])), cuts, times))
    assert [forecast_bytes(f) for f in batches] == expected


@settings(max_examples=40)
@given(tapes(), st.sampled_from(MADE), st.data())
def test_what_comes_after_a_cut_changes_nothing_of_the_forecasts_before_it(case, make, data):
    kind, events = case
    times = times_of(events, 20 * MINUTE_NS)
    cuts = np.searchsorted(events["ts_known"], times)
    last = data.draw(st.integers(0, len(times) - 1))
    poisoned = events.copy()
    rows = slice(int(cuts[last]), len(events))
    for name in ("p0", "p1", "p2", "p3", "p4"):
        poisoned[name][rows] *= data.draw(st.sampled_from([0.5, 1.01, 40.0]))
    poisoned["ts_event"][rows] += data.draw(st.integers(-(10**12), 10**12))
    issued = [
        Forecasts(made(make, kind).forecast_batches(copied(each, 0, len(each)), cuts, times))
        for each in (events, poisoned)
    ]
    honest, found = ([forecast_bytes(f) for f in each if f.at <= times[last]] for each in issued)
    assert honest == found


def test_a_class_that_changes_what_it_issues_is_asked_itself():
    class Silent(OIFlow):
        def forecast(self, at):
            return None

    class Renamed(OIFlow):
        pass

    kind, events = 3, _walk()
    tape = trusted_tape(events.copy(), (Instrument("x", "X"),))
    times = times_of(events, 20 * MINUTE_NS)
    assert len(replay(tape, made_of(Silent, kind), times)) == 0
    plain = replay(tape, made_of(OIFlow, kind), times)
    assert len(plain) > 10
    again = replay(tape, made_of(Renamed, kind), times)
    assert isinstance(again, Forecasts)
    assert [*map(forecast_bytes, again)] == [*map(forecast_bytes, plain)]


def test_batches_are_checked_as_single_forecasts_are():
    kind, events = 3, _walk()
    tape = trusted_tape(events.copy(), (Instrument("x", "X"),))
    times = times_of(events, 20 * MINUTE_NS)
    for name, value, said in (
        ("latest_known", 2**62, "claims to know an event"),
        ("at", 7, "must say when it was issued"),
        ("mark", np.nan, "holds mark nan"),
        ("asymmetry", 2.0, "holds asymmetry 2"),
    ):

        class Wrong(OIFlow):
            def forecast_batches(self, events, cuts, at, name=name, value=value):
                for batch in super().forecast_batches(events, cuts, at):
                    rows = batch.rows.copy()
                    rows[name][-1:] = value
                    yield type(batch)(
                        symbol=batch.symbol,
                        grid=batch.grid,
                        asymmetry_reach=batch.asymmetry_reach,
                        rows=rows,
                        density_usd=batch.density_usd,
                        clusters=batch.clusters,
                    )

        with pytest.raises(EstimatorError, match=said):
            replay(tape, made_of(Wrong, kind), times)


@settings(max_examples=20)
@given(st.data())
def test_what_is_read_of_batches_is_what_is_read_of_their_forecasts(data):
    tape = trusted_tape(_walk().copy(), (Instrument("x", "X"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_AT_ONCE", 4)
        issued = replay(tape, made_of(OIFlow, 3), times_of(tape.events, 20 * MINUTE_NS))
    keep = np.array([data.draw(st.booleans()) for _ in issued])
    wanted = [f for f, kept in zip(issued, keep, strict=True) if kept]
    held = kept_forecasts(issued, keep)
    assert isinstance(held, Forecasts)
    told = np.zeros(len(held), [("mark", "<f8"), ("mark_ts", "<i8")])
    told["mark"], told["mark_ts"] = np.linspace(90.0, 110.0, len(held)), 5
    told[::2] = [(f.mark, f.mark_ts) for f in wanted[::2]]
    changed = restated(wanted, told)
    assert all(a is b for a, b in zip(changed[::2], wanted[::2], strict=True))
    for batched, single in ((held, wanted), (restated(held, told), changed)):
        assert [*map(forecast_bytes, batched)] == [*map(forecast_bytes, single)]
        assert joined_clusters(batched).tobytes() == joined_clusters(single).tobytes()
        assert symbols_of(batched) == symbols_of(single)
        longest = longest_density(single)
        assert longest_density(batched) == longest
        for read in (
            *(partial(column, name=name) for name in ROW_DTYPE.names[:12]),
            cluster_counts,
            partial(density_rows, entries=longest // 2),
            partial(density_rows, entries=longest + 3),
            lambda each: near_mass(each, each),
            lambda each: beside_asymmetry(each, issued),
            lambda each: beside_asymmetry(issued, each),
        ):
            assert read(batched).tobytes() == read(single).tobytes()
    rows = density_rows(wanted, longest_density(wanted))
    for row, forecast in zip(rows, wanted, strict=True):
        n = forecast.density_usd.shape[1]
        assert (row[:, :n] == forecast.density_usd).all()
        assert not row[:, n:].any()


def test_forecasts_are_a_sequence_that_holds_no_forecast():
    kind, events = 3, _walk()
    tape = trusted_tape(events.copy(), (Instrument("x", "X"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_AT_ONCE", 4)
        issued = replay(tape, made_of(OIFlow, kind), times_of(events, 20 * MINUTE_NS))
    assert len(issued.batches) > 3
    whole = [*issued]
    assert len(whole) == len(issued)
    for place in (0, 5, -1):
        assert forecast_bytes(issued[place]) == forecast_bytes(whole[place])
        assert np.shares_memory(issued[place].density_usd, whole[place].density_usd)
        assert issued[place] is not whole[place]
    assert [f.at for f in issued[2:9:3]] == [f.at for f in issued][2:9:3]
    with pytest.raises(IndexError):
        issued[len(issued)]
    assert joined_clusters(issued).tobytes() == joined_clusters([*issued]).tobytes()
    for array in (issued[0].density_usd, issued[0].clusters):
        assert not array.flags.writeable


def _walk():
    from estimator_events import market

    return market(seed=4, days=1)


def made_of(make, kind):
    return make(*small_config(kind, OIFlow, sigma_min_coverage=0.01))

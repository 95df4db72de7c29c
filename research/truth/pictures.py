"""Two pictures: a moving leverage mix and what is learnt of it, and BTC's map by two estimators."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from liqbt.estimators.config import MarketSpec
from liqbt.estimators.levmix import LevMix, LevMixParams
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
from liqbt.replay import Checkpoint, replay_from, replay_many, schedule
from liqbt.report.figures.style import GREY, INK, LONG, NULL, SHORT, as_png, canvas, drawing
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study.estimators import market_spec, shipped_tiers
from liqbt.study.events import market_tapes, open_events
from liqbt.study.progress import silent
from liqbt.study.schema import load_experiment
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection, Tape
from liqbt.types import DAY_NS, HOUR_NS, FloatArray, Forecast, Instrument, IntArray, Kind, Side

HERE = Path(__file__).parent
BANDS = ((8.0, 20.0), (20.0, 50.0), (50.0, 1000.0))
COLOURS = (LONG, GREY, SHORT)
WINDOW_DAYS = 10
KINDS = (Kind.MARK, Kind.OPEN_INTEREST, Kind.BAR, Kind.LIQUIDATION)
RATE = 0.004


def true_shares(positions: Any, at: IntArray) -> FloatArray:
    """Return what share of the notional opened in the days before each time lies in each band.

    By the leverage that an isolated position with that liquidation price would have, since that is
    what can be seen; of what lies in any of the bands.
    """
    ratio = positions["first_liquidation_price"] / positions["entry_price"]
    with np.errstate(invalid="ignore", divide="ignore"):
        longs, shorts = 1.0 / (1.0 - ratio * (1.0 - RATE)), 1.0 / (ratio * (1.0 + RATE) - 1.0)
    leverage = np.where(positions["side"] > 0, longs, shorts)
    usd = positions["size_coins"] * positions["entry_price"]
    out = np.zeros((len(at), len(BANDS)))
    for i, moment in enumerate(at.tolist()):
        opened = positions["opened_ns"]
        fresh = (opened < moment) & (opened >= moment - WINDOW_DAYS * DAY_NS)
        for k, (low, high) in enumerate(BANDS):
            out[i, k] = usd[fresh & (leverage >= low) & (leverage < high)].sum()
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def band_shares(weights: FloatArray, leverages: FloatArray) -> FloatArray:
    """Return the shares of the bands, of weights by source, life and leverage."""
    by_rung = weights.sum(axis=(0, 1))
    held = [by_rung[(leverages >= low) & (leverages < high)].sum() for low, high in BANDS]
    return np.array(held) / np.sum(held)


def learnt_shares(tape: Tape, at: IntArray, params: LevMixParams) -> FloatArray:
    """Return the bands' shares by what `levmix` has learnt by each time."""
    estimator = LevMix(params, MarketSpec(symbol="SIM", tiers=shipped_tiers()["BTCUSDT"]))
    start = Checkpoint(tape=tape.digest, position=0, issued=0, state={})
    return np.array(
        [
            band_shares(estimator.weights(), params.leverages)
            for _ in replay_from(start, tape, estimator, at)
        ]
    )


def recovery(world: World, seed: np.random.SeedSequence, out: Path) -> None:
    """Draw the true mix of a simulated market over time, the learnt one and the prior."""
    market = simulate(world, seed=seed)
    tape = tape_from_tables(
        market.tables, Selection(kinds={k: (Instrument(world.venue, "SIM"),) for k in KINDS})
    )
    at = schedule(world.start_ns + WINDOW_DAYS * DAY_NS, world.end_ns, DAY_NS)
    true = true_shares(market.truth["SIM"].positions, at)
    slow = LevMixParams()
    fast = replace(slow, forget=15 * DAY_NS)
    learnt = {"60 d": learnt_shares(tape, at, slow), "15 d": learnt_shares(tape, at, fast)}
    shape = (2, slow.n_lives, slow.n_leverages)
    prior = band_shares(slow.prior.reshape(shape), slow.leverages)
    days = (at - world.start_ns) / DAY_NS
    with drawing():
        figure = canvas(9.0, 6.4)
        axes = figure.subplots(len(BANDS), 1, sharex=True)
        for k, (low, high) in enumerate(BANDS):
            ax, colour = axes[k], COLOURS[k]
            ax.plot(days, true[:, k], color=INK, lw=1.6, label="true, entries of 10 days")
            for (name, shares), style in zip(learnt.items(), ("-", "--"), strict=True):
                words = f"learnt, half-life {name}"
                ax.plot(days, shares[:, k], color=colour, lw=1.6, ls=style, label=words)
            ax.axhline(prior[k], color=NULL, lw=1.0, ls=":", label="prior")
            ax.set_ylim(0.0, 1.0)
            ax.set_yticks([0.0, 0.5, 1.0], ["0 %", "50 %", "100 %"])
            above = f"{low:g}× and above" if k == len(BANDS) - 1 else f"{low:g}× to {high:g}×"
            ax.set_title(f"Share at {above}, of all at {BANDS[0][0]:g}× and above")
            ax.legend(ncol=4, loc="upper left")
        axes[-1].set_xlabel("day")
        out.write_bytes(as_png(figure, 130))
    half = len(at) // 2
    away = {"prior": prior[None, :], **{f"learnt {n}": s for n, s in learnt.items()}}
    for name, shares in away.items():
        apart = 0.5 * np.abs((shares if len(shares) == 1 else shares[half:]) - true[half:])
        print(f"{name}: {100 * apart.sum(axis=1).mean():.1f} points of the mix misplaced")


def lattice(forecasts: Sequence[Forecast], edges: FloatArray) -> FloatArray:
    """Return USD by log-price bin at each forecast, (2, bins, forecasts)."""
    out = np.zeros((2, len(edges) - 1, len(forecasts)))
    for i, forecast in enumerate(forecasts):
        for side, row in enumerate(forecast.density_usd):
            which = Side.LONG if side == 0 else Side.SHORT
            at = np.log(forecast.grid.prices(forecast.mark_bin, which, len(row)))
            within = np.concatenate([[0.0], np.cumsum(row, dtype=np.float64)])
            if side == 0:
                at, within = at[::-1], within[-1] - within[::-1]
            out[side, :, i] = np.diff(np.interp(edges, at, within))
    return out


def btc(out: Path, days: int = 28) -> None:
    """Draw BTC's map by `levmix` beside that of `oi_flow`, and both by distance at the end."""
    path = HERE.parent.parent / "experiments" / "btc-liquidated.yaml"
    experiment = load_experiment(path)
    with tempfile.TemporaryDirectory() as folder:
        origin = open_events(experiment, path, Path(folder), silent)
        tape = market_tapes(origin, experiment, Path(folder))["BTC"]
        market = market_spec(experiment, "BTC")
        made = {"levmix": LevMix(LevMixParams(), market), "oi_flow": OIFlow(OIFlowParams(), market)}
        end = int(tape.events["ts_known"][-1])
        maps = replay_many(tape, made, schedule(end - days * DAY_NS, end, 2 * HOUR_NS))
    last = {name: issued[-1] for name, issued in maps.items()}
    marks = np.array([f.mark for f in maps["levmix"]])
    low, high = np.log(marks.min()) - 0.12, np.log(marks.max()) + 0.12
    edges = np.arange(low, high, 0.002)
    found = {name: lattice(issued, edges) for name, issued in maps.items()}
    top = max(float(np.quantile(one[one > 0], 0.995)) for one in found.values()) / 1e6
    with drawing():
        figure = canvas(10.0, 7.4)
        grid = figure.add_gridspec(2, 3, width_ratios=(3.0, 1.0, 0.06))
        for row, (name, issued) in enumerate(maps.items()):
            at = np.array([f.at for f in issued], np.int64).astype("datetime64[ns]")
            ax = figure.add_subplot(grid[row, 0])
            shade = found[name].sum(axis=0) / 1e6
            drawn = ax.pcolormesh(
                at, np.exp(0.5 * (edges[1:] + edges[:-1])), shade, cmap="magma_r", vmin=0, vmax=top
            )
            ax.plot(at, marks, color=LONG, lw=1.2, label="mark")
            ax.set_title(f"{name}: million USD by 0.2 % of price")
            ax.set_ylabel("USD")
            ax.legend(loc="upper right")
            locator = AutoDateLocator()
            ax.xaxis.set_major_locator(locator)
            ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
            side = figure.add_subplot(grid[row, 1])
            _by_distance(side, last[name])
        figure.colorbar(drawn, cax=figure.add_subplot(grid[:, 2]), label="million USD, both sides")
        out.write_bytes(as_png(figure, 130))


def _by_distance(ax: Any, forecast: Forecast) -> None:
    """Draw the share of each side's notional by distance, and from where on it is the prior's."""
    edges = np.arange(0.0, 0.605, 0.01)
    froms = (forecast.prior_from_long, forecast.prior_from_short)
    for side, colour in ((Side.LONG, LONG), (Side.SHORT, SHORT)):
        i = 0 if side == Side.LONG else 1
        row = forecast.density_usd[i]
        at = np.abs(np.log(forecast.grid.prices(forecast.mark_bin, side, len(row)) / forecast.mark))
        within = np.concatenate([[0.0], np.cumsum(row, dtype=np.float64)])
        share = np.diff(np.interp(edges, at, within)) / within[-1]
        name = "longs" if side == Side.LONG else "shorts"
        ax.stairs(100 * share, 100 * edges, color=colour, label=name)
        if np.isfinite(froms[i]):
            ax.axvline(100 * froms[i], color=colour, lw=0.9, ls=":")
    ax.set_xlabel("log distance from the mark, %")
    ax.set_ylabel("% of the side, by 1 %")
    dotted = np.isfinite(froms).all()
    ax.set_title("At the end; dotted: prior beyond" if dotted else "At the end")
    ax.set_xlim(0, 60)
    ax.legend()


def pictures(world: World, seed: np.random.SeedSequence) -> None:
    """Draw both; BTC's needs the real data."""
    recovery(world, seed, HERE / "recovery.png")
    if "LIQBT_DATA" in os.environ:
        btc(HERE / "btc.png")
    else:
        print("btc.png needs the real data: set LIQBT_DATA")

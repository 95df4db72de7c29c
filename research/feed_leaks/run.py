"""Regress every shipped feed's changes on finer returns around its stamp."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import liqbt
from liqbt import Instrument, Kind

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MAPS = ROOT / "experiments" / "sources"
MINUTE = 60 * 10**9
LEAK_P = 1e-3

Change = Callable[[dict[str, np.ndarray]], np.ndarray]


def log_change(name: str) -> Change:
    """Return the change of a column's logarithm."""
    return lambda rows: np.diff(np.log(rows[name]), prepend=np.nan)


def difference(name: str) -> Change:
    """Return the change of a column."""
    return lambda rows: np.diff(rows[name], prepend=np.nan)


def net_liquidated(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Return shorts minus longs liquidated, on a signed logarithmic scale."""
    net = rows["short_usd"] - rows["long_usd"]
    return np.sign(net) * np.log1p(np.abs(net))


@dataclass(frozen=True)
class Feed:
    """One feed: where it is, what changes, and the finer price that it is held against."""

    name: str
    column_map: str
    file: str
    kind: Kind
    instrument: Instrument
    change: Change
    price: str
    step_minutes: int
    around: int
    bucket_minutes: int = 0


def feeds() -> list[Feed]:
    """Return every feed that has a column map and overlaps a finer price."""
    result = []
    for coin in ("BTC", "ETH"):
        symbol = f"{coin}USDT"
        marks = f"marks {coin}"
        result += [
            Feed(
                f"open interest, 5 min, Binance {coin}",
                "binance-um-open-interest-5m.yaml",
                f"binance-um/{symbol}-open-interest-5m.csv.gz",
                Kind.OPEN_INTEREST,
                Instrument("binance-um", symbol),
                log_change("open_interest_usd"),
                marks,
                5,
                12,
            ),
            Feed(
                f"open interest, 1 h mean, Hyperliquid {coin}",
                "hyperliquid-open-interest-1h.yaml",
                "hyperliquid/open-interest-1h.parquet",
                Kind.OPEN_INTEREST,
                Instrument("hyperliquid", coin),
                log_change("open_interest_usd"),
                marks,
                20,
                9,
                60,
            ),
            Feed(
                f"funding, 1 h, Hyperliquid {coin}",
                "hyperliquid-funding.yaml",
                "hyperliquid/funding.parquet",
                Kind.FUNDING,
                Instrument("hyperliquid", coin),
                difference("rate"),
                marks,
                20,
                9,
                60,
            ),
            *(
                Feed(
                    f"funding, 1 h, {venue.title()} {coin}",
                    "venue-funding.yaml",
                    "hyperliquid/funding.parquet",
                    Kind.FUNDING,
                    Instrument(venue, coin),
                    difference("rate"),
                    marks,
                    20,
                    9,
                )
                for venue in ("kraken", "lighter")
            ),
            Feed(
                f"perpetual candles, 1 h, Binance {coin}",
                "perp-candles-1h.yaml",
                "candles/perp-1h-multi-venue.parquet",
                Kind.BAR,
                Instrument("binance-um", symbol),
                log_change("close"),
                marks,
                20,
                9,
                60,
            ),
            Feed(
                f"spot candles, 1 h, Binance {coin}",
                "binance-spot-candles-1h.yaml",
                f"candles/{symbol}-1h.csv.gz",
                Kind.BAR,
                Instrument("binance-spot", symbol),
                log_change("close"),
                marks,
                20,
                9,
                60,
            ),
        ]
    hourly = "aggregated/BTC-1h-ohlc-liquidations-oi-funding.csv.gz"
    result += [
        Feed(
            "liquidation totals, 1 h, BTC",
            "aggregated-btc-1h.yaml",
            hourly,
            Kind.LIQUIDATION_TOTAL,
            Instrument("aggregated", "BTC"),
            net_liquidated,
            "marks BTC",
            20,
            9,
            60,
        ),
        Feed(
            "funding, 1 h close, aggregated BTC",
            "aggregated-btc-1h.yaml",
            hourly,
            Kind.FUNDING,
            Instrument("aggregated", "BTC"),
            difference("rate"),
            "marks BTC",
            20,
            9,
            60,
        ),
        Feed(
            "spot bars, 1 h, aggregated BTC",
            "aggregated-btc-1h.yaml",
            hourly,
            Kind.BAR,
            Instrument("binance-spot", "BTCUSDT"),
            log_change("close"),
            "marks BTC",
            20,
            9,
            60,
        ),
        Feed(
            "liquidation totals, 30 min, BTC",
            "aggregated-btc-30m.yaml",
            "aggregated/BTC-30m-liquidated-usd.csv.gz",
            Kind.LIQUIDATION_TOTAL,
            Instrument("aggregated-30m", "BTC"),
            net_liquidated,
            "marks BTC",
            10,
            9,
            30,
        ),
        Feed(
            "open interest, 1 min, Hyperliquid ETH",
            "hyperliquid-context-1m.yaml",
            "hyperliquid/context-1m-2026-06.csv.gz",
            Kind.OPEN_INTEREST,
            Instrument("hyperliquid", "ETH"),
            log_change("open_interest_coins"),
            "trades ETH",
            1,
            10,
        ),
        Feed(
            "mark, 1 min, Hyperliquid ETH",
            "hyperliquid-context-1m.yaml",
            "hyperliquid/context-1m-2026-06.csv.gz",
            Kind.MARK,
            Instrument("hyperliquid", "ETH"),
            log_change("close"),
            "trades ETH",
            1,
            10,
        ),
        Feed(
            "funding, 1 min, Hyperliquid ETH",
            "hyperliquid-context-1m.yaml",
            "hyperliquid/context-1m-2026-06.csv.gz",
            Kind.FUNDING,
            Instrument("hyperliquid", "ETH"),
            difference("rate"),
            "trades ETH",
            1,
            10,
        ),
    ]
    return result


class Logs:
    """Ingests each file once, into a log of its own, and reads events from it."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.folder = data, folder
        self.known: dict[tuple[str, str], Path] = {}

    def rows(
        self, column_map: str, file: str, kind: Kind, instrument: Instrument
    ) -> dict[str, np.ndarray]:
        """Return the events of one instrument in order of event time, a column per field."""
        key = (column_map, file)
        if key not in self.known:
            self.known[key] = self.folder / str(len(self.known))
            liqbt.ingest_files(
                MAPS / column_map, [self.data / file], self.known[key], root=self.data
            )
        table = liqbt.open_log(self.known[key]).read(kind, [instrument])
        rows = {
            name: table[name].to_numpy()
            for name in table.column_names
            if name not in {"venue", "symbol"}
        }
        order = np.argsort(rows["ts_event"], kind="stable")
        return {name: values[order] for name, values in rows.items()}

    def price(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the finer price: 5-minute marks, or trades."""
        what, coin = name.split()
        if what == "marks":
            symbol = f"{coin}USDT"
            rows = self.rows(
                "binance-um-open-interest-5m.yaml",
                f"binance-um/{symbol}-open-interest-5m.csv.gz",
                Kind.MARK,
                Instrument("binance-um", symbol),
            )
            return rows["ts_event"], rows["close"]
        rows = self.rows(
            "hyperliquid-trades-eth.yaml",
            "hyperliquid/trades-ETH-2026-06.parquet",
            Kind.TRADE,
            Instrument("hyperliquid", "ETH"),
        )
        return rows["ts_event"], rows["price"]


@dataclass(frozen=True)
class Result:
    """A feed's profile at the stamp that its map gives it, and at the file's raw one."""

    feed: Feed
    mapped: liqbt.LeakProfile
    raw: liqbt.LeakProfile | None


def measure(feed: Feed, logs: Logs) -> Result:
    """Measure one feed."""
    rows = logs.rows(feed.column_map, feed.file, feed.kind, feed.instrument)
    price_ns, price = logs.price(feed.price)
    change = feed.change(rows)
    step = feed.step_minutes * MINUTE

    def profile(stamp: np.ndarray) -> liqbt.LeakProfile:
        return liqbt.leak_profile(
            stamp,
            change,
            price_ns,
            price,
            step_ns=step,
            before=feed.around,
            after=feed.around,
        )

    stamp = rows["ts_event"]
    raw = profile(stamp - feed.bucket_minutes * MINUTE) if feed.bucket_minutes else None
    return Result(feed, profile(stamp), raw)


def table(results: list[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| feed | changes | return step | p, returns after the mapped stamp | largest abs t after "
        "| p at the file's raw stamp (control) | leaks |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        profile, raw = result.mapped, result.raw
        later = profile.offset_ns >= 0
        control = "stamped at the instant" if raw is None else f"{raw.leak_p:.2g}"
        leaks = "**yes**" if profile.leak_p < LEAK_P else "no"
        lines.append(
            f"| {result.feed.name} | {profile.n} | {result.feed.step_minutes} min "
            f"| {profile.leak_p:.2g} | {np.abs(profile.t[later]).max():.1f} | {control} | {leaks} |"
        )
    return "\n".join(lines) + "\n"


def figure(results: list[Result], path: Path) -> None:
    """Draw each feed's response to the returns around its stamp."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 3
    rows = -(-len(results) // columns)
    drawn = Figure(figsize=(12, 2.35 * rows + 0.9), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots(rows, columns, squeeze=False)
    for ax, result in zip(axes.flat, results, strict=False):
        ax.axvspan(0, 1e6, color="0.92", zorder=0)
        for profile, colour, mark, name in (
            (result.raw, "#D55E00", "x", "file's raw stamp (control)"),
            (result.mapped, "#0072B2", "o", "stamp that the map gives"),
        ):
            if profile is None:
                continue
            middle = (profile.offset_ns + profile.step_ns / 2) / MINUTE
            ax.plot(middle, profile.t, marker=mark, color=colour, lw=1, ms=4, label=name)
        ax.axhline(0, color="0.4", lw=0.8)
        for level in (-3.3, 3.3):
            ax.axhline(level, color="0.6", lw=0.8, ls=":")
        reach = result.feed.around * result.feed.step_minutes
        ax.set_xlim(-reach, reach)
        ax.set_yscale("symlog", linthresh=5)
        ax.set_ylim(-200, 2000)
        ax.set_yticks([-100, -10, 0, 10, 100, 1000], ["-100", "-10", "0", "10", "100", "1000"])
        ax.set_title(result.feed.name, fontsize=9)
        ax.tick_params(labelsize=8)
    for ax in axes.flat[len(results) :]:
        ax.set_axis_off()
    drawn.supxlabel("middle of the return, minutes after the stamp (shaded: after it)", fontsize=10)
    drawn.supylabel("t of the feed's response to the return", fontsize=10)
    handles = next(
        ax for ax, r in zip(axes.flat, results, strict=False) if r.raw is not None
    ).get_legend_handles_labels()
    drawn.legend(*handles, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    drawn.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Measure every feed, print the table, write it and the figure."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    data = Path(os.environ.get("LIQBT_DATA", ROOT.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as folder:
        logs = Logs(data, Path(folder))
        results = [measure(feed, logs) for feed in feeds()]
    text = table(results)
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")
    figure(results, HERE / "leaks.png")


if __name__ == "__main__":
    main()

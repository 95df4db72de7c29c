"""What `log quality` and `log leaks` say of the real feeds beside the project, in one table.

Needs the real data (LIQBT_DATA, or ../shared/data beside the checkout). `--digests` prints the
digest of what each file gives, and measures nothing. Trades have no value per instant that could
leak, and are most of the rows: they are left out of the table.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from liqbt.log.store import EventLog
from liqbt.quality.feeds import FeedQuality
from liqbt.quality.measure import LogQuality, log_quality
from liqbt.study.ingest import ingest_files

HERE = Path(__file__).resolve().parent
MAPS = HERE.parents[1] / "experiments" / "sources"
DATA = Path(os.environ.get("LIQBT_DATA") or HERE.parents[2] / "shared" / "data")
FILES: Final = {
    "binance-um-open-interest-5m": "binance-um/*-open-interest-5m.csv.gz",
    "binance-um-funding": "binance-um/funding.csv.gz",
    "binance-um-force-orders": "binance-um/force-orders.csv.gz",
    "aggregated-btc-1h": "aggregated/BTC-1h-ohlc-liquidations-oi-funding.csv.gz",
    "aggregated-btc-1h-liquidated": "aggregated/BTC-1h-liquidated-usd-2025-11.csv.gz",
    "aggregated-btc-30m": "aggregated/BTC-30m-liquidated-usd.csv.gz",
    "binance-spot-candles-1h": "candles/*-1h.csv.gz",
    "perp-candles-1h": "candles/perp-1h-multi-venue*.parquet",
    "hyperliquid-open-interest-1h": "hyperliquid/open-interest-1h.parquet",
    "hyperliquid-open-interest-1h-sol": "hyperliquid/open-interest-1h-SOL.parquet",
    "hyperliquid-funding": "hyperliquid/funding*.parquet",
    "hyperliquid-context-1m": "hyperliquid/context-1m-2026-06.csv.gz",
    "hyperliquid-trades-eth": "hyperliquid/trades-ETH-2026-06.parquet",
    "okx-liquidations": "okx/swap-liquidations-2026-03-04.csv.gz",
}
"""Column maps of `experiments/sources` and the files that each reads."""
_LARGE: Final = 50


def main() -> None:
    """Read every file into one log, and write what is said of it."""
    digests = "--digests" in sys.argv
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said: list[str] = []
        for word, pattern in FILES.items():
            if word == "hyperliquid-trades-eth" and not digests:
                continue
            for file in sorted(DATA.glob(pattern)):
                log = folder / (f"{word}-{file.name}" if digests else "log")
                (report,) = ingest_files(MAPS / f"{word}.yaml", [file], log, root=DATA)
                said += [f"- {file.name}: {finding}" for finding in report.findings]
                if digests:
                    print(f"{EventLog.open(log).info().digest[:16]}  {word}  {file.name}")
        if digests:
            return
        found = log_quality(folder / "log")
    text = "\n".join([*_table(found), "", *_sentences(found, said)]) + "\n"
    (HERE / "table.md").write_text(text, encoding="utf-8")
    print(text)


def _table(found: LogQuality) -> Iterator[str]:
    leaks = {one.feed: one for one in found.leaks}
    yield "| feed | events | complete | gaps | known after | odd | the leak test |"
    yield "|---|---|---|---|---|---|---|"
    small = 0
    for one in found.feeds:
        if one.events < _LARGE:
            small += 1
            continue
        kind = one.kind.replace("_", " ")
        leak = leaks.get(f"{kind} {one.venue}/{one.symbol}{_span(one)}")
        said = "–" if leak is None else leak.text().partition(": ")[2]
        complete = "–" if one.complete != one.complete else f"{one.complete:.2%}"
        late = f"{one.latency_s[2]:.4g} s {one.latency_is}"
        yield (
            f"| {kind} {one.venue}/{one.symbol}{_span(one)} | {one.events:,} | {complete} | "
            f"{one.n_gaps:,} | {late} | {one.n_odd:,} | {said} |"
        )
    if small:
        yield f"| {small} feeds of fewer than {_LARGE} events | | | | | | |"


def _span(one: FeedQuality) -> str:
    return f" by {one.span_s / 60:g} min" if one.span_s else ""


def _sentences(found: LogQuality, said: list[str]) -> Iterator[str]:
    yield "**What cannot be what it is said to be**, of the whole log:"
    yield ""
    yield from (f"- {one.text}" for one in found.findings)
    if not found.findings:
        yield "- nothing"
    yield ""
    yield "**What single files were told** when they were read:"
    yield ""
    yield from said or ["- nothing"]
    capped = [f"{f.venue}/{f.symbol} ({', '.join(f.capped)})" for f in found.feeds if f.capped]
    if capped:
        yield ""
        yield f"**Capped**: {', '.join(capped)}."
    yield ""
    yield "**Feeds of one kind and coin** that disagree most (correlation of hourly changes):"
    yield ""
    pairs = sorted(
        (p for p in found.overlaps if p.correlation == p.correlation), key=lambda p: p.correlation
    )
    for p in pairs[:6]:
        yield (
            f"- {p.kind.replace('_', ' ')} {p.coin}: {p.one} against {p.other}, {p.hours:,} h, "
            f"{p.compared} {p.value:.4g}, correlation {p.correlation:.3f}"
        )


if __name__ == "__main__":
    main()

"""The command that scores what somebody else has published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from liqbt.cli.formatting import FILE, examples, json_option, log_option, progress, say


@click.command(
    epilog=examples(
        "liqbt score vendor.csv --log mylog",
        "liqbt score map.parquet --log mylog --market BTC=binance-um/BTCUSDT --horizons 4h,24h",
    )
)
@click.argument("forecasts", type=FILE)
@log_option
@click.option(
    "--market",
    "markets",
    multiple=True,
    metavar="SYMBOL=VENUE/NAME",
    help="The instrument of a symbol, where the log calls it otherwise.",
)
@click.option("--horizons", help="Comma-separated.  [default: 4h,24h,7d]")
@click.option("--latency", help="From issue to the first moment watched.  [default: 1min]")
@click.option(
    "--overlaps",
    type=click.Choice(("merge", "refuse")),
    default="merge",
    show_default=True,
    help="Rows of one side and time that overlap: made one band, which is counted, or refused.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    "--results",
    "results",
    type=FILE,
    default=Path("results"),
    show_default=True,
    help="Folder that runs are kept in.",
)
@json_option
def score(
    forecasts: Path,
    log_dir: Path,
    markets: tuple[str, ...],
    horizons: str | None,
    latency: str | None,
    overlaps: Literal["merge", "refuse"],
    seed: int,
    results: Path,
    as_json: bool,
) -> None:
    """Score published levels, by the protocol of every run, against the prices of an event log.

    FORECASTS is CSV or Parquet with the columns at (ISO 8601 with a zone), symbol, side (long:
    liquidated below the price; short: above it), low, high, notional (USD), and optionally
    p_visit_24h and the like: stated probabilities of a visit. Whether rows were made with what was
    known at their time cannot be checked from outside. A refusal counts rows from 1, the first one
    after the header.
    """
    from liqbt.report.narrative import published_summary
    from liqbt.report.pages.run import write_report
    from liqbt.study.published.markets import instrument_names, score_options
    from liqbt.study.published.score import score_forecasts

    options = score_options(horizons=horizons, latency=latency)
    with progress() as stage:
        run = score_forecasts(
            forecasts,
            log_dir,
            results,
            options=options,
            named=instrument_names(markets),
            seed=seed,
            overlaps=overlaps,
            finish=write_report,
            stage=stage,
        )
    value = {
        "run_id": run.run_id,
        "path": str(run.path),
        "published": dict(run.manifest["published"]),
        "metrics": json.loads((run.path / "metrics.json").read_text(encoding="utf-8")),
    }
    text = f"{published_summary(run)}\n\nreport: {run.path / 'report.html'}"
    say(value, as_json, text)

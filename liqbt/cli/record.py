"""The command that records."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liqbt.cli.formatting import FILE, examples, json_option, log_option, say

if TYPE_CHECKING:
    from liqbt.record.recorder import Tally


def _ns(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Return an option such as 60s in ns."""
    from liqbt.config.fields import duration_ns

    try:
        return None if text is None else duration_ns(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    epilog=examples(
        "liqbt record binance-um=BTCUSDT,ETHUSDT bybit=BTCUSDT okx=BTC-USDT-SWAP --log mylog",
        "liqbt record hyperliquid=BTC,ETH --accounts addresses.txt --census 5m --log mylog",
    )
)
@click.argument("feeds", nargs=-1, required=True, metavar="VENUE=SYMBOLS...")
@log_option
@click.option("--accounts", type=FILE, help="Addresses of Hyperliquid, one a line: a census.")
@click.option("--census", callback=_ns, default="5m", show_default=True, help="How often.")
@click.option("--ask", callback=_ns, default="10s", show_default=True, help="Between questions.")
@click.option(
    "--depth", callback=_ns, default="1m", show_default=True, help="Between books; 0s: none."
)
@click.option(
    "--rotate", callback=_ns, default="15m", show_default=True, help="Between two commits."
)
@click.option("--for", "length", callback=_ns, help="End by itself after so long.")
@click.option("--faces", default="", help="Of OKX: what a contract is, SOL-USDT-SWAP:coins:1.")
@click.option(
    "--server", multiple=True, metavar="VENUE=ADDRESS", help="In place of the venue's own address."
)
@click.option("--keep/--no-keep", default=True, help="Keep messages as they came.  [default: keep]")
@json_option
def record(
    feeds: tuple[str, ...],
    log_dir: Path,
    accounts: Path | None,
    census: int,
    ask: int,
    depth: int,
    rotate: int,
    length: int | None,
    faces: str,
    server: tuple[str, ...],
    keep: bool,
    as_json: bool,
) -> None:
    """Record liquidations, open interest, marks, funding and depth of VENUES into an event log.

    VENUES: binance-um, bybit, okx, hyperliquid. Both clocks are observed. Ctrl-C ends it; what was
    received is committed first. Killed, it goes on where it was the next time, and the log says for
    how long nobody listened. Hyperliquid pushes liquidations of single accounts only: of the first
    ten in --accounts.
    """
    from dataclasses import asdict

    from liqbt.record.asked import feeds_of
    from liqbt.record.recorder import Pace, record

    chosen = feeds_of(
        feeds,
        servers=server,
        accounts=accounts,
        census_ns=census,
        depth_ns=depth,
        faces=faces,
    )
    began, live = time.monotonic(), sys.stderr.isatty()
    start = "\r\x1b[K" if live else ""

    def watch(tally: Tally) -> None:
        if live:
            clock = time.strftime("%H:%M:%S", time.gmtime(time.monotonic() - began))
            click.echo(f"{start}{clock}  {_line(tally)}", nl=False, err=True)

    done = record(
        log_dir,
        chosen,
        pace=Pace(rotate_ns=rotate, ask_ns=ask),
        keep=keep,
        seconds=None if length is None else length / 1e9,
        say=lambda text: click.echo(f"{start}liqbt: {text}", err=True),
        watch=watch,
    )
    if live:
        click.echo(err=True)
    say(asdict(done), as_json, f"{log_dir}: {_line(done)}")
    sys.exit(1 if done.refused else 0)


def _line(tally: Tally) -> str:
    text = (
        f"{tally.messages:,} messages, {tally.events:,} events in {tally.commits:,} commits, "
        f"{tally.gaps:,} gaps"
    )
    return f"{text}, {tally.refused:,} files refused" if tally.refused else text

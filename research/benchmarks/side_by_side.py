"""The whole protocol beside the loops of hftbacktest and nautilus_trader, on one tape, in turns.

Neither installs beside vectorbt, so each runs in an environment of its own and is handed the tape
as a file:

    python research/benchmarks/side_by_side.py --hftbacktest PYTHON --nautilus PYTHON

where PYTHON has `hftbacktest==2.4.4`, or `nautilus_trader==1.221.0`. Figures are processor time,
the minimum of the rounds, beside a read-only pass over the same 64-byte records, which liqbt's and
hftbacktest's processes both make. hftbacktest elapses from one scheduled time to the next, takes
every event for a trade and does nothing else; nautilus hands ticks to an actor that does nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EVERY_NS = 300 * 10**9
DAYS = 90


def best(work: Callable[[], object], rounds: int) -> float:
    """Return the least processor time of some calls, seconds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def bare_pass(events: np.ndarray) -> Callable[[], object]:
    """Return a call of `liqbt.bench.kernels.read_only_pass`, restated: no liqbt is elsewhere."""
    from numba import njit

    @njit
    def read(events: Any) -> float:
        total = 0.0
        for i in range(len(events)):
            row = events[i]
            total += row["p0"] + row["p1"] + row["p2"] + row["p3"] + row["p4"]
        return total

    read(events[:10])
    return lambda: read(events)


def of_liqbt(events: np.ndarray, rounds: int) -> dict[str, float]:
    """Time the protocol with bins of 5 and of 1 bp."""
    from liqbt.estimators.config import MarketSpec
    from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
    from liqbt.replay import replay, schedule
    from liqbt.study.estimators import default_estimator, shipped_tiers
    from liqbt.tape.values import trusted_tape
    from liqbt.types import DAY_NS, Instrument

    tape = trusted_tape(events, (Instrument("synthetic", "SYN"),))
    start = int(events["ts_known"][0])
    market = MarketSpec(symbol="SYN", tiers=shipped_tiers()["BTCUSDT"])
    made = {
        "liqbt, 5 bp": lambda: default_estimator("SYN"),
        "liqbt, 1 bp": lambda: OIFlow(OIFlowParams(step=1e-4), market),
    }
    times = schedule(start, start + DAYS * DAY_NS, EVERY_NS)
    times = times[times < int(events["ts_known"][-1])]
    for make in made.values():
        replay(tape, make(), times[:100])
    passed = bare_pass(tape.events)
    found = {"read_only_pass": best(passed, rounds)}
    for name, make in made.items():
        found[name] = best(lambda make=make: replay(tape, make(), times), rounds)
    return found


def of_hftbacktest(events: np.ndarray, rounds: int) -> dict[str, float]:
    """Time a loop that elapses from one time to the next: every event is a trade."""
    import hftbacktest as hft
    from numba import njit

    rows = np.zeros(len(events), hft.event_dtype)
    rows["ev"] = hft.TRADE_EVENT | hft.EXCH_EVENT | hft.LOCAL_EVENT | hft.BUY_EVENT
    rows["exch_ts"] = rows["local_ts"] = events["ts_known"]
    rows["px"], rows["qty"] = events["p0"], 1.0

    @njit
    def elapsed(backtest: Any) -> int:
        n = 0
        while backtest.elapse(300_000_000_000) == 0:
            n += 1
        return n

    def made(part: np.ndarray) -> Any:
        asset = (
            hft.BacktestAsset()
            .data(part)
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(0.1)
            .lot_size(0.001)
        )
        return hft.HashMapMarketDepthBacktest([asset])

    elapsed(made(rows[:1000]))
    found = {"read_only_pass": best(bare_pass(events), rounds)}
    taken = []
    for _ in range(rounds):
        backtest = made(rows)
        taken.append(best(lambda backtest=backtest: elapsed(backtest), 1))
        backtest.close()
    return found | {"hftbacktest": min(taken)}


def of_nautilus(events: np.ndarray, rounds: int) -> dict[str, float]:
    """Time an engine that hands ticks to an actor; of so many events as its objects allow."""
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.common.actor import Actor
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.currencies import USDT
    from nautilus_trader.model.data import TradeTick
    from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType
    from nautilus_trader.model.identifiers import TradeId, Venue
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    instrument = TestInstrumentProvider.btcusdt_perp_binance()
    ticks = [
        TradeTick(
            instrument.id,
            Price(price, instrument.price_precision),
            Quantity(1.0, instrument.size_precision),
            AggressorSide.BUYER,
            TradeId(str(i)),
            at,
            at,
        )
        for i, (price, at) in enumerate(
            zip(events["p0"].tolist(), events["ts_known"].tolist(), strict=True)
        )
    ]

    class Silent(Actor):  # type: ignore[misc]
        def on_start(self) -> None:
            self.subscribe_trade_ticks(instrument.id)

        def on_trade_tick(self, tick: TradeTick) -> None:
            pass

    taken = []
    for _ in range(rounds):
        silent = LoggingConfig(bypass_logging=True)
        engine = BacktestEngine(BacktestEngineConfig(logging=silent, run_analysis=False))
        engine.add_venue(
            Venue("BINANCE"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USDT)]
        )
        engine.add_instrument(instrument)
        engine.add_data(ticks)
        engine.add_actor(Silent())
        taken.append(best(engine.run, 1))
        engine.dispose()
    return {"nautilus_trader": min(taken)}


WORKS = {"liqbt": of_liqbt, "hftbacktest": of_hftbacktest, "nautilus": of_nautilus}


def worker(name: str, path: str, events: int, rounds: int) -> None:
    """Time one of them and print the seconds as JSON."""
    tape = np.load(path, mmap_mode="r")[:events]
    tape = np.ascontiguousarray(tape)
    print(json.dumps({"events": len(tape)} | WORKS[name](tape, rounds)))


def main() -> None:
    """Write the tape, let each process take its turns, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=15_000_000)
    parser.add_argument("--ticks", type=int, default=300_000, help="of them for nautilus")
    parser.add_argument("--rounds", type=int, default=3, help="in each process")
    parser.add_argument("--turns", type=int, default=2, help="processes of each")
    parser.add_argument("--hftbacktest", metavar="PYTHON")
    parser.add_argument("--nautilus", metavar="PYTHON")
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(*given.worker, given.events, given.rounds)
        return
    from liqbt.bench.tape import synthetic_tape

    pythons = {
        "liqbt": sys.executable,
        "hftbacktest": given.hftbacktest,
        "nautilus": given.nautilus,
    }
    least: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tape.npy"
        np.save(path, synthetic_tape(given.events, np.random.default_rng(1)).events)
        for _ in range(given.turns):
            for name, python in pythons.items():
                if python is None:
                    continue
                most = given.ticks if name == "nautilus" else 1 << 62
                call = [python, __file__, "--worker", name, str(path), "--events", str(most)]
                call += ["--rounds", str(given.rounds)]
                said = subprocess.run(call, check=True, capture_output=True, text=True).stdout
                found = json.loads(said.splitlines()[-1])
                events = found.pop("events")
                for each, seconds in found.items():
                    least[each] = min(least.get(each, np.inf), seconds / events * 1e9)
    for name, ns in least.items():
        print(f"{name:16}{ns:10.2f} ns an event{least['read_only_pass'] / ns:8.3f} of the pass")


if __name__ == "__main__":
    main()

"""Throughput, as ratios to a bare pass or read of the same data in the same process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from liqbt.bench.files import decode_rows, ingest_rows, write_trades
from liqbt.bench.kernels import read_only_pass
from liqbt.bench.passages import passage_rows
from liqbt.bench.tape import DAYS, synthetic_tape
from liqbt.bench.timing import BenchRow, rows_of, seconds_of
from liqbt.estimators.config import MarketSpec
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
from liqbt.replay import replay, schedule
from liqbt.study.estimators import default_estimator, learnt_mix, shipped_tiers
from liqbt.tape.values import Tape
from liqbt.types import DAY_NS, MINUTE_NS, IntArray

__all__ = ["BenchRow", "describe_bench", "run_bench", "synthetic_tape"]

Stage = Callable[[str, int, int], None]
_FILE_ROWS = 1_000_000
_INSTANT_ROWS, _INSTANTS = 100_000, 50


def run_bench(*, events: int, repeat: int = 3, stage: Stage | None = None) -> list[BenchRow]:
    """Measure replay, maps, decoding, ingest and first passages, each against its reference.

    Parameters
    ----------
    events : int
        Size of the synthetic tape, marks not counted; files hold at most a million of its trades.
    repeat : int
        Rounds, in which reference and work take turns; medians are kept. Everything is compiled
        before the first.
    stage : callable, optional
        Progress.
    """
    tell = stage or (lambda _name, _done, _total: None)
    tell("bench", 0, 4)
    tape = synthetic_tape(events, np.random.default_rng(1))
    rows = _replay_rows(tape, repeat)
    tell("bench", 1, 4)
    with tempfile.TemporaryDirectory(prefix="liqbt-bench-") as folder:
        path = Path(folder) / "trades.csv"
        n = write_trades(tape, _FILE_ROWS, path)
        del tape
        rows += ingest_rows(path, n, repeat)
        tell("bench", 2, 4)
        rows += decode_rows(path, n, Path(folder), repeat)
    tell("bench", 3, 4)
    rows += passage_rows(np.random.default_rng(3), repeat)
    tell("bench", 4, 4)
    return rows


def _replay_rows(tape: Tape, repeat: int) -> list[BenchRow]:
    """Measure the reference pass, the fold alone, and the whole replay with its forecasts."""
    start = int(tape.events["ts_known"][0])
    times = schedule(start, start + DAYS * DAY_NS, 5 * MINUTE_NS)
    _compile(times)
    issued: list[int] = []
    seconds = seconds_of(
        {
            "read_only_pass": lambda: read_only_pass(tape.events),
            "replay_fold": lambda: default_estimator("SYN").update(tape.events),
            "replay_protocol": lambda: issued.append(
                len(replay(tape, default_estimator("SYN"), times))
            ),
            "protocol_1bp": lambda: replay(tape, _fine(), times),
            "levmix_protocol": lambda: replay(tape, learnt_mix("SYN", intervals=False), times),
        },
        repeat,
    )
    n = len(tape)
    notes = {
        "read_only_pass": f"sums the five payload fields of {n} records of 64 bytes",
        "replay_fold": "the reference estimator's fold alone, no forecasts",
        "replay_protocol": f"copies, fold and {issued[-1]} forecasts at {len(times)} times",
        "protocol_1bp": "the same with bins of 1 bp in the place of 5",
        "levmix_protocol": "the same at 5 bp by the learnt mix, learning, without intervals: "
        f"{_share(seconds, 'replay_protocol', 'levmix_protocol'):.2f} of replay_protocol's speed",
    }
    return rows_of(seconds, n, notes) + _instant_rows(tape, repeat)


def _instant_rows(tape: Tape, repeat: int) -> list[BenchRow]:
    """Measure one map at one instant, of estimators that have seen the tape."""
    events = tape.events
    at = int(events["ts_known"][-1]) + 1
    made = {
        "oi_flow_instant": default_estimator("SYN"),
        "levmix_instant": learnt_mix("SYN"),
        "levmix_no_ends": learnt_mix("SYN", intervals=False),
    }
    for estimator in made.values():
        estimator.update(events)
    issued = [estimator.forecast(at) is not None for estimator in made.values()]  # compiled
    none = "" if all(issued) else "; none was issued: the tape is too thin for σ"
    few = events[:_INSTANT_ROWS]
    works: dict[str, Callable[[], object]] = {"short_pass": lambda: read_only_pass(few)}
    works |= {name: partial(estimator.forecast, at) for name, estimator in made.items()}
    seconds = seconds_of({name: partial(_often, work) for name, work in works.items()}, repeat)
    micro = {
        name: f"{1e6 * float(np.median(taken)) / _INSTANTS:,.0f} µs"
        for name, taken in seconds.items()
    }
    notes = {
        "short_pass": f"{micro['short_pass']}: the same pass over {len(few)} records",
        "oi_flow_instant": f"{micro['oi_flow_instant']}: one forecast from the live state{none}",
        "levmix_instant": f"{micro['levmix_instant']}: the same, learnt, with intervals{none}",
        "levmix_no_ends": f"{micro['levmix_no_ends']}: without them{none}",
    }
    return rows_of(seconds, _INSTANTS, notes)


def _often(work: Callable[[], object]) -> None:
    for _ in range(_INSTANTS):
        work()


def _fine() -> OIFlow:
    """Return the reference estimator with bins of 1 bp."""
    market = MarketSpec(symbol="SYN", tiers=shipped_tiers()["BTCUSDT"])
    return OIFlow(OIFlowParams(step=1e-4), market)


def _share(seconds: Mapping[str, Sequence[float]], of: str, one: str) -> float:
    """Return how fast `one` is, as a share of the speed `of` another: the median over rounds."""
    return float(np.median(np.array(seconds[of]) / np.array(seconds[one])))


def _compile(times: IntArray) -> None:
    small = synthetic_tape(20_000, np.random.default_rng(2))
    read_only_pass(small.events)
    default_estimator("SYN").update(small.events)
    for make in (default_estimator, learnt_mix):
        replay(small, make("SYN"), times[:: len(times) // 50])


def describe_bench(rows: Sequence[BenchRow]) -> str:
    """Return the rows as a table for people."""
    lines = [f"{'name':<16}{'events/s':>15}{'ratio':>8}  {'to':<16}contains"]
    lines += [
        f"{row.name:<16}{row.events_per_second:>15,.0f}{row.ratio:>8.3f}  {row.reference:<16}"
        f"{row.note}"
        for row in rows
    ]
    return "\n".join(lines)

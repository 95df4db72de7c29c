"""Throughput, as ratios to a read-only pass over the same records in the same process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from liqbt.bench.kernels import read_only_pass
from liqbt.bench.tape import DAYS, synthetic_tape
from liqbt.experiment import Tape, default_estimator, replay, schedule
from liqbt.types import DAY_NS, MINUTE_NS

__all__ = ["BenchRow", "describe_bench", "run_bench", "synthetic_tape"]

Stage = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """One measurement.

    Attributes
    ----------
    name : str
        What was measured.
    events_per_second : float
        Median over the repetitions.
    ratio : float
        Its speed over the reference's: 1 is as fast as reading the records.
    note : str
        What the figure contains.
    """

    name: str
    events_per_second: float
    ratio: float
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the row as a mapping."""
        return asdict(self)


def run_bench(*, events: int, repeat: int = 3, stage: Stage | None = None) -> list[BenchRow]:
    """Measure the reference pass, the fold alone, and the whole replay with its forecasts.

    Parameters
    ----------
    events : int
        Size of the synthetic tape, marks not counted.
    repeat : int
        Repetitions; the median is kept. Everything is compiled before the first.
    stage : callable, optional
        Progress.
    """
    tell = stage or (lambda _name, _done, _total: None)
    tell("bench", 0, 3)
    tape = synthetic_tape(events, np.random.default_rng(1))
    small = synthetic_tape(20_000, np.random.default_rng(2))
    times = schedule(
        int(tape.events["ts_known"][0]),
        int(tape.events["ts_known"][0]) + DAYS * DAY_NS,
        5 * MINUTE_NS,
    )
    for warm in (small,):
        read_only_pass(warm.events)
        _fold(warm)
        replay(warm, default_estimator("SYN"), times[:: len(times) // 50])
    n = len(tape)
    reference = _median(lambda: read_only_pass(tape.events), repeat)
    tell("bench", 1, 3)
    fold = _median(lambda: _fold(tape), repeat)
    tell("bench", 2, 3)
    issued: list[int] = []
    whole = _median(
        lambda: issued.append(len(replay(tape, default_estimator("SYN"), times))), repeat
    )
    tell("bench", 3, 3)
    return [
        BenchRow(
            name="read_only_pass",
            events_per_second=n / reference,
            ratio=1.0,
            note=f"sums the five payload fields of {n} records of 64 bytes",
        ),
        BenchRow(
            name="replay_fold",
            events_per_second=n / fold,
            ratio=reference / fold,
            note="the reference estimator's fold alone, no forecasts",
        ),
        BenchRow(
            name="replay_protocol",
            events_per_second=n / whole,
            ratio=reference / whole,
            note=f"copies, fold and {issued[-1]} forecasts at {len(times)} times",
        ),
    ]


def _fold(tape: Tape) -> None:
    estimator = default_estimator("SYN")
    estimator.update(tape.events)


def _median(work: Callable[[], object], repeat: int) -> float:
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def describe_bench(rows: Sequence[BenchRow]) -> str:
    """Return the rows as a table for people."""
    lines = [f"{'name':<18}{'events/s':>14}{'ratio':>8}  contains"]
    lines += [
        f"{row.name:<18}{row.events_per_second:>14,.0f}{row.ratio:>8.3f}  {row.note}"
        for row in rows
    ]
    return "\n".join(lines)

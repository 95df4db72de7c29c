"""What the reference estimator's fold pays for each kind of event, in processor time.

By leaving kinds out of the synthetic tape: trades alone, liquidations alone, everything; what is
left of the last is the price of a mark and the open interest after it. The fold reads slices that
are in the cache, and so does the bare pass beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from liqbt.bench.kernels import read_only_pass
from liqbt.bench.tape import synthetic_tape
from liqbt.replay import copied
from liqbt.study.estimators import default_estimator
from liqbt.types import Events, Kind

SLICE = 1 << 14


def seconds(events: Events, take: Callable[[Events], object]) -> float:
    """Return the processor time that `take` needs for all events, slice by slice."""
    taken = 0.0
    for start in range(0, len(events), SLICE):
        part = copied(events, start, min(start + SLICE, len(events)))
        begun = time.process_time()
        take(part)
        taken += time.process_time() - begun
    return taken


def main() -> None:
    """Print nanoseconds by kind: the least of some rounds, taken in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    events = synthetic_tape(arguments.events, np.random.default_rng(1)).events
    first, rest = events[:1000], events[1000:]
    kind = rest["kind"]
    parts = {
        "all": rest,
        "trades": rest[kind == Kind.TRADE],
        "liquidations": rest[kind == Kind.LIQUIDATION],
    }
    least = dict.fromkeys([*parts, "pass"], np.inf)
    for _ in range(arguments.rounds):
        for name, part in parts.items():
            estimator = default_estimator("SYN")
            estimator.update(copied(first, 0, len(first)))
            least[name] = min(least[name], seconds(part, estimator.update))
        least["pass"] = min(least["pass"], seconds(rest, read_only_pass))
    pairs = int((kind == Kind.OPEN_INTEREST).sum())
    print(f"bare pass in the cache {least['pass'] / len(rest) * 1e9:7.2f} ns an event")
    for name, part in parts.items():
        print(f"{name:22} {least[name] / len(part) * 1e9:7.2f} ns an event")
    left = least["all"] - least["trades"] - least["liquidations"]
    print(f"mark and open interest {left / pairs * 1e9:7.2f} ns a pair")


if __name__ == "__main__":
    main()

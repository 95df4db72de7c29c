"""Time the reference estimator's fold against its naive twin, on the same events."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from naive import OIFlowTwin  # noqa: E402

from liqbt.bench.tape import synthetic_tape  # noqa: E402
from liqbt.estimators.oi_flow import plan_of  # noqa: E402
from liqbt.study.estimators import default_estimator  # noqa: E402
from liqbt.types import Kind  # noqa: E402


def main() -> None:
    """Fold the same events both ways; print events per second and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    arguments = parser.parse_args()
    events = synthetic_tape(arguments.events, np.random.default_rng(1)).events
    default_estimator("SYN").update(events[:1000])
    kernel = default_estimator("SYN")
    start = time.perf_counter()
    kernel.update(events)
    fast = time.perf_counter() - start
    params = kernel.params
    rows = [
        {
            "kind": Kind(row["kind"]).name.lower(),
            "ts_known": int(row["ts_known"]),
            "ts_event": int(row["ts_event"]),
            "span_s": int(row["span_s"]),
            "p": tuple(float(row[f"p{k}"]) for k in range(5)),
        }
        for row in events
    ]
    plan = plan_of(params, kernel.market.tiers)
    date = int(np.searchsorted(plan.dates, events["ts_event"][0], "right")) - 1
    twin = OIFlowTwin(
        price_kind="mark",
        step=params.step,
        half=round(params.grid_span / params.step),
        weights=[bracket.weight for bracket in params.brackets],
        half_lives_ns=[bracket.half_life for bracket in params.brackets],
        shifts=plan.shifts[date].tolist(),
    )
    start = time.perf_counter()
    for row in rows:
        twin.event(row)
    slow = time.perf_counter() - start
    held = (kernel.state()["coins"] * kernel.state()["scale"][:, :, None]).sum()
    same = np.isclose(held, sum(twin.coins.values()), rtol=1e-9)
    n = len(events)
    print(f"kernel {n / fast:,.0f} events/s, naive twin {n / slow:,.0f} events/s")
    print(f"ratio {slow / fast:,.0f}; both hold the same coins: {bool(same)}")


if __name__ == "__main__":
    main()

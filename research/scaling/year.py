"""One symbol-year with all claims in one process: CPU seconds and memory, step by step.

python -m research.scaling.year [--every 1h] [--days 365]

5-minute marks and open interest drawn here, no liquidations and no depth fed; kernels are compiled
and loaded by a month of the same before the clock starts. Memory is that of the process after each
step, and the most that it ever was.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liqbt.study import pipeline
from liqbt.study.pipeline import study
from liqbt.study.plan import Plan, prepare
from research.scaling.measure import MAP, rows, write

MARKET = """\
name: {name}
data:
  root: .
  sources:
    - {{map: map.yaml, files: [{name}.csv]}}
symbols:
  {name}: {{events: {{mark: made/{name}, open_interest: made/{name}}}, margin: {{flat_rate: 0.004,
    max_leverage: 100}}}}
schedule: {{every: {every}, warm_up: 5d}}
"""


def megabytes(name: str) -> float:
    """Return a line of the process's own status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def planned(folder: Path, name: str, days: int, every: str) -> Plan:
    """Return a plan of a market that is drawn here."""
    write(folder / f"{name}.csv", rows(1, days))
    path = folder / f"{name}.yaml"
    path.write_text(MARKET.format(name=name, every=every))
    return prepare(path, folder / "results")


def told(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step that says what it took."""

    def step(*words: Any, **named: Any) -> Any:
        begun = time.process_time()
        made = work(*words, **named)
        seconds = time.process_time() - begun
        print(f"{name}: {seconds:.1f} s CPU, then {megabytes('VmRSS'):.0f} MB", flush=True)
        return made

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", default="1h")
    parser.add_argument("--days", type=int, default=365)
    asked = parser.parse_args()
    os.environ.pop("LIQBT_DATA", None)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "map.yaml").write_text(MAP)
        month = planned(folder, "MONTH", 30, "1h")
        study(month.experiment, month.tapes)
        plan = planned(folder, "YEAR", asked.days, asked.every)
        print(f"before: {megabytes('VmRSS'):.0f} MB", flush=True)
        for name in ("_replayed", "price_only_twins", "with_competing_maps", "evaluate"):
            setattr(pipeline, name, told(name.strip("_"), getattr(pipeline, name)))
        done = told("all", study)(plan.experiment, plan.tapes)
        n = sum(len(each) for each in done.forecasts["oi_flow"].values())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{n} forecasts, {len(done.first.scores)} rows of scores, at most {peak:.0f} MB")


if __name__ == "__main__":
    main()

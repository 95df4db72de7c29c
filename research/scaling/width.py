"""Two processes against one: wall time, and the CPU time that stays in the driver.

    python -m research.scaling.width [EXPERIMENT] [--markets 8] [--rounds 2] [--where serial ...]

from the folder of a checkout. Without an experiment a panel is generated. Each run is a process of
its own that makes report and all anew, in turns; what is measured begins when its events are read.
Of so much CPU time `bound` is what two idle processors can do at most: all of it, over what is the
driver's and half of the rest. Exit 1 where a run's folder is not the same everywhere. Kernels have
to be compiled before (`make compiled`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from liqbt.log.disk import sha256_file
from research.scaling.measure import MAP, rows, write

RUN = """
import json, resource, sys, time
from pathlib import Path
if __name__ == "__main__":
    from liqbt.cli.runs import finished_run
    from liqbt.study.executors import executor_of
    from liqbt.study.plan import prepare

    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
    start = time.perf_counter()
    before = sum(resource.getrusage(0)[:2])
    run = finished_run(Path(sys.argv[1]), Path(sys.argv[2]), executor=executor_of(sys.argv[3]))
    wall = time.perf_counter() - start
    own, others = (sum(resource.getrusage(who)[:2]) for who in (0, resource.RUSAGE_CHILDREN))
    print(json.dumps([wall, own - before, others, str(run.path)]))
"""


def panel(folder: Path, markets: int, days: int) -> Path:
    """Write a panel of generated markets, and return its file."""
    names = [f"C{i:03d}" for i in range(markets)]
    for i, name in enumerate(names):
        write(folder / f"{name}.csv", rows(i, days))
    (folder / "map.yaml").write_text(MAP)
    market = "{events: {mark: made/@, open_interest: made/@}, margin: {flat_rate: 0.004, "
    market += "max_leverage: 100}}"
    path = folder / "panel.yaml"
    path.write_text(
        "name: panel\ndata:\n  root: .\n  sources:\n"
        f"    - {{map: map.yaml, files: [{', '.join(f'{n}.csv' for n in names)}]}}\nsymbols:\n"
        + "".join(f"  {n}: {market.replace('@', n)}\n" for n in names)
        + "schedule: {every: 1h, warm_up: 20d}\n"
    )
    return path


def measured(experiment: Path, results: Path, where: str) -> tuple[float, float, float, str]:
    """Return wall seconds, CPU seconds of driver and workers, and the digest of a run."""
    script = results / "run.py"
    script.write_text(RUN)
    env = {**os.environ, "PYTHONPATH": str(Path.cwd()), "OPENBLAS_NUM_THREADS": "1"}
    made = subprocess.run(
        [sys.executable, str(script), str(experiment), str(results), where],
        env=env, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wall, own, others, path = json.loads(made.stdout)
    digest = sha256_file(Path(path) / "manifest.json")
    shutil.rmtree(path)
    return wall, own, others, digest


def main() -> int:
    """Measure in turns, and print a row for each executor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path, nargs="?")
    parser.add_argument("--markets", type=int, default=8)
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--where", nargs="+", default=["serial", "processes:2", "dask"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path = asked.experiment
        if path is None:
            os.environ.pop("LIQBT_DATA", None)
            path = panel(folder, asked.markets, asked.days)
        (folder / "results").mkdir()
        found: dict[str, list[tuple[float, float, float, str]]] = {w: [] for w in asked.where}
        for _ in range(asked.rounds):
            for where, each in found.items():
                each.append(measured(path, folder / "results", where))
                print(where, *each[-1], file=sys.stderr, flush=True)
    least = {w: min(wall for wall, *_ in each) for w, each in found.items()}
    print(f"{'executor':<14}{'wall s':>8}{'driver':>8}{'workers':>9}{'bound':>7}{'speed':>7}  run")
    for where, each in found.items():
        own, others = (statistics.median(one[k] for one in each) for k in (1, 2))
        bound = (own + others) / (own + others / 2)
        speed = least[asked.where[0]] / least[where]
        digests = {digest[:12] for *_, digest in each}
        print(
            f"{where:<14}{least[where]:>8.1f}{own:>8.1f}{others:>9.1f}{bound:>7.2f}{speed:>7.2f}  "
            + " ".join(sorted(digests))
        )
    return 0 if len({one[3] for each in found.values() for one in each}) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())

"""A year of the simulated market, recorded and stepped a day at a time, against its replay.

The market is that of the demo, 365 days of it. Its log grows by a day, the step is taken, and so
on; then the record is scored. Everything is held against the run that replays the finished log: the
bytes of every forecast, and `metrics.json`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.compute as pc

from liqbt.forecasts import forecast_bytes
from liqbt.log.disk import read_parquet
from liqbt.log.store import EventLog
from liqbt.registry.forward import read_forward
from liqbt.simulate.market import simulate
from liqbt.study import forward
from liqbt.study.run import run_experiment
from liqbt.study.schema import demo_experiment
from liqbt.study.store import forecasts_of
from liqbt.study.unseal import register_experiment
from liqbt.study.worlds import load_world, world_file
from liqbt.types import DAY_NS, SECOND_NS


def main(days: int, folder: Path) -> None:
    """Step a market, and say whether its replay is the same."""
    world = replace(load_world(world_file("demo", folder)), days=days)
    tables = dict(simulate(world, seed=1).tables)
    start = min(int(pc.min(t["ts_known"]).as_py()) for t in tables.values()) // DAY_NS * DAY_NS
    experiment = folder / "year.yaml"
    text = demo_experiment().read_text()
    text = text.replace("name: demo", "name: year").replace("world: demo\n  seed: 1", "log: log")
    experiment.write_text(text)
    log, results = EventLog.open_or_create(folder / "log"), folder / "results"
    begun, took = time.perf_counter(), 0.0
    for day in range(1, days + 1):
        until = start + day * DAY_NS + 2 * SECOND_NS
        _append(log, tables, 0 if day == 1 else until - DAY_NS, until)
        if day == 1:
            register_experiment(experiment, results, on=date(2026, 1, 1))
            forward.begin(experiment, results, now=start, start=start)
        one = time.perf_counter()
        done = forward.step(experiment, results, now=until)
        took = time.perf_counter() - one
        assert len(done.new) == 1, day
    print(f"{days} days stepped in {time.perf_counter() - begun:.0f} s; the last in {took:.1f} s")
    record = forward.report(experiment, results)
    print(forward.describe_monitored(record.manifest["forward"]))
    run = run_experiment(experiment, results)
    chain = read_forward(results / "forward/year")
    (name,) = {key.partition("/")[0] for link in chain.links for key in link.issued}
    issued = [
        forecast_bytes(forecast)
        for link in chain.links
        for forecast in forecasts_of(read_parquet(chain.day_folder(link) / name / "SIM.parquet"))
    ]
    replayed = [forecast_bytes(forecast) for forecast in run.forecasts("SIM")]
    print(f"{len(issued)} forecasts, the bytes of all the same: {issued == replayed}")
    metrics = [(one.path / "metrics.json").read_bytes() for one in (record, run)]
    print(f"{len(run.scores)} rows of metrics.json, all the same: {metrics[0] == metrics[1]}")
    kept = sum(p.stat().st_size for p in chain.folder.rglob("*") if p.is_file())
    print(f"kept: {kept / 1e6:.1f} MB")


def _append(log: EventLog, tables: dict, begin: int, end: int) -> None:
    part = {}
    for kind, table in tables.items():
        known = table["ts_known"]
        rows = table.filter(pc.and_(pc.greater_equal(known, begin), pc.less(known, end)))
        if len(rows):
            part[kind] = rows
    source = {"file": f"{end}", "file_sha256": f"{end}", "map_sha256": "-", "reader": "year"}
    log.append(part.items(), source)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--days", type=int, default=365)
    with tempfile.TemporaryDirectory() as place:
        main(asked.parse_args().days, Path(place))

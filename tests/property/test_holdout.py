"""A sealed holdout is absent: whatever is known in it or after it changes nothing of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.log.store import EventLog
from liqbt.study.events import market_tapes, open_events, simulate_world
from liqbt.study.run import run_experiment
from liqbt.study.schema import load_experiment
from liqbt.types import DAY_NS, HOUR_NS, Instrument, Kind

DAYS = 16
SEALED_DAYS = 4
WORLD = f"name: small\ndays: {DAYS}\nwarmup_days: 5\nmagnet: 1.0\n"
EXPERIMENT = """
name: small
data: {{log: {log}}}
symbols:
  SIM:
    events:
      mark: simulated/SIM
      open_interest: simulated/SIM
      bar: simulated/SIM
      liquidation: simulated/SIM
    margin: {{tiers: BTCUSDT}}
schedule: {{warm_up: 5d}}
evaluation: {{bootstrap_reps: 200}}
holdout: {{start: {start}, end: {end}}}
"""
SIM = Instrument("simulated", "SIM")


def iso(ns: int) -> str:
    return f"{np.datetime64(ns, 'ns').astype('datetime64[s]')}Z"


def poisoned(log: EventLog, folder: Path, start: int, rng: np.random.Generator) -> EventLog:
    """The same log with other values from `start` on: prices, sizes, and fewer rows."""
    made = EventLog.create(folder)
    tables = []
    for kind in Kind:
        table = log.read(kind)
        late = table["ts_known"].to_numpy() >= start
        late_rows = table.filter(pa.array(late & (rng.random(len(late)) < 0.7)))
        scale = float(rng.uniform(1.5, 9.0))  # one for all columns: a bar's high stays its high
        for i, field in enumerate(late_rows.schema):
            if pa.types.is_floating(field.type):
                values = late_rows.column(i).to_numpy() * scale
                late_rows = late_rows.set_column(i, field, pa.array(values, field.type))
        tables.append((kind, pa.concat_tables([table.filter(pa.array(~late)), late_rows])))
    made.append(tables, {"file": "poisoned", "file_sha256": str(scale)})
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("holdout")
    (folder / "world.yaml").write_text(WORLD)
    simulate_world(folder / "world.yaml", seed=3, log_dir=folder / "log")
    return folder


@pytest.fixture(scope="module")
def start(home) -> int:
    known = EventLog.open(home / "log").read(Kind.MARK)["ts_known"].to_numpy()
    return int(known[-1]) // DAY_NS * DAY_NS - SEALED_DAYS * DAY_NS


def write(home: Path, log: str, start: int) -> Path:
    path = home / f"{log}.yaml"
    text = EXPERIMENT.format(log=log, start=iso(start), end=iso(start + SEALED_DAYS * DAY_NS))
    path.write_text(text)
    return path


@settings(max_examples=15)
@given(shift=st.integers(-6 * 24, SEALED_DAYS * 24), seed=st.integers(0, 2**32 - 1))
def test_no_tape_holds_anything_of_a_holdout(home, start, tmp_path_factory, shift, seed):
    folder = tmp_path_factory.mktemp("poison")
    start = start + shift * HOUR_NS
    log = EventLog.open(home / "log")
    poisoned(log, folder / "log", start, np.random.default_rng(seed))
    (folder / "honest").symlink_to(home / "log")
    tapes = []
    for name in ("honest", "log"):
        path = write(folder, name, start)
        experiment = load_experiment(path)
        origin = open_events(experiment, path, folder / "cache")
        tapes.append(market_tapes(origin, experiment, folder / "cache")["SIM"])
    assert tapes[0].events["ts_known"].max() < start
    assert tapes[0].events.tobytes() == tapes[1].events.tobytes()
    assert tapes[0].digest == tapes[1].digest


def test_nothing_known_in_a_holdout_changes_a_byte_of_a_run(home, start):
    poisoned(EventLog.open(home / "log"), home / "poison", start, np.random.default_rng(1))
    honest, other = (
        run_experiment(write(home, log, start), home / "results") for log in ("log", "poison")
    )
    assert honest.run_id != other.run_id, "the poison has to be there"
    names = {p.name for p in honest.path.iterdir()} - {"manifest.json"}
    assert names >= {"metrics.json", "tables.json", "forecasts.parquet", "outcomes.parquet"}
    for name in names:
        assert (honest.path / name).read_bytes() == (other.path / name).read_bytes(), name
    assert honest.manifest["hashes"]["tape"] == other.manifest["hashes"]["tape"]
    assert honest.manifest["symbols"] == other.manifest["symbols"]
    assert max(f.at for f in honest.forecasts("SIM")) < start
    assert honest.prices("SIM")["ts"].max() < start
    assert honest.outcomes()["at"].to_numpy().max() < start


def test_without_its_seal_the_poison_is_in_the_run(home, start):
    """The test above can fail."""
    poisoned(EventLog.open(home / "log"), home / "seen", start, np.random.default_rng(1))
    found = []
    for log in ("log", "seen"):
        path = write(home, log, start)
        path.write_text(path.read_text().rpartition("holdout:")[0])
        found.append((run_experiment(path, home / "open").path / "metrics.json").read_bytes())
    assert found[0] != found[1]

"""The smallest inputs that use everything, and commands called in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liqbt.cli import main
from liqbt.log.store import EventLog

__all__ = ["Said", "call", "clear", "digest_of_log", "digest_of_run", "ingest_inputs", "run_inputs"]

WORLD = "name: w\ndays: 9\nwarmup_days: 3\nmagnet: 1.0\n"
EXPERIMENT = """\
name: x
data: {world: w.yaml, seed: 1}
symbols:
  SIM:
    events: {mark: simulated/SIM, open_interest: simulated/SIM}
    margin: {tiers: BTCUSDT}
    estimator: {sigma_window: 1d}
schedule: {warm_up: 2d, every: 4h}
evaluation: {horizons: [4h, 24h], bootstrap_reps: 200, latencies: [1min]}
"""
MAP = """\
time: {column: t, unit: s}
stamp: instant
feed: polled
latency: 60s
venue: mine
symbol: XYZ
emit:
  - kind: mark
    fields: {price: px}
  - kind: open_interest
    fields: {open_interest_coins: oi}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command did: exit code, output, errors, and the traceback it would have shown."""

    code: int
    out: str
    err: str
    crash: str = ""


def call(*arguments: object) -> Said:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, code, crash = sys.argv, 0, ""
    sys.argv = ["liqbt", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        code, crash = 1, "".join(traceback.format_exception(error)[-3:])
    finally:
        sys.argv = before
    return Said(code=code, out=out.getvalue(), err=err.getvalue(), crash=crash)


def clear(said: Said, *mentions: str, code: int = 2) -> str:
    """Return why this was not one clear sentence with the exit code; empty where it was."""
    if said.crash:
        return f"traceback: {said.crash[-400:]}"
    lines = [line for line in said.err.splitlines() if line.strip()]
    if said.code != code:
        return f"exit {said.code} instead of {code}: {said.err[-300:]!r} {said.out[-200:]!r}"
    if "Traceback" in said.err or len(lines) != 1 or not lines[0].startswith("liqbt: "):
        return f"no single sentence: {said.err[-400:]!r}"
    missing = [m for m in mentions if m not in lines[0]]
    return f"does not mention {missing}: {lines[0][:300]!r}" if missing else ""


def ingest_inputs(folder: Path, rows: int = 400) -> tuple[Path, list[Path]]:
    """Write a column map and three files; return their paths. One of them has a bad row."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "map.yaml").write_text(MAP)
    files = []
    for part in range(3):
        start = 1_700_000_000 + part * rows * 300
        lines = [f"{start + 300 * i},{100 + (i * 7) % 13},{5000 + i}" for i in range(rows)]
        if part == 1:
            lines[5] = f"{start + 1500},0,5005"
        files.append(folder / f"part{part}.csv")
        files[-1].write_text("\n".join(["t,px,oi", *lines, ""]))
    return folder / "map.yaml", files


def run_inputs(folder: Path) -> Path:
    """Write a world and an experiment; return the experiment's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "w.yaml").write_text(WORLD)
    (folder / "x.yaml").write_text(EXPERIMENT)
    return folder / "x.yaml"


def digest_of_log(path: Path) -> str:
    """Return a log's digest; raise where `verify` finds anything or a leftover lies about."""
    log = EventLog.open(path)
    problems = log.verify()
    if problems:
        raise AssertionError(f"verify: {problems[0]}")
    left = log.info().leftovers
    if left:
        raise AssertionError(f"left over after a whole run: {left[0]}")
    return log.digest


def digest_of_run(results: Path, name: str = "x") -> str:
    """Return the digests of the files of the one run in `results`, as its manifest says them."""
    runs = [p for p in (results / name).iterdir() if not p.name.startswith(".")]
    if len(runs) != 1:
        raise AssertionError(f"{len(runs)} runs in {results / name}: {[p.name for p in runs]}")
    hidden = [p.name for p in (results / name).iterdir() if p.name.endswith(".tmp")]
    if hidden:
        raise AssertionError(f"left over after a whole run: {hidden[0]}")
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    return json.dumps([manifest["run_id"], manifest["files"]], sort_keys=True)


def in_child(work: Callable[[], str]) -> str:
    """Return what `work` returns, run in a fork of this process; it may change anything there."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside idle threads
        child = os.fork()
    if child == 0:
        os.close(read)
        try:
            said = work()
        except BaseException as error:
            said = "".join(traceback.format_exception(error)[-4:])
        with os.fdopen(write, "wb") as pipe:
            pipe.write(said.encode(errors="replace"))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


def emptied(folder: Path) -> Path:
    """Return `folder`, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

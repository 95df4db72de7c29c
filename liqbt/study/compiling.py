"""What replays and scores is compiled in a process of its own, while another simulates a market.

numba compiles in one thread, and where nothing is compiled yet that is most of what a first run of
a simulated market takes: half of it the simulator alone.
"""

from __future__ import annotations

import atexit
import gc
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from liqbt.kernel_cache import VARIABLE, is_cold
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study.pipeline import study
from liqbt.study.schema import demo_experiment, load_experiment
from liqbt.tape.values import Tape, tape_from_events
from liqbt.types import DAY_NS, EVENT_DTYPE, MINUTE_NS, SECOND_NS, Instrument, Kind

SIMULATOR: Final = "engine.run"
DAYS: Final = 40
"""Beyond the estimators' warm-up, so that something is issued, touched and crossed."""
STEP_NS: Final = 5 * MINUTE_NS

_START_NS: Final = 20_000 * DAY_NS
_PRICE: Final = 100_000.0
_DAILY_VOLATILITY: Final = 0.03


@contextmanager
def compiled_meanwhile() -> Iterator[None]:
    """Compile what follows a simulation in another process, where there is a core for it.

    It ends by itself, or with this process. What it does not get done is compiled when it is
    needed, as ever: it may fail, and nothing else changes.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not is_cold(SIMULATOR) or (cores or 1) < 2:
        yield
        return
    command = [sys.executable, "-m", "liqbt.study.compiling", "alone"]
    null = subprocess.DEVNULL
    other = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
    atexit.register(_end, other)
    yield


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def random_walk() -> Tape:
    """Return a small market of the demo's kinds of events, in which nothing is true."""
    rng = np.random.default_rng(0)
    n = DAYS * DAY_NS // STEP_NS
    moves = rng.standard_normal(n) * _DAILY_VOLATILITY * math.sqrt(STEP_NS / DAY_NS)
    price = _PRICE * np.exp(np.cumsum(moves))
    rows = np.zeros((n, 4), EVENT_DTYPE)
    for k in range(5):
        rows[f"p{k}"] = np.nan
    rows["ts_event"] = (_START_NS + (1 + np.arange(n)) * STEP_NS)[:, None]
    rows["ts_known"] = rows["ts_event"] + MINUTE_NS
    rows["kind"] = (Kind.BAR, Kind.MARK, Kind.OPEN_INTEREST, Kind.LIQUIDATION)
    for k in range(4):
        rows[f"p{k}"][:, :2] = price[:, None]
    rows["p4"][:, 0] = rng.exponential(1.0, n)
    rows["span_s"][:, 0] = STEP_NS // SECOND_NS
    rows["p0"][:, 2] = 1000 * np.exp(np.cumsum(rng.standard_normal(n) * 0.004))
    rows["p0"][:, 3], rows["p1"][:, 3] = price, rng.exponential(1.0, n)
    rows["side"][:, 3] = rng.choice((-1, 1), n)
    return tape_from_events(rows.ravel(), [Instrument("simulated", "SIM")])


def main(alone: bool) -> None:
    """Compile, by simulating, replaying and scoring small markets, and by nothing else.

    Where that has been done, it is not done again.
    """
    done = Path(os.environ[VARIABLE]) / "compiled"
    if not alone and done.exists() and not is_cold(SIMULATOR):
        return
    gc.disable()  # an eighth of the time, for a quarter of a gigabyte until this process ends
    if not alone:
        with compiled_meanwhile():
            simulate(World(name="small", days=3, warmup_days=2), seed=1)
    study(load_experiment(demo_experiment()), {"SIM": random_walk()})
    if not alone:
        with suppress(OSError):  # where nothing can be kept, nothing was
            done.touch()


if __name__ == "__main__":
    main(alone="alone" in sys.argv)

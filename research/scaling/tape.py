"""Anonymous memory of a replay of very many events: stored and mapped, or drawn window by window.

python -m research.scaling.tape --stored 10 --drawn 100

In millions of events. A stored tape is written to a file, mapped as a run maps its own, and
replayed with a forecast an hour, each dropped after it was counted. A drawn one is never stored: an
estimator is handed one window of a million events after the other. What is told is the most that
the process held that no file backs, sampled fifty times a second; a file's own pages can be taken
back.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liqbt.bench.tape import DAYS, synthetic_tape
from liqbt.replay import Checkpoint, replay_from
from liqbt.study.estimators import default_estimator
from liqbt.tape.values import trusted_tape
from liqbt.types import DAY_NS, EVENT_DTYPE, HOUR_NS, Events, Instrument
from research.scaling.year import megabytes

WINDOW = 1_000_000


def windows(millions: int) -> Iterator[Events]:
    """Yield a million events a day: one day, drawn once, again and again."""
    day = np.array(synthetic_tape(WINDOW * 19 // 20, np.random.default_rng(5)).events[:WINDOW])
    first = int(day["ts_known"][0]) // DAY_NS * DAY_NS
    day["ts_known"] = first + (day["ts_known"] - first) // (DAYS + 1)
    for i in range(millions):
        made = day.copy()
        made["ts_known"] += i * DAY_NS
        made["ts_event"] = made["ts_known"]
        made.setflags(write=False)
        yield made


def stored(millions: int, path: Path) -> int:
    """Write a tape, map it, replay it; return how many forecasts were issued."""
    with path.open("wb") as file:
        for window in windows(millions):
            file.write(window.data)
    events = np.memmap(path, dtype=EVENT_DTYPE, mode="r")
    tape = trusted_tape(events, (Instrument("synthetic", "SYN"),))
    start = Checkpoint(tape=tape.digest, position=0, issued=0, state={})
    begin, end = (int(events["ts_known"][i]) for i in (0, -1))
    times = np.arange(begin // HOUR_NS * HOUR_NS + HOUR_NS, end, HOUR_NS)
    issued = replay_from(start, tape, default_estimator("SYN"), times)
    return sum(forecast is not None for _, forecast in issued)


def drawn(millions: int) -> int:
    """Hand an estimator window after window; return how many forecasts were issued."""
    estimator, n = default_estimator("SYN"), 0
    for window in windows(millions):
        known = window["ts_known"]
        begin = int(known[0]) // DAY_NS * DAY_NS
        times = begin + HOUR_NS * np.arange(1, 25)
        for part in np.split(window, np.searchsorted(known, times[:-1])):
            estimator.update(part)
            n += estimator.forecast(int(part["ts_known"][-1]) + 1) is not None
    return n


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", type=int, nargs="*", default=[10])
    parser.add_argument("--drawn", type=int, nargs="*", default=[100])
    asked = parser.parse_args()
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], megabytes("RssAnon"))

    threading.Thread(target=watch, daemon=True).start()
    with tempfile.TemporaryDirectory(dir=".") as place:
        for name, sizes in (("stored", asked.stored), ("drawn", asked.drawn)):
            for millions in sizes:
                most[0], begun = 0.0, time.process_time()
                file = Path(place) / "events"
                n = stored(millions, file) if name == "stored" else drawn(millions)
                seconds = time.process_time() - begun
                print(
                    f"{name}: {millions} million events, {n} forecasts, at most {most[0]:.0f} MB "
                    f"that no file backs, {seconds:.0f} s CPU", flush=True,
                )  # fmt: skip
    done.set()


if __name__ == "__main__":
    main()

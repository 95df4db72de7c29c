"""Anonymous memory of very many events: a tape built, stored and mapped, or drawn window by window.

python -m research.scaling.tape --stored 10 --drawn 100
python -m research.scaling.tape --stored --drawn --built 2 5 10 --checkout after=. before=../older

In millions of events. A stored tape is written to a file, mapped as a run maps its own, and
replayed with a forecast an hour, each dropped after it was counted. A drawn one is never stored: an
estimator is handed one window of a million events after the other. A built one is made of a log of
ten files, each of which says a hundredth of the one before it again, in a process of its own that
runs a checkout's code. What is told is the most that the process held that no file backs, sampled
while it worked; a file's own pages can be taken back.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liqbt.bench.tape import DAYS, synthetic_tape
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.replay import Checkpoint, replay_from
from liqbt.study.estimators import default_estimator
from liqbt.tape.values import trusted_tape
from liqbt.types import DAY_NS, EVENT_DTYPE, HOUR_NS, Events, Instrument, Kind
from research.scaling.measure import WATCHED, measured
from research.scaling.year import megabytes

WINDOW = 1_000_000
BUILD = (
    WATCHED
    + """
from liqbt.log.store import EventLog
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection
log = EventLog.open(sys.argv[1])
before = most[0] = held()
begun = time.process_time()
tape = build_tape(log, Selection(kinds=log.info().instruments), Path(sys.argv[2]))
seconds = time.process_time() - begun
print(json.dumps([most[0] - before, seconds, tape.digest]))
"""
)


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


def write_log(path: Path, kind: Kind, rows: int) -> None:
    """Write numbered trades or marks of 90 days, in ten files."""
    log, tenth = EventLog.create(path), rows // 10
    for file in range(10):
        place = np.arange(max(file * tenth - tenth // 100, 0), (file + 1) * tenth)
        at = 1_735_689_600_000_000_000 + place * (90 * DAY_NS // rows)
        price = 100.0 + np.round(np.sin(place / 1e5) + place % 7 / 1e3, 4)
        columns = {"ts_event": at, "ts_known": at + (50 + place % 100 + file % 2) * 1_000_000}
        if kind == Kind.TRADE:
            columns |= {"seq": place, "side": place % 2 * 2 - 1, "price": price}
            columns |= {"size_coins": (1 + place % 5000) / 1000}
        else:
            columns |= dict.fromkeys(("open", "high", "low", "close"), price)
        table = event_table(kind, {**columns, "venue": "made", "symbol": "SYN"})
        log.append([(kind, table)], {"file": f"{file}.csv", "file_sha256": str(file)})


def built(millions: int, place: Path, checkouts: dict[str, Path]) -> None:
    """Measure and print what it takes to build a tape."""
    for kind in (Kind.TRADE, Kind.MARK):
        path, rows, digests = place / f"{kind.name}-{millions}", millions * 1_000_000, set()
        write_log(path, kind, rows)
        for name, checkout in checkouts.items():
            cache = place / f"cache-{name}"
            peak, seconds, digest = measured(BUILD, checkout, path, cache)
            digests.add(digest)
            shutil.rmtree(cache)
            print(
                f"built, {name}: {millions} million {kind.name.lower()}s, at most {peak:.0f} MB "
                f"above the start, {peak * 2**20 / rows:.0f} B a row, {seconds:.1f} s CPU",
                flush=True,
            )
        shutil.rmtree(path)
        if len(checkouts) > 1:
            print("the same bytes" if len(digests) == 1 else "DIFFERENT TAPES")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", type=int, nargs="*", default=[10])
    parser.add_argument("--drawn", type=int, nargs="*", default=[100])
    parser.add_argument("--built", type=int, nargs="*", default=[])
    parser.add_argument("--checkout", nargs="*", default=["here=."], metavar="NAME=FOLDER")
    asked = parser.parse_args()
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], megabytes("RssAnon"))

    threading.Thread(target=watch, daemon=True).start()
    with tempfile.TemporaryDirectory(dir=".") as place:
        pairs = (text.split("=", 1) for text in asked.checkout)
        checkouts = {name: Path(where).resolve() for name, where in pairs}
        for millions in asked.built:
            built(millions, Path(place).resolve(), checkouts)
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

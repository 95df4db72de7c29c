"""What 100 symbols over 5 years cost: an archive made and served here, fetched, read, replayed.

python -m research.scaling.panel OUT --symbols 1 4 10 --wide 5 --years 1 2 5

from the folder of a checkout. A server in a process of its own makes the files of the venue's
archive as they are asked for, in its layout (daily `metrics`, daily `markPriceKlines` of a minute,
checksums); `liqbt fetch` and `liqbt run` are called as a user calls them, each step in a process of
its own: CPU seconds, peak memory and bytes are that process's; of a run also what it held at most
that no file backs, sampled. Two logs: one symbol over the most
years of `--years`, the most symbols over `--wide` years. Runs by symbols are over `--wide` years;
the widest is made once more in two processes. OUT gets `panel.json` after every step, and
`panel.svg`; stopped (Ctrl-C), it draws what there is.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from research.scaling.measure import WATCHED

FIRST = date(2020, 1, 1)
YEAR = 365
DAY_MS = 86_400_000
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,"
    "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,count_long_short_ratio,"
    "sum_taker_long_short_vol_ratio"
)
KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore"
)
FETCH = """
import json, resource, sys, time
from datetime import date, timedelta
from pathlib import Path
from liqbt.study.fetch import fetch_archive
base, log, symbols, days = sys.argv[1], Path(sys.argv[2]), sys.argv[3].split(","), int(sys.argv[4])
first, at = date.fromisoformat(sys.argv[5]), []
def stage(_name, done, of):
    if done % max(of // 20, 1) == 0 or done == of:
        at.append((done, time.process_time()))
begun = time.monotonic()
report = fetch_archive("binance-um", log, symbols=symbols, types=["metrics", "markPriceKlines:1m"],
    first=first, last=first + timedelta(days=days - 1), base=base, stage=stage)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "wall_s": time.monotonic() - begun,
    "peak_mb": used.ru_maxrss / 1024, "files": report.files, "events": report.events, "at": at,
    "log_mb": sum(p.stat().st_size for p in log.rglob("*") if p.is_file()) / 1e6,
    "bad": len(report.failed) + len(report.refused) + len(report.missing)}))
"""
RUN = (
    WATCHED
    + """
if __name__ == "__main__":
    from liqbt.study.executors import executor_of
    from liqbt.study.run import run_experiment
    begun, at = time.monotonic(), {}
    def stage(name, done, of):
        at.setdefault(name, []).append((done, of, round(time.process_time(), 2)))
    run = run_experiment(
        Path(sys.argv[1]), Path(sys.argv[2]), stage=stage, executor=executor_of(sys.argv[3]))
    own, others = (resource.getrusage(who) for who in (0, resource.RUSAGE_CHILDREN))
    size = lambda folder: sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6
    print(json.dumps({"cpu_s": own.ru_utime + own.ru_stime, "wall_s": time.monotonic() - begun,
        "workers_cpu_s": others.ru_utime + others.ru_stime,
        "peak_mb": own.ru_maxrss / 1024, "held_mb": most[0],
        "worker_peak_mb": others.ru_maxrss / 1024,
        "cache_mb": size(Path(sys.argv[2]) / ".cache"),
        "run_mb": size(run.path), "stages": {k: v[-1] for k, v in at.items()}}))
"""
)


def minutes(symbol: str, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a market's price at every minute, and its open interest at every fifth.

    The price walks by 5 % a day, open interest by 3 % a day about 100,000 coins.
    """
    rng = np.random.default_rng(int(hashlib.sha256(symbol.encode()).hexdigest()[:8], 16))
    n = days * 1440 + 1
    price = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.05 / np.sqrt(1440), n)))
    coins = 1e5 * np.exp(np.cumsum(rng.normal(0.0, 0.03 / np.sqrt(288), n // 5 + 1)))
    return price, coins


@lru_cache(maxsize=16)
def market(symbol: str) -> tuple[np.ndarray, np.ndarray]:
    """Return five years of a market."""
    return minutes(symbol, 5 * YEAR + 1)


def rows(kind: str, symbol: str, day: date) -> str:
    """Return one file of the archive as text."""
    price, coins = market(symbol)
    number = (day - FIRST).days
    opened = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    if kind == "metrics":
        lines = [METRICS]
        for i in range(288):
            at = datetime.fromtimestamp(opened / 1000 + 300 * i, UTC).strftime("%Y-%m-%d %H:%M:%S")
            held, mark = coins[number * 288 + i], price[number * 1440 + 5 * i]
            lines.append(f'{at},{symbol},{held:.3f},{held * mark:.4f},"","",,0.5')
    else:
        path = price[number * 1440 : (number + 1) * 1440 + 1]
        before, after = path[:-1], path[1:]
        high, low = np.maximum(before, after) * 1.0002, np.minimum(before, after) * 0.9998
        columns = (before.tolist(), high.tolist(), low.tolist(), after.tolist())
        lines = [KLINES]
        for i, (o, h, lo, c) in enumerate(zip(*columns, strict=True)):
            at_ms = opened + 60_000 * i
            lines.append(f"{at_ms},{o:.4f},{h:.4f},{lo:.4f},{c:.4f},0,{at_ms + 59_999},0,60,0,0,0")
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=64)
def archive_file(path: str) -> bytes:
    """Return the bytes of a file of the archive: a zip with one CSV."""
    parts = path.split("/")
    name = parts[-1].removesuffix(".zip")
    text = rows(parts[4], parts[5], date.fromisoformat(name[-10:]))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        made.writestr(zipfile.ZipInfo(f"{name}.csv", (2024, 1, 1, 0, 0, 0)), text)
    return sink.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Answers with a file or its checksum."""

    protocol_version = "HTTP/1.1"
    turn = threading.Lock()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        path = self.path.lstrip("/")
        with self.turn:
            data = archive_file(path.removesuffix(".CHECKSUM"))
        if path.endswith(".CHECKSUM"):
            name = path.removesuffix(".CHECKSUM").rpartition("/")[2]
            data = f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def serve() -> None:
    """Serve the archive on a free port of the loopback, which is printed, until stdin ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


def measured(code: str, *words: object) -> dict[str, Any]:
    """Return what a program prints that runs in a process of its own."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    env.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # as the command line does
    env.pop("LIQBT_DATA", None)
    made = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env=env, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def experiment(folder: Path, log: Path, symbols: list[str], days: int, every: str) -> Path:
    """Write the experiment of so many symbols and days, and return its file."""
    path = folder / f"panel-{len(symbols)}-{days}.yaml"
    markets = "".join(
        f"  {s.removesuffix('USDT')}: {{events: {{mark: binance-um/{s}, "
        f"open_interest: binance-um/{s}}}, margin: {{flat_rate: 0.004, max_leverage: 100}}}}\n"
        for s in symbols
    )
    path.write_text(
        f"name: {path.stem}\ndata: {{log: {log.name}}}\nsymbols:\n{markets}schedule: "
        f"{{every: {every}, end: {FIRST + timedelta(days=days)}, max_forecasts: 10000000}}\n"
    )
    return path


def run(
    folder: Path, log: Path, symbols: list[str], days: int, every: str, where: str = "serial"
) -> dict[str, Any]:
    """Return what a run costs that makes its tapes itself."""
    path = experiment(folder, log, symbols, days, every)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        found = measured(RUN, path, place, where)
    print(f"run {len(symbols)} x {days} days, {where}: {told(found)}", flush=True)
    return found


def fetch(folder: Path, base: str, symbols: list[str], days: int) -> tuple[Path, dict[str, Any]]:
    """Return a log of so many symbols and days, and what fetching it costs."""
    log = folder / f"log-{len(symbols)}-{days}"
    found = measured(FETCH, base, log, ",".join(symbols), days, FIRST)
    print(f"fetch {len(symbols)} x {days} days: {told(found)}", flush=True)
    return log, found


def told(found: dict[str, Any]) -> str:
    """Return what a step cost in words."""
    held = f", of which no file backs {found['held_mb']:.0f}" if "held_mb" in found else ""
    return (
        f"{found['cpu_s'] + found.get('workers_cpu_s', 0.0):.0f} s CPU, {found['wall_s']:.0f} s, "
        f"peak {found['peak_mb']:.0f} MB{held}"
    )


def long(years: float) -> str:
    """Return so many years in words."""
    return f"{years:g} year{'' if years == 1 else 's'}"


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw CPU and memory against symbols, against years, and the fetch against files.

    Grey: the straight line through the first and the last that was measured.
    """
    from liqbt.report.figures.style import GREY, LONG, SHORT, as_svg, canvas, drawing

    labels = {
        "symbols": (f"symbols, {long(found['wide'])} each", "A run of many symbols"),
        "years": ("years of one symbol", "A run of one symbol"),
        "files": ("files fetched, in thousands", "Fetch and read"),
    }
    shown = [name for name in labels if name == "files" or len(found[name]) > 1]
    with drawing():
        figure = canvas(4.0 * len(shown), 3.4)
        axes = figure.subplots(1, len(shown), squeeze=False)[0]
        for ax, name in zip(axes, shown, strict=True):
            label, title = labels[name]
            ax.set(xlabel=label, ylabel="CPU seconds")
            ax.set_title(title)
            if name == "files":
                for (what, fetched), colour in zip(
                    found["fetch"].items(), (LONG, SHORT), strict=False
                ):
                    done = np.array(fetched["at"])
                    ax.plot(done[:, 0] / 1000, done[:, 1], ".-", color=colour, label=what)
                    ax.plot(done[[0, -1], 0] / 1000, done[[0, -1], 1], color=GREY, lw=0.8)
                ax.legend()
            else:
                runs = found[name]
                at = [float(n) for n in runs]
                seconds = [r["cpu_s"] for r in runs.values()]
                ax.plot([at[0], at[-1]], [seconds[0], seconds[-1]], color=GREY, lw=0.8)
                ax.plot(at, seconds, "o-", color=LONG, label="CPU")
                other = ax.twinx()
                peaks = [r["peak_mb"] for r in runs.values()]
                other.plot(at, peaks, "s--", color=SHORT)
                other.plot(at, [r["held_mb"] for r in runs.values()], "d:", color=SHORT)
                label = "peak MB (dashed; dotted: no file backs)"
                other.set(ylim=(0, 1.15 * max(peaks)), ylabel=label)
            ax.set(ylim=(0, None), xlim=(0, None))
        path.write_bytes(as_svg(figure))


def measure(folder: Path, asked: argparse.Namespace, found: dict[str, Any]) -> None:
    """Measure step by step, and keep what is found after each."""

    def keep(what: str, name: object, cost: dict[str, Any]) -> None:
        found[what][str(name)] = cost
        (asked.out / "panel.json").write_text(json.dumps(found) + "\n")

    subprocess.run([sys.executable, "-m", "liqbt.study.compiling"], check=True)
    names = [f"C{i:03d}USDT" for i in range(max(asked.symbols))]
    longest, wide = max(asked.years), int(asked.wide * YEAR)
    with served() as base:
        years, cost = fetch(folder, base, names[:1], int(longest * YEAR))
        keep("fetch", f"1 symbol, {long(longest)}", cost)
    for n in asked.years:
        keep("years", f"{n:g}", run(folder, years, names[:1], int(n * YEAR), asked.every))
    with served() as base:
        log, cost = fetch(folder, base, names, wide)
        keep("fetch", f"{len(names)} symbols, {long(asked.wide)}", cost)
    for n in asked.symbols:
        keep("symbols", n, run(folder, log, names[:n], wide, asked.every))
    keep("two", len(names), run(folder, log, names, wide, asked.every, "processes:2"))


@contextmanager
def served() -> Iterator[str]:
    """Yield the address of an archive that serves meanwhile."""
    archive = subprocess.Popen(
        [sys.executable, "-c", "from research.scaling.panel import serve; serve()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert archive.stdin is not None
    assert archive.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(archive.stdout.readline())}"
    finally:
        archive.stdin.close()
        archive.wait()


def main() -> None:
    """Measure, print, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--symbols", type=int, nargs="+", default=[1, 4, 10])
    parser.add_argument("--wide", type=float, default=5.0, help="Years of those symbols.")
    parser.add_argument("--years", type=float, nargs="+", default=[1, 2, 5], help="Of one symbol.")
    parser.add_argument("--every", default="1h", help="Between forecasts.")
    parser.add_argument("--keep", type=Path, help="Folder for logs and tapes.")
    asked = parser.parse_args()
    found: dict[str, Any] = {"every": asked.every, "wide": asked.wide}
    found |= {"fetch": {}, "symbols": {}, "years": {}, "two": {}}
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.keep) as place, suppress(KeyboardInterrupt):
        measure(Path(place), asked, found)
    draw(found, asked.out / "panel.svg")


if __name__ == "__main__":
    main()

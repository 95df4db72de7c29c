"""What no input may break: bounds of kernels and of work, cuts of audits, bytes of processors."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from liqbt.study.run import run_experiment
from liqbt.study.store import load_run
from soak.row import Row, Tally
from soak.small import EXPERIMENT, WORLD, call, clear, emptied, ingest_inputs, run_inputs

__all__ = ["kernels", "levels", "processors", "unbounded"]

EXTREMES = (
    0.0, -0.0, 5e-324, -5e-324, 2.3e-308, 1e-300, 1e-9, -1.0, 1e9, 9.3e18, -9.3e18, 1e100, 1e300,
    1.8e308, -1.8e308, np.inf, -np.inf, np.nan,
)  # fmt: skip
_SECONDS = 30
_BYTES = 6 << 30


class _Recorder:
    """Stands where a kernel does, and keeps what it is called with."""

    def __init__(self, kernel: Any, kept: list[tuple[Any, ...]]) -> None:
        self.kernel, self.kept = kernel, kept

    def __call__(self, *args: Any) -> Any:
        if len(self.kept) < 3:
            self.kept.append(deepcopy(args))
        return self.kernel(*args)


def _recorded(folder: Path) -> dict[str, tuple[Any, list[tuple[Any, ...]]]]:
    """Return every kernel that Python calls in a small run and a score, with what it got."""
    experiment = run_inputs(folder)
    column_map, files = ingest_inputs(folder / "in", rows=1200)
    assert call("ingest", column_map, *files, "--log", folder / "log", "--max-bad", 1).code == 0
    levels = folder / "levels.csv"
    levels.write_text(_levels("97", "98"))

    def work() -> None:
        run_experiment(experiment, emptied(folder / "r"))
        call("score", levels, "--log", folder / "log", "--out", folder / "r", "--horizons", "4h")

    work()  # compiled: kernels that call each other are bound, and are not recorded
    found: dict[str, tuple[Any, list[tuple[Any, ...]]]] = {}
    places: list[tuple[Any, str, Any]] = []
    for module in [m for name, m in sys.modules.items() if name.startswith("liqbt.")]:
        for name, value in list(vars(module).items()):
            if isinstance(value, Dispatcher):
                where = f"{value.py_func.__module__}.{value.py_func.__name__}"
                kernel, kept = found.setdefault(where, (value, []))
                places.append((module, name, value))
                setattr(module, name, _Recorder(kernel, kept))
    try:
        work()
    finally:
        for module, name, value in places:
            setattr(module, name, value)
    return found


def kernels(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Call every kernel with extremes among the floats that it gets, `n` times each."""
    rng = np.random.default_rng(seed)
    found = _recorded(folder)
    tally = Tally("kernels: extremes at every entry point")
    for where, (kernel, kept) in sorted(found.items()):
        if not kept or not any(_floats(arg) for args in kept for arg in args):
            tally.count("kernels without floats, or not reached" if kept else "kernels not reached")
            continue
        tally.count("kernels")
        for start in range(0, n, 50):
            tries = min(50, n - start)
            seeds = [int(s) for s in rng.integers(2**31, size=tries)]
            died = _alone(lambda: _fuzzed(kernel, kept, seeds))  # noqa: B023
            for _ in range(tries - 1):
                tally.check("")
            tally.check(f"{where}: {died}" if died else "")
    yield tally.row()


def _fuzzed(kernel: Any, kept: list[tuple[Any, ...]], seeds: list[int]) -> None:
    for seed in seeds:
        rng = np.random.default_rng(seed)
        args = deepcopy(list(kept[rng.integers(len(kept))]))
        chosen = [i for i, arg in enumerate(args) if _floats(arg)]
        for i in rng.choice(chosen, size=min(len(chosen), 1 + int(rng.integers(3)))).tolist():
            args[i] = _extreme(args[i], rng)
        os.write(2, f"seed {seed}\n".encode())
        try:
            kernel(*args)
        except MemoryError:
            raise
        except Exception as error:
            os.write(2, f"{type(error).__name__}\n".encode())


def _floats(arg: Any) -> bool:
    """Whether there is a float in an argument that can be replaced."""
    if isinstance(arg, tuple):
        return any(map(_floats, arg))
    if isinstance(arg, np.ndarray):
        kinds = (
            [arg.dtype[k].kind for k in arg.dtype.names] if arg.dtype.names else [arg.dtype.kind]
        )
        return arg.size > 0 and "f" in kinds
    return isinstance(arg, float)


def _extreme(arg: Any, rng: np.random.Generator) -> Any:
    """Return an argument with extremes in it: of an array a few, or all, of its elements."""
    if isinstance(arg, tuple):
        i = int(rng.choice([i for i, one in enumerate(arg) if _floats(one)]))
        made = (*arg[:i], _extreme(arg[i], rng), *arg[i + 1 :])
        return type(arg)._make(made) if hasattr(arg, "_make") else made
    value = EXTREMES[int(rng.integers(len(EXTREMES)))]
    if not isinstance(arg, np.ndarray):
        return value
    arg.setflags(write=True)
    own = arg
    if arg.dtype.names:
        own = arg[rng.choice([k for k in arg.dtype.names if arg.dtype[k].kind == "f"])]
    many = own.size if rng.random() < 0.1 else int(rng.integers(1, 4))
    with np.errstate(over="ignore"):
        own.flat[rng.integers(own.size, size=many)] = value
    return arg


def _alone(work: Callable[[], object]) -> str:
    """Do something in a fork with little memory and time; return how it died, if it did."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.dup2(write, 2)
        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        code = 3
        try:
            work()
            code = 0
        except MemoryError:
            code = 4
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read().split("\n")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    names = {-signal.SIGSEGV: "segmentation fault", -signal.SIGXCPU: "without end", 4: "no memory"}
    last = next((line for line in reversed(said) if line.startswith("seed")), "")
    return f"{names.get(code, f'exit {code}')} at {last}" if code else ""


def _levels(low: str, high: str, mark: str = "") -> str:
    at = "2023-11-17T12:00:00Z"
    head = f"at,symbol,side,low,high,notional{',mark' if mark else ''}\n"
    return f"{head}{at},XYZ,long,{low},{high},1000{',' + mark if mark else ''}\n"


def levels(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Score published levels whose numbers are extremes; the process must live and say why not."""
    rng = random.Random(seed)
    column_map, files = ingest_inputs(folder / "in", rows=1200)
    assert call("ingest", column_map, *files, "--log", folder / "log", "--max-bad", 1).code == 0
    path = folder / "levels.csv"
    words = ("score", path, "--log", folder / "log", "--out", folder / "r", "--horizons", "4h")
    path.write_text(_levels("70", "72"))
    said = call(*words)
    assert said.code == 0, said
    tally = Tally("score: levels of extremes")
    for k in range(n):
        low = "5e-324" if k == 0 else repr(float(rng.choice([*EXTREMES, 70.0])))
        high = "72" if k == 0 else repr(float(rng.choice([*EXTREMES, 72.0])))
        path.write_text(_levels(low, high))

        def work() -> None:
            found = call(*words)
            problem = "" if found.code == 0 and not found.crash else clear(found)
            os.write(2, f"seed {problem}\n".encode())
            if problem:
                os._exit(5)

        died = _alone(work)
        tally.check(f"low {low}, high {high}: {died}" if died else "")
    yield tally.row()


def unbounded(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Ask for work without bound, and for what is no file: refused in one sentence, at once."""
    del n, seed
    run_inputs(folder)
    os.mkfifo(folder / "pipe.yaml")
    os.mkfifo(folder / "pipe.csv")
    column_map, _ = ingest_inputs(folder / "in", rows=30)
    (folder / "long.yaml").write_text(WORLD.replace("days: 9", "days: 1000000000000000000"))
    step = EXPERIMENT.replace("sigma_window: 1d", "sigma_window: 1d, step: %s")
    texts = {
        "every: 1s over months": EXPERIMENT.replace("every: 4h", "every: 1s"),
        "step: 1e-7": step % "1e-7",
        "step: 5e-324": step % "5e-324",
        "a world of 10^18 days": EXPERIMENT.replace("w.yaml", "long.yaml"),
        "a world that is a pipe": EXPERIMENT.replace("w.yaml", "pipe.yaml"),
    }
    cases: dict[str, list[object]] = {}
    (folder / "w.yaml").write_text(WORLD.replace("days: 9", "days: 120"))
    for i, (name, text) in enumerate(texts.items()):
        (folder / f"u{i}.yaml").write_text(text)
        cases[name] = ["run", folder / f"u{i}.yaml", "--results", folder / "r"]
    cases["an experiment that is a pipe"] = ["run", folder / "pipe.yaml"]
    cases["a search that is a pipe"] = ["search", folder / "pipe.yaml"]
    cases["a grid that is a pipe"] = ["grid", folder / "pipe.yaml"]
    cases["a file to ingest that is a pipe"] = [
        "ingest", column_map, folder / "pipe.csv", "--log", folder / "l",
    ]  # fmt: skip
    cases["a map that is a pipe"] = [
        "ingest", folder / "pipe.yaml", folder / "in" / "part0.csv", "--log", folder / "l",
    ]  # fmt: skip
    cases["levels that are a pipe"] = ["score", folder / "pipe.csv", "--log", folder / "l"]
    tally = Tally("work without bound, and pipes: refused at once")
    for name, words in cases.items():

        def work() -> None:
            problem = clear(call(*words))  # noqa: B023
            os.write(2, f"seed {problem}\n".encode())
            if problem:
                os._exit(5)

        start = time.monotonic()
        died = _alone_for(work, 120.0)
        tally.check(f"{name}: {died} ({time.monotonic() - start:.0f} s)" if died else "")
    run = load_run(run_experiment(run_inputs(emptied(folder / "o")), folder / "o" / "r").path)
    there = folder / "new" / "a" / "b"
    said = call("report", run.path, "--out", there, "--executor", "serial")
    written = (there / "report.html").is_file()
    tally.check(
        "" if said.code == 0 and written else f"report --out NEWDIR: {said.err}{said.crash}"
    )
    yield tally.row("of them one report into a new folder")


def _alone_for(work: Callable[[], object], seconds: float) -> str:
    """As `_alone`, for what may wait for ever: it is ended by the clock."""

    def timed() -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        work()

    return _alone(timed)


CORES = ("Haswell", "Nehalem", "Sandybridge", "Zen", "SkylakeX")
_DEMO = """
import json, sys
from pathlib import Path
from liqbt.study.run import run_experiment
from liqbt.study.schema import demo_experiment
print(json.dumps(dict(run_experiment(demo_experiment(), Path(sys.argv[1])).manifest["files"])))
"""


def processors(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Run the demo where the environment names other processors' kernels: the same bytes."""
    del seed
    asked: list[dict[str, str]] = [{}]
    asked += [{"OPENBLAS_CORETYPE": core} for core in CORES]
    asked += [{"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 X86_V3 X86_V4"}]
    tally = Tally("demo: other processors' kernels asked for")
    wanted = ""
    for i, more in enumerate(asked[: n + 1]):
        keys = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")
        env = {k: v for k, v in os.environ.items() if k not in keys} | more
        said = subprocess.run(
            [sys.executable, "-c", _DEMO, str(folder / f"d{i}")],
            env=env, check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip
        wanted = wanted or said
        if i:
            tally.check("" if said == wanted else f"{more}: other bytes")
    yield tally.row()

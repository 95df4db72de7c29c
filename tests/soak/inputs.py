"""Bad input: hostile archives, estimators that fail, data and names that are absent."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from liqbt.errors import LiqbtError
from liqbt.ingest.colmap import load_map
from liqbt.ingest.table import ingest_file
from liqbt.log.store import EventLog
from soak.broken_estimators import WAYS
from soak.row import Row, Tally
from soak.small import call, clear, emptied, ingest_inputs, run_inputs

__all__ = ["absent", "archives", "estimators"]


def _zip(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def archives(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Hostile and wrong files through `ingest`: refused in one sentence, no log left behind.

    A header without rows is a time without events, and no fault.
    """
    del n, seed
    column_map, files = ingest_inputs(folder, rows=20)
    good = files[0].read_bytes()
    lines = good.decode().splitlines()
    mixed = "\n".join([*lines[:10], *(_in_ms(line) for line in lines[10:]), ""])
    cases: dict[str, tuple[bytes, str]] = {
        "empty file": (b"", "empty"),
        "no header": (b"\n\n\n", "header"),
        "wrong columns": (good.replace(b"t,px", b"when,price"), "no column"),
        "a column twice": (good.replace(b"t,px,oi", b"t,px,px"), "px"),
        "two values at one time": (good + lines[-1].encode() + b"9\n", "has two values"),
        "mixed time units": (mixed.encode(), "ms"),
        "times in another unit": (("\n".join([lines[0], *map(_in_ms, lines[1:])])).encode(), "ms"),
        "zip without a member": (_zip(), "zip"),
        "zip with two members": (_zip(("a.csv", good), ("b.csv", good)), "2 files"),
        "zip with a wrong member": (_zip(("a.exe", good)), "a.exe"),
        "zip that escapes": (_zip(("../../a.csv", good)), "leaves its folder"),
        "zip with an absolute path": (_zip(("/etc/a.csv", good)), "leaves its folder"),
        "zip with a drive": (_zip(("C:\\..\\a.csv", good)), "leaves its folder"),
        "truncated zip": (_zip(("a.csv", good))[:-40], "zip"),
        "truncated gzip": (gzip.compress(good, mtime=0)[:-40], "truncated"),
        "truncated Parquet": (b"PAR1" + good, "Parquet"),
        "not text": (bytes(range(256)) * 40, "bad.csv"),
        "UTF-16": (good.decode().encode("utf-16"), "bad.csv"),
        "NUL bytes": (b"\0" * 4096, "bad.csv"),
        "one line of 8 MB": (b"x" * (8 << 20), "bad.csv"),
        "a million columns": (b",".join([b"c"] * 1_000_000) + b"\n", "bad.csv"),
    }
    tally = Tally("hostile or wrong file: ingest")
    for name, (data, mention) in cases.items():
        (folder / "bad.csv").write_bytes(data)
        said = call("ingest", column_map, folder / "bad.csv", "--log", folder / "log")
        problem = clear(said, mention)
        if not problem and (folder / "log").exists():
            problem = "a log was left behind"
        tally.check(f"{name}: {problem}" if problem else "")
    tally.check(_without_rows(folder, column_map))
    for problem in _bombs_of_zeros(folder, good):
        tally.check(problem)
    yield tally.row()


def _without_rows(folder: Path, column_map: Path) -> str:
    """Return what is wrong with how a header without rows is read: it gives an empty log."""
    (folder / "bad.csv").write_bytes(b"t,px,oi\n")
    said = call("ingest", column_map, folder / "bad.csv", "--log", folder / "empty")
    if said.code or said.crash or said.err or "bad.csv: holds no events" not in said.out:
        return f"header without rows: {said}"
    held = EventLog.open(folder / "empty").info().events
    return f"header without rows: {dict(held)}" if held else ""


def _in_ms(line: str) -> str:
    cells = line.split(",")
    return ",".join([cells[0] + "000", *cells[1:]])


def _bombs_of_zeros(folder: Path, good: bytes) -> Iterator[str]:
    """Yield what is wrong with how files that expand a thousandfold are refused."""
    bomb = good + b"\n" * (64 << 20)
    lying = bytearray(_zip(("a.csv", bomb)))
    place = lying.rindex(b"PK\x01\x02") + 24  # the size that the directory promises
    lying[place : place + 4] = len(good).to_bytes(4, "little")
    for name, data in (
        ("zip bomb", _zip(("a.csv", bomb))),
        ("zip bomb that lies about its size", bytes(lying)),
        ("gzip bomb", gzip.compress(bomb, 1, mtime=0)),
    ):
        (folder / "bad.csv").write_bytes(data)
        try:
            ingest_file(load_map(folder / "map.yaml"), folder / "bad.csv", max_bytes=1 << 20)
            yield f"{name}: accepted"
        except LiqbtError as error:
            clear_ = "expands to more" in str(error) or "zip" in str(error)
            yield "" if clear_ else f"{name}: {error}"


def estimators(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Estimators that fail in the middle of a run: named with the time, nothing left behind."""
    del n, seed
    experiment = run_inputs(folder)
    text = experiment.read_text()
    tally = Tally("estimator that fails or returns what is no forecast")
    debug = Tally("the same with --debug: the traceback is shown")
    assert call("run", experiment, "--results", folder / "warm").code == 0
    for way in WAYS:
        name = f"soak.broken_estimators:{way.__name__}"
        experiment.write_text(text.replace("estimator: {", f"estimator: {{name: '{name}', "))
        results = emptied(folder / "r")
        said = call("run", experiment, "--results", results)
        problem = clear(said, way.__name__)
        left = [p.name for p in (results / "x").glob("*") if p.name != ".locks"]
        if not problem and left:
            problem = f"left behind: {left}"
        tally.check(f"{way.__name__}: {problem}" if problem else "")
        shown = call("--debug", "run", experiment, "--results", results)
        right = shown.code == 2 and "Traceback" in shown.err
        debug.check("" if right else f"{way.__name__}: {shown}")
    yield tally.row()
    yield debug.row()


def absent(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """A symbol without prices, a period without data, a map that names no such file."""
    del n, seed
    experiment = run_inputs(folder)
    column_map, files = ingest_inputs(folder / "in", rows=30)
    assert call("ingest", column_map, *files, "--log", folder / "log", "--max-bad", 1).code == 0
    logged = (
        "name: x\ndata: {log: log}\nsymbols:\n  A:\n    events: {mark: %s, open_interest: %s}\n"
    )
    logged += "    margin: {tiers: BTCUSDT}\n"
    good = experiment.read_text()
    cases: dict[str, tuple[str, str]] = {
        "a symbol without prices": (logged % ("mine/NONE", "mine/XYZ"), "no mark of mine/NONE"),
        "a symbol without open interest": (logged % ("mine/XYZ", "m/X"), "no open_interest of m/X"),
        "a period before the data": (_with(good, "start: 2010-01-01, end: 2010-02-01"), "2010"),
        "a period after the data": (_with(good, "start: 2090-01-01"), "2090"),
        "a period that ends before it starts": (
            _with(good, "start: 2025-02-01, end: 2025-01-01"),
            "end",
        ),
        "too short for a forecast": (good.replace("warm_up: 2d", "warm_up: 3000d"), "warm-up"),
        "a warm-up longer than ten years": (good.replace("warm_up: 2d", "warm_up: 9000d"), "ten"),
        "a log that is not there": ("".join(good.replace("world: w.yaml", "log: gone")), "gone"),
        "a world that is not there": (good.replace("w.yaml", "gone.yaml"), "gone.yaml"),
        "a map that is not there": (
            good.replace(
                "{world: w.yaml, seed: 1}", "{sources: [{map: gone.yaml, files: [a.csv]}]}"
            ),
            "gone.yaml",
        ),
        "unknown tiers": (good.replace("BTCUSDT", "BTCUSDTT"), "BTCUSDT"),
        "an unknown estimator": (
            good.replace("estimator: {", "estimator: {name: oi_flo, "),
            "oi_flow",
        ),
        "an estimator of no module": (
            good.replace("estimator: {", "estimator: {name: 'nowhere:Thing', "),
            "nowhere",
        ),
        "an unknown key": (good + "sed: 1\n", "seed"),
    }
    tally = Tally("data or a name that is absent: run")
    for name, (text, mention) in cases.items():
        experiment.write_text(text)
        results = emptied(folder / "r")
        problem = clear(call("run", experiment, "--results", results), mention)
        if not problem and [p for p in (results / "x").glob("*") if p.name != ".locks"]:
            problem = "something was left behind"
        tally.check(f"{name}: {problem}" if problem else "")
    yield tally.row()


def _with(text: str, more: str) -> str:
    return text.replace("schedule: {", f"schedule: {{{more}, ")

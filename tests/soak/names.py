"""Hostile names of symbols, files, experiments and markets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from liqbt.errors import LiqbtError
from liqbt.study.schema import load_experiment
from soak.disk import committed_is_there
from soak.row import Row, Tally
from soak.small import EXPERIMENT, MAP, WORLD, Said, call, clear, ingest_inputs

__all__ = ["names"]

NAMES = [
    "a\nb", "a\rb", "\x1b[31mred", "a\x00b", "..", "../up", "../../etc/passwd", "/abs", "-",
    "--help",
    "-rf", "a b", " lead", "trail ", "x" * 64, "x" * 65, "x" * 300, "x" * 5000, "ВТСUSDT",
    "BTC\u200b",
    "\u202eCTB", "\ud83d\udcb0".encode("utf-16", "surrogatepass").decode("utf-16"), "e\u0301",
    "\u00e9",
    "con", "nul", "a/b", "a\\b", "%s%n", "{0}", "${HOME}", "$(id)", "`id`", "'; --", '"',
    "a,b", "a;b",
    "a:b", "*", "?", "NO", "null", "1e5", "~", ".hidden", "a.", "\ufeffBTC", "\ufffd",
    "\u2028", "\x7f",
]  # fmt: skip


def names(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Hostile names: of symbols in a file and a map, of files, of experiments and their markets."""
    del n, seed
    symbol = Tally("hostile name: of a symbol in a CSV, or of a venue in a map")
    file = Tally("hostile name: of a file to ingest")
    market = Tally("hostile name: of an experiment, a market, an instrument, a file in it")
    outside = folder / "outside"
    outside.mkdir()
    for i, name in enumerate(NAMES):
        place = folder / f"n{i}"
        place.mkdir()
        symbol.check(_named_symbol(place, name))
        file.check(_named_file(place, name))
        market.check(_named_market(place, name))
        if sorted(p.name for p in folder.iterdir()) != sorted(
            [*(f"n{k}" for k in range(i + 1)), "outside"]
        ):
            symbol.check(f"{name!r} wrote outside of its folder")
    yield symbol.row()
    yield file.row()
    yield market.row()


def _accepted_or_clear(said: Said, name: str) -> str:
    problem = clear(said) if said.code else said.crash
    return f"{name!r}: {problem}" if problem else ""


def _named_symbol(place: Path, name: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    rows = [f"{1_700_000_000 + 300 * i},{100 + i},{5000 + i},{quoted}" for i in range(5)]
    raw = "\n".join(["t,px,oi,sym", *rows, ""]).encode(errors="surrogatepass")
    (place / "s.csv").write_bytes(raw)
    (place / "m.yaml").write_text(MAP.replace("symbol: XYZ", "symbol: {column: sym}"))
    said = call("ingest", place / "m.yaml", place / "s.csv", "--log", place / "log")
    problem = _accepted_or_clear(said, name)
    if not problem and said.code == 0:
        problem = committed_is_there(place) or _accepted_or_clear(
            call("log", "info", place / "log"), name
        )
    return problem


def _named_file(place: Path, name: str) -> str:
    if "\0" in name:  # no system hands such an argument over
        return ""
    column_map, files = ingest_inputs(place / "in", rows=8)
    target = place / "in" / name.removeprefix("/")
    with contextlib.suppress(OSError, ValueError):  # no such file can be
        target.write_bytes(files[0].read_bytes())
    said = call("ingest", "--log", place / "log2", "--", column_map, target)
    return _accepted_or_clear(said, name)


def _named_market(place: Path, name: str) -> str:
    (place / "w.yaml").write_text(WORLD)
    quoted = '"' + "".join(f"\\U{ord(c):08x}" for c in name) + '"'
    for old in ("name: x", "SIM:", "simulated/SIM, open", "w.yaml", "tiers: BTCUSDT"):
        new = old.split(": ")[0] + f": {quoted}" if ": " in old else quoted
        new = {"SIM:": f"{quoted}:", "simulated/SIM, open": f"{quoted}, open"}.get(old, new)
        (place / "x.yaml").write_text(EXPERIMENT.replace(old, new, 1))
        if old == "name: x":  # a name that can be: no need to run it
            try:
                load_experiment(place / "x.yaml")
                continue
            except LiqbtError:
                pass
        said = call("run", place / "x.yaml", "--results", place / "r")
        problem = _accepted_or_clear(said, name)
        if problem:
            return f"{old}: {problem}"
    return ""

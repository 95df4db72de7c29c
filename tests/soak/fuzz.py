"""Fuzz: mutated files through every reader, in this process; anything but a clear refusal is lost.

A reader may refuse (LiqbtError, or an OSError that names a file) or accept; what it accepts must
hold as event tables.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from liqbt.errors import LiqbtError
from liqbt.ingest.colmap import load_map, parse_map
from liqbt.ingest.table import ingest_file
from liqbt.log.schema import row_faults, table_columns
from liqbt.log.tables import canonical, logical_hash
from liqbt.types import Kind
from soak.mutate import mutate_bytes, mutate_lines, mutate_yaml, packed, parquet_of
from soak.row import Row, Tally
from soak.seeds import TABULAR, Seed

__all__ = ["column_maps", "judged", "tables_problem", "tabular"]


def tables_problem(tables: Any) -> str:
    """Return what is wrong with accepted event tables; empty where nothing is."""
    for kind, table in tables.items():
        columns, names = table_columns(table)
        faults = row_faults(Kind(kind), columns, names)
        if faults:
            return f"accepted {Kind(kind).name}: {faults[0][0]}"
        if (columns["ts_known"] < columns["ts_event"]).any():
            return f"accepted {Kind(kind).name}: ts_known before ts_event"
        if table.num_rows == 0:
            return f"accepted an empty table of {Kind(kind).name}"
        if logical_hash(canonical(Kind(kind), table)) != logical_hash(table):
            return f"accepted {Kind(kind).name} not in canonical order"
    return ""


def judged(tally: Tally, work: Callable[[], str], shown: Callable[[], str]) -> None:
    """Count one input: `work` returns a problem, or raises."""
    try:
        problem = work()
        tally.count("accepted")
    except LiqbtError as error:
        said = str(error)
        clear = bool(said.strip()) and "\n" not in said and len(said) < 4000
        problem = "" if clear else f"no single clear sentence: {said[:300]!r}"
        tally.count("refused")
    except OSError as error:
        problem = "" if error.filename else f"an OSError without a file: {error!r}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "/liqbt/" in f.filename]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else where.filename
        problem = f"{type(error).__name__}: {str(error)[:200]} at {at}"
        tally.count(f"{type(error).__name__} at {at}")
    tally.check(f"{problem} <- {shown()}" if problem else "")


def _table_of(seed: Seed) -> pa.Table:
    return pa_csv.read_csv(pa.BufferReader(seed.data), pa_csv.ReadOptions(use_threads=False))


def mutated(seed: Seed, table: pa.Table | None, rng: random.Random) -> bytes:
    """Return one mutated file of a seed."""
    if table is not None and rng.random() < 0.12:
        return parquet_of(table, rng)
    data = seed.data
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        lines = rng.random() < 0.8
        data = mutate_lines(data, rng, seed.delimiter) if lines else mutate_bytes(data, rng)
    return packed(data, rng)


def tabular(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Feed mutated files to the column-map engine, map by map."""
    rng = random.Random(seed)
    tally = Tally("mutated file, column maps")
    maps = []
    for made in TABULAR:
        place = folder / made.name
        place.mkdir()
        for name, text in made.beside.items():
            (place / name).write_bytes(text)
        maps.append((made, parse_map(made.mapping, made.name), place / made.file))
        (place / made.file).write_bytes(made.data)
        whole = ingest_file(maps[-1][1], place / made.file)
        assert whole.tables, made.name  # the seed itself is good
    tables = [None if made.mapping.get("csv") else _table_of(made) for made in TABULAR]
    for _ in range(n):
        i = rng.randrange(len(maps))
        made, mapping, path = maps[i]
        data = mutated(made, tables[i], rng)
        path.write_bytes(data)
        max_bad = rng.choice([0.001, 0.5, 1.0])

        def work() -> str:
            done = ingest_file(mapping, path, max_bad=max_bad, max_bytes=1 << 24)  # noqa: B023
            return tables_problem(done.tables)

        judged(tally, work, lambda: f"{made.name} {data[:300]!r}")  # noqa: B023
    yield tally.row()


def column_maps(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Feed mutated column maps to the parser, and accepted ones a good file."""
    rng = random.Random(seed)
    tally = Tally("mutated column map")
    for made in TABULAR:
        (folder / made.file).write_bytes(made.data)
        for name, text in made.beside.items():
            (folder / name).write_bytes(text)
    path = folder / "map.yaml"
    for _ in range(n):
        made = rng.choice(TABULAR)
        text = made.text
        for _ in range(rng.choice([1, 1, 2, 4])):
            text = mutate_yaml(text, rng)
        path.write_bytes(text.encode(errors="surrogatepass"))

        def work() -> str:
            mapping = load_map(path)
            done = ingest_file(mapping, folder / made.file, max_bad=1.0)  # noqa: B023
            return tables_problem(done.tables)

        judged(tally, work, lambda: repr(text[:500]))  # noqa: B023
    yield tally.row()

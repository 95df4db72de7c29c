"""Fuzz of the vendors' readers: mutated files of each of their formats."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from soak.fuzz import judged, tables_problem
from soak.mutate import mutate_bytes, mutate_json, mutate_lines, packed
from soak.row import Campaign, Row, Tally
from soak.vendor_seeds import VENDORS, VendorSeed

__all__ = ["vendor_campaigns"]


def vendor_campaigns() -> dict[str, Campaign]:
    """Return a campaign for each vendor."""
    return {name: partial(_vendor, name) for name in VENDORS}


def _vendor(name: str, n: int, seed: int, folder: Path) -> Iterator[Row]:
    rng = random.Random(seed)
    seeds = VENDORS[name]
    tally = Tally(f"mutated file, {name}")
    for made in seeds:
        (folder / made.file).write_bytes(made.data)
        assert _read(made, folder / made.file, 0.001) == "", made.file  # the seed itself is good
    for _ in range(n):
        made = rng.choice(seeds)
        data = _mutated(made, rng)
        path = folder / made.file
        path.write_bytes(data)
        max_bad = rng.choice([0.001, 0.5, 1.0])
        judged(
            tally,
            lambda: _read(made, path, max_bad),  # noqa: B023
            lambda: f"{made.module} {made.file} {data[:400]!r}",  # noqa: B023
        )
    yield tally.row(f"{len(seeds)} formats")


def _read(made: VendorSeed, path: Path, max_bad: float) -> str:
    read = importlib.import_module(made.module).read
    done = read(path, max_bad=max_bad, **made.options)
    done.quarantine_table()
    return tables_problem(done.tables)


def _mutated(made: VendorSeed, rng: random.Random) -> bytes:
    data = made.data
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        draw = rng.random()
        if made.json_lines and draw < 0.6:
            data = mutate_json(data, rng)
        elif draw < 0.85:
            data = mutate_lines(data, rng)
        else:
            data = mutate_bytes(data, rng)
    return packed(data, rng)

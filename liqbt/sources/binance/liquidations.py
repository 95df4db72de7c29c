"""The archive writes every liquidation twice: each pair of equal rows becomes one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.ingest.cells import as_numbers, as_words
from liqbt.ingest.table import SourceRows
from liqbt.log.order import number_repeats
from liqbt.sources.binance.formats import COLUMNS

THROTTLE: Final = "at most one liquidation per symbol and second: an undercount"


def filled_once(rows: SourceRows) -> SourceRows:
    """Return each liquidation once, without orders that nothing was filled of.

    Two liquidations that agree in every column stand four times in a file and stay two. A row that
    stands an odd number of times is kept rounded up and counted (`odd_rows` in the notes). A file
    in which most rows stand an odd number of times is not doubled, and all of it is kept.

    Parameters
    ----------
    rows : SourceRows
        With all columns of a `liquidationSnapshot`.
    """
    table = rows.raw.table
    words = [_codes(table[name]) for name in COLUMNS["liquidationSnapshot"]]
    place = np.arange(table.num_rows, dtype=np.int64)
    before = number_repeats(words, place)
    count = before + number_repeats(words, -place) + 1
    odd = int((count[before == 0] % 2).sum())
    doubled = 2 * odd <= int((before == 0).sum())
    keep = before < (count + 1) // 2 if doubled else np.ones(table.num_rows, dtype=bool)
    size, _ = as_numbers(table["accumulated_fill_quantity"])
    unfilled = size == 0
    notes = {
        "throttle": THROTTLE,
        "doubled_rows": int((~keep).sum()),
        "odd_rows": odd if doubled else 0,
        "unfilled_rows": int((keep & unfilled).sum()),
    }
    return replace(rows.pick(keep & ~unfilled), notes={**rows.notes, **notes})


def _codes(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return whole numbers that are equal where cells are; an empty cell equals another one."""
    if pa.types.is_floating(column.type):
        return (as_numbers(column)[0] + 0.0).view(np.int64)
    return as_words(column)[1]

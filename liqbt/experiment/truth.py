"""The truth of a simulated market as files: for people and tests, never for an estimator."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from liqbt.simulate import Market, truth_tables

__all__ = ["write_truth"]


def write_truth(market: Market, folder: Path) -> None:
    """Write the truth tables of every symbol below `folder`, one Parquet file a table.

    Parameters
    ----------
    market : Market
        From `liqbt.simulate`.
    folder : Path
        Made where there is none; files are called `<symbol>-<table>.parquet`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for symbol, truth in market.truth.items():
        for name, table in truth_tables(truth).items():
            pq.write_table(table, folder / f"{symbol}-{name}.parquet", compression="zstd")

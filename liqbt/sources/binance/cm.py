"""Binance COIN-M futures: files of the public archive, and recorded pushes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from liqbt.config import MAX_BAD
from liqbt.ingest.files import MAX_BYTES
from liqbt.ingest.table import Ingested
from liqbt.sources.binance.labels import label as _label
from liqbt.sources.binance.reader import FORMATS as FORMATS
from liqbt.sources.binance.reader import read_market

OPTIONS: Final = {"label": _label}
"""What `read` takes beside the file, each from its text."""


def read(
    path: Path | str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
    label: str | None = None,
) -> Ingested:
    """Read one file of COIN-M; the parameters are those of `liqbt.sources.binance.read_market`."""
    return read_market(path, "cm", format=format, max_bad=max_bad, max_bytes=max_bytes, label=label)

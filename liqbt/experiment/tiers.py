"""The venue rules that ship with liqbt, and those that a configuration states."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from importlib import resources

import numpy as np

from liqbt.errors import ConfigError
from liqbt.experiment.schema import MarginConfig
from liqbt.experiment.yaml import nearest
from liqbt.margin import Tiers, TierTable, flat_tiers
from liqbt.types import SECOND_NS

__all__ = ["margin_tiers", "shipped_tiers"]

_FILE = "binance-um-margin-tiers.csv"


@cache
def shipped_tiers() -> dict[str, TierTable]:
    """Return the shipped Binance USDⓈ-M maintenance tiers, by symbol.

    A date is when a tier table was seen: an upper bound of when it took effect.
    """
    rows: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    text = resources.files("liqbt").joinpath("data", _FILE).read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        rows[row["symbol"]][row["seen_on"]].append(row)
    return {symbol: _table(symbol, dates) for symbol, dates in sorted(rows.items())}


def _table(symbol: str, dates: dict[str, list[dict[str, str]]]) -> TierTable:
    days = sorted(dates)
    return TierTable(
        symbol=symbol,
        effective_ns=np.array([_day_ns(day) for day in days], dtype=np.int64),
        tiers=tuple(_tiers(symbol, day, dates[day]) for day in days),
    )


def _day_ns(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def _tiers(symbol: str, day: str, rows: list[dict[str, str]]) -> Tiers:
    ordered = sorted(rows, key=lambda row: int(row["tier"]))

    def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([float(row[name]) for row in ordered])

    return Tiers(
        floor_usd=column("notional_floor_usdt"),
        cap_usd=column("notional_cap_usdt"),
        rate=column("maintenance_margin_rate"),
        amount_usd=column("maintenance_amount_usdt"),
        max_leverage=column("max_leverage"),
        symbol=symbol,
        effective_ns=_day_ns(day),
    )


def margin_tiers(margin: MarginConfig, where: str) -> TierTable:
    """Return the tiers that a market's `margin` asks for.

    Raises
    ------
    ConfigError
        If the symbol is not among the shipped ones; names the alternatives.
    """
    if margin.flat_rate is not None:
        return flat_tiers("flat", margin.flat_rate, float(margin.max_leverage or 1.0))
    tables = shipped_tiers()
    symbol = str(margin.tiers)
    if symbol not in tables:
        raise ConfigError(
            f"{where}: no margin tiers are shipped for '{symbol}'; {nearest(symbol, tables)} "
            "- or state the venue's own rate as 'flat_rate' and 'max_leverage'"
        )
    return tables[symbol]

"""What `liqbt record` wrote of OKX's swaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from liqbt.ingest.recordings import Row, documents, ms, number
from liqbt.types import HOUR_NS, Kind

_ORDER: Final = {"sell": "long", "buy": "short"}


def live_rows(message: Mapping[str, Any], faces: Mapping[str, tuple[str, float]]) -> Iterator[Row]:
    """Yield the rows of a push of `mark-price`, `open-interest`, `funding-rate` or liquidations.

    Liquidations of instruments whose contract is not in `faces` are left out: the channel has all.
    """
    argument = message.get("arg")
    channel = argument.get("channel") if isinstance(argument, dict) else None
    for one in documents(message):
        symbol, time = str(one.get("instId")), ms(one.get("ts"))
        if channel == "mark-price":
            yield Row(Kind.MARK, symbol, time, number(one.get("markPx")))
        elif channel == "open-interest":
            coins, usd = number(one.get("oiCcy")), number(one.get("oiUsd"))
            yield Row(Kind.OPEN_INTEREST, symbol, time, coins, usd)
        elif channel == "funding-rate":
            span = (ms(one.get("nextFundingTime")) - ms(one.get("fundingTime"))) / HOUR_NS
            hours = span if 0 < span <= 24 else float("nan")
            yield Row(Kind.FUNDING, symbol, time, number(one.get("fundingRate")), hours)
        elif channel == "liquidation-orders" and symbol in faces:
            for detail in documents(one, "details"):
                yield _liquidation(symbol, detail, *faces[symbol])


def _liquidation(symbol: str, detail: Mapping[str, Any], unit: str, face: float) -> Row:
    price, contracts = number(detail.get("bkPx")), number(detail.get("sz"))
    coins = contracts * face if unit == "coins" else contracts * face / (price or float("nan"))
    told = _ORDER.get(str(detail.get("side")), "?")
    held = str(detail.get("posSide"))
    side = told if held not in ("long", "short") or held == told else "?"
    return Row(Kind.LIQUIDATION, symbol, ms(detail.get("ts")), price, coins, side)

"""The truth's records: what the kernels write is what readers get, without a copy between."""

from __future__ import annotations

from typing import Final

import numpy as np

POSITION_DTYPE: Final = np.dtype(
    [
        ("side", "i1"),
        ("fate", "i1"),
        ("margin", "i1"),
        ("leverage", "<f4"),
        ("size_coins", "<f8"),
        ("liquidated_coins", "<f8"),
        ("open_coins", "<f8"),
        ("entry_price", "<f8"),
        ("first_liquidation_price", "<f8"),
        ("liquidation_price", "<f8"),
        ("stop_price", "<f8"),
        ("opened_ns", "<i8"),
        ("closed_ns", "<i8"),
    ]
)
"""One position, in order of opening. `fate`: 0 open at the end, 1 closed voluntarily, 2 liquidated,
3 stopped out, by what closed its last lot; `margin`: 0 backed in full, 1 isolated, 2 cross;
`leverage` at opening (for a cross account that of its bracket, before its extra collateral);
`closed_ns` is -1 while open. A liquidation price that cannot be reached is 0 for a long, infinity
for a short, and so is the price of a stop that there is none of. `liquidation_price` is the last;
what is neither open nor liquidated was closed voluntarily or stopped out."""

STEP_DTYPE: Final = np.dtype(
    [
        ("end_ns", "<i8"),
        ("opened_long", "<i4"),
        ("left_long", "<i4"),
        ("liquidated_long", "<i4"),
        ("stopped_long", "<i4"),
        ("opened_short", "<i4"),
        ("left_short", "<i4"),
        ("liquidated_short", "<i4"),
        ("stopped_short", "<i4"),
        ("open_interest", "<i4"),
        ("taker_bought", "<i4"),
        ("taker_sold", "<i4"),
        ("wallets", "<i8"),
        ("margins", "<i8"),
        ("unrealised", "<i8"),
        ("fees", "<i8"),
        ("insurance", "<i8"),
    ]
)
"""Flows of one step and the open interest at its end, in lots (what was stopped out has left, too;
takers are initiators, net exits, stops and forced orders); and where the money is at its end, in
units of `lot_coins` × `tick_usd`: wallets (0 before anything moved), margins of open positions,
their unrealised profit, fees and the insurance fund sum to zero, exactly."""

LIQUIDATION_DTYPE: Final = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("position", "<i4"),
        ("parent", "<i4"),
        ("root", "<i4"),
        ("side", "i1"),
        ("whole", "i1"),
        ("mark", "<f8"),
        ("size_coins", "<f8"),
        ("bankruptcy_price", "<f8"),
    ]
)
"""One forced order: when, which position, its side, the true mark that triggered it, its size;
`whole` is 0 where more of the position is left. `parent` is the forced order without whose impact
the mark would not have reached this one (an index into this table, -1 for none): the largest of the
latest instant that pushed so. `root` is the first of the chain: one root's orders are a cascade."""

CHANGE_DTYPE: Final = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("position", "<i4"),
        ("reason", "i1"),
        ("margin_usd", "<f8"),
        ("open_coins", "<f8"),
        ("liquidation_price", "<f8"),
    ]
)
"""One change of a liquidation price by a tick or more. `reason`: 1 a transfer of collateral, 2 a
forced cut, 3 a partial exit into another tier. Funding changes those of all cross accounts, at each
settlement: see `FUNDING_DTYPE`."""

FUNDING_DTYPE: Final = np.dtype(
    [("ts_ns", "<i8"), ("rate", "<f8"), ("paid_usd_per_coin", "<f8")]
)  # fmt: skip
"""One settlement: the rate published, and what each long coin paid each short coin."""

SWING_DTYPE: Final = np.dtype(
    [("confirmed_ns", "<i8"), ("side", "i1"), ("price", "<f8")]
)  # fmt: skip
"""One swing: when it was confirmed, -1 a low and 1 a high, its price."""

WALL_DTYPE: Final = np.dtype(
    [
        ("from_ns", "<i8"),
        ("until_ns", "<i8"),
        ("side", "i1"),
        ("price", "<f8"),
        ("absorbed", "<f8"),
    ]
)
"""One wall: when it appeared and when it was gone, -1 below the price and 1 above, its price, and
the log displacement that it absorbed."""

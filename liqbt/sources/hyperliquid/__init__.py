"""Hyperliquid: its public files as events, and its accounts as truth.

Events (`FORMATS`, `read`): contexts by the minute and trades. Truth, which never enters a log:
`positions`, snapshots with the venue's own liquidation prices, and the files of the venue's first
weeks (`read_launch`), from which every account is rebuilt fill by fill (`closed_accounts`).
"""

from __future__ import annotations

from liqbt.sources.hyperliquid.accounts import ClosedAccount, closed_accounts
from liqbt.sources.hyperliquid.formats import FORMATS, OPTIONS, read
from liqbt.sources.hyperliquid.launch import Fills, Launch, Ledger, Liquidations, read_launch
from liqbt.sources.hyperliquid.positions import Positions, positions

__all__ = [
    "FORMATS",
    "OPTIONS",
    "ClosedAccount",
    "Fills",
    "Launch",
    "Ledger",
    "Liquidations",
    "Positions",
    "closed_accounts",
    "positions",
    "read",
    "read_launch",
]

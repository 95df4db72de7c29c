"""A configuration search: its trials, their ledger, and what the best of many is worth.

A search runs one experiment under many configurations and keeps a line of every trial that ended,
failures too. The best of many looks good by being chosen: superior ability, the model confidence
set and the probability of backtest overfitting say what is left of it.
"""

from __future__ import annotations

from liqbt.search.describe import describe_search, search_document
from liqbt.search.ledger import Trial, read_ledger
from liqbt.search.schema import Asked, Search, SearchConfig, load_search
from liqbt.search.search import run_search
from liqbt.search.units import DayLosses, Units, day_losses, read_units
from liqbt.search.worth import Worth, worth

__all__ = [
    "Asked",
    "DayLosses",
    "Search",
    "SearchConfig",
    "Trial",
    "Units",
    "Worth",
    "day_losses",
    "describe_search",
    "load_search",
    "read_ledger",
    "read_units",
    "run_search",
    "search_document",
    "worth",
]

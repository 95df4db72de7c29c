"""A configuration search: its trials, their ledger, and what the best of many is worth.

A search runs one experiment under many configurations and keeps a line of every trial that ended,
failures too. The best of many looks good by being chosen: superior ability, the model confidence
set and the probability of backtest overfitting say what is left of it.
"""

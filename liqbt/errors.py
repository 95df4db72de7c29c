"""The one error tree: what was found, where, and what is expected instead."""

from __future__ import annotations

__all__ = [
    "AlreadyRunningError",
    "ConfigError",
    "DataError",
    "LiqbtError",
    "LogError",
    "MarginError",
    "OrderError",
]


class LiqbtError(Exception):
    """Base of every error that liqbt raises on purpose; its message is one clear sentence."""


class ConfigError(LiqbtError):
    """A configuration or a command's argument cannot be right; names the file and the key."""


class DataError(LiqbtError):
    """Input data cannot be right; names the file, the row or the column."""


class OrderError(DataError):
    """Records are not in canonical order; names the offending rows."""


class LogError(LiqbtError):
    """An event log is missing, damaged or written by something else; names the file."""


class MarginError(LiqbtError):
    """A margin rule is missing or contradicts itself; names symbol, date or bracket."""


class AlreadyRunningError(LiqbtError):
    """Somebody else is writing the same log or the same run; names the lock."""

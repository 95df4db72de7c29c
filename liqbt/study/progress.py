"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Stage: TypeAlias = Callable[[str, int, int], None]
"""Progress: a name, how many are done, of how many; of none: a sentence to be shown."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report no progress."""

"""What people write to say what is to be done: YAML, the types of its fields, the experiment."""

from __future__ import annotations

from typing import Final

MAX_BAD: Final = 0.001
"""The share of a file's rows that may be put aside, unless it is said otherwise."""

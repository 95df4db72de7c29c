"""What a margin rule is: a liquidation price, where it is from, how sure it is, worked examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from liqbt.errors import MarginError
from liqbt.types import Side


class Certainty(StrEnum):
    """How sure a rule is."""

    CHECKED = "checked"
    """Against data, or a simulation of the account to rounding."""
    READ = "read"
    """In the venue's own documentation."""
    DERIVED = "derived"
    """From where margin meets maintenance margin, by the contract's own profit."""
    RECALLED = "recalled"
    """From memory; it is to be held against the venue before much rests on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A worked example.

    Attributes
    ----------
    words : str
        What position, in one line.
    by_hand : str
        The arithmetic, for a reader with a pocket calculator.
    expected : float
        What that gives, USD, to the digits that are written.
    computed : callable
        Returns what the rule gives, USD.
    """

    words: str
    by_hand: str
    expected: float
    computed: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRule:
    """The liquidation price of one type of contract.

    Attributes
    ----------
    id : str
        Such as `okx_linear`.
    venue, contract : str
        Whose, and of what kind.
    formula : str
        With EP entry, L leverage, m maintenance rate, s = +1 for a long and −1 for a short.
    source : str
        Where it is from.
    certainty : Certainty
        How sure it is.
    dated : str
        The dated table of rates that is shipped for it; empty where there is none, and rates are
        the caller's to state.
    ratio : callable, optional
        Of a contract that is margined in its coin: takes leverage, side and the share of the
        notional that maintenance (and a fee, where the rule has one) takes, gives LP/EP; infinite
        for a short that no price can liquidate. None: the rule of `liqbt.margin`.
    examples : tuple of Example
        Worked, at least one a side.
    """

    id: str
    venue: str
    contract: str
    formula: str
    source: str
    certainty: Certainty
    dated: str = ""
    ratio: Callable[[float, Side, float], float] | None = None
    examples: tuple[Example, ...]


def checked(entry: float, leverage: float, side: Side, rate: float, what: str) -> float:
    """Return s, +1 or −1, of a position that can be opened.

    Parameters
    ----------
    entry, leverage : float
        USD; notional over margin.
    side : Side
        LONG or SHORT.
    rate : float
        What the initial margin must exceed: maintenance and fee, a fraction of the notional.
    what : str
        The rule, for messages.

    Raises
    ------
    MarginError
        The entry is not above 0, the leverage below 1, the side none, the rate not in (0, 1), or
        the initial margin does not exceed it.
    """
    if not 0.0 < entry < float("inf"):
        raise MarginError(f"{what}: the entry is {entry}; expected a price above 0")
    if side == Side.NONE:
        raise MarginError(f"{what}: the side is none; expected long or short")
    if not 0.0 < rate < 1.0:
        raise MarginError(f"{what}: maintenance is {rate} of the notional; expected it in (0, 1)")
    if not (leverage >= 1.0 and leverage * rate < 1.0):
        raise MarginError(
            f"{what}: at {leverage:g}x the initial margin must exceed the maintenance of "
            f"{rate:.4%}, and leverage be at least 1x"
        )
    return float(int(side))

"""What one contract is: a number of coins (linear) or of US dollars (inverse)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from liqbt.errors import ConfigError
from liqbt.log.symbols import no_dollar
from liqbt.types import FloatArray, IntArray

FACES: Final[Mapping[str, tuple[str, float]]] = {
    "BTC-USDT-SWAP": ("coins", 0.01),
    "ETH-USDT-SWAP": ("coins", 0.1),
    "BTC-USD-SWAP": ("usd", 100.0),
    "ETH-USD-SWAP": ("usd", 10.0),
}
"""Linear: checked against a recorded file. Inverse: recalled, as the venue lists them."""


def face_table(given: Mapping[str, tuple[str, float]] | None) -> dict[str, tuple[str, float]]:
    """Return the known faces, with those of the caller in their place or beside them.

    Raises
    ------
    ConfigError
        A face is not `("coins" or "usd", number above 0)`, is of an instrument that is quoted in no
        dollar, or contradicts what is known; names the instrument.

    Examples
    --------
    >>> face_table({"SOL-USDT-SWAP": ("coins", 1)})["SOL-USDT-SWAP"]
    ('coins', 1.0)
    """
    faces = dict(FACES)
    for symbol, face in (given or {}).items():
        unit, size = face if len(face) == 2 else ("", 0.0)
        if unit not in ("coins", "usd") or not 0.0 < float(size) < np.inf:
            raise ConfigError(f"face of {symbol!r}: expected coins or usd and a number, got {face}")
        if no_dollar(symbol) is not None:
            raise ConfigError(
                f"face of {symbol!r}: it is quoted in {no_dollar(symbol)}, not in a dollar, and "
                "prices here are USD per coin"
            )
        if symbol in FACES and FACES[symbol] != (unit, float(size)):
            known = FACES[symbol]
            raise ConfigError(
                f"face of {symbol!r}: one contract is {known[1]:g} {known[0]}, not "
                f"{float(size):g} {unit}; take it out"
            )
        faces[symbol] = (unit, float(size))
    return faces


SYNTAX: Final = "liqbt ingest 'okx?faces=SOL-USDT-SWAP:coins:1' ..."
"""How a face is said on the command line; several are parted by commas."""


def parse_faces(text: str) -> dict[str, tuple[str, float]]:
    """Return faces from words such as `SOL-USDT-SWAP:coins:1`, parted by commas.

    Raises
    ------
    ValueError
        `text` is not so.

    Examples
    --------
    >>> parse_faces("SOL-USDT-SWAP:coins:1,XRP-USD-SWAP:usd:10")
    {'SOL-USDT-SWAP': ('coins', 1.0), 'XRP-USD-SWAP': ('usd', 10.0)}
    """
    faces = {}
    for word in text.split(","):
        symbol, unit, size = word.strip().split(":")
        faces[symbol] = (unit, float(size))
    return faces


def coins_of(
    contracts: FloatArray,
    price_usd: FloatArray,
    symbols: Sequence[str],
    symbol: IntArray,
    faces: Mapping[str, tuple[str, float]],
) -> FloatArray:
    """Return contracts as coins, shape (n,); NaN for an instrument without a face.

    Examples
    --------
    >>> import numpy as np
    >>> one, code = np.array([1.0, 1.0]), np.array([0, 1])
    >>> faces = {"L": ("coins", 0.01), "I": ("usd", 100.0)}
    >>> coins_of(one, np.array([5e4, 5e4]), ["L", "I"], code, faces).tolist()
    [0.01, 0.002]
    """
    blank = ("", np.nan)
    table = [faces.get(name, blank) for name in symbols] or [blank]
    size = np.array([s for _, s in table])[symbol]
    inverse = np.array([unit == "usd" for unit, _ in table])[symbol]
    with np.errstate(all="ignore"):
        return np.asarray(contracts * np.where(inverse, size / price_usd, size), dtype=np.float64)

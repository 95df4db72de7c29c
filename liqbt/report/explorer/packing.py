"""Arrays as text that a page can hold: one deflated stream, in base64."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_ALIGNED: Final = 8
_RISING: Final = {"at", "cut", "t", "close"}
"""Arrays of which the steps from entry to entry are kept: they repeat, and take less room."""
_WORDS: Final = {"u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Arrays in one stream.

    Attributes
    ----------
    layout : mapping of str to (str, int, int, bool)
        Of each array: its type, such as `u2`, its first byte, its number of entries, and whether
        they are steps, to be summed up.
    text : str
        The stream, deflated (zlib), in base64.
    """

    layout: Mapping[str, tuple[str, int, int, bool]]
    text: str


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> Packed:
    """Return arrays as text; little-endian, each begins at a multiple of eight bytes."""
    layout, parts, end = {}, [], 0
    for name, array in arrays.items():
        word = array.dtype.str[1:]
        if word not in _WORDS:
            raise TypeError(
                f"{name}: found {array.dtype}; a page reads {', '.join(sorted(_WORDS))}"
            )
        steps = np.diff(array, prepend=array.dtype.type(0)) if name in _RISING else array
        data = np.ascontiguousarray(steps, array.dtype.newbyteorder("<")).tobytes()
        layout[name] = (word, end, int(array.size), name in _RISING)
        parts.append(data + bytes(-len(data) % _ALIGNED))
        end += len(parts[-1])
    text = base64.b64encode(zlib.compress(b"".join(parts), 6)).decode("ascii")
    return Packed(layout=layout, text=text)


def unpack(packed: Packed) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays again, flat.

    Examples
    --------
    >>> unpack(pack({"n": np.arange(3, dtype=np.uint16)}))["n"].tolist()
    [0, 1, 2]
    """
    data = zlib.decompress(base64.b64decode(packed.text))
    found = {}
    for name, (word, first, count, steps) in packed.layout.items():
        held = np.frombuffer(data, f"<{word}", count, first)
        found[name] = np.cumsum(held, dtype=held.dtype) if steps else held
    return found

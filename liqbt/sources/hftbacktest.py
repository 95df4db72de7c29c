"""hftbacktest: the trades of its event arrays (`.npz`, `.npy`), with both clocks.

Its collector's lines, from which such arrays are made, hold liquidations too: the readers of
`binance-um` and `bybit` take them.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.config import MAX_BAD
from liqbt.errors import ConfigError, DataError, reason_of
from liqbt.ingest.colmap import parse_map
from liqbt.ingest.files import BROKEN, MAX_BYTES, RawTable, magic_of
from liqbt.ingest.table import Ingested, SourceRows, ingest_rows, nothing
from liqbt.log.symbols import is_inverse, no_dollar
from liqbt.types import MINUTE_NS, SECOND_NS, IntArray

READER: Final = "hftbacktest 1"
"""Goes up when the same file would give other events."""

FORMATS: Final = ("events",)
"""The array of the second version. Its fields and codes: read in the library's source."""

OPTIONS: Final = {"venue": str, "symbol": str, "face_coins": float, "face_usd": float}
"""What `read` takes beside the file, each from its text: an array names no market."""

_FIELDS: Final = {"ev": "ui", "exch_ts": "i", "local_ts": "i", "px": "f", "qty": "f"}
"""Fields that are read, and the kinds of number that they hold."""
_EXCHANGE, _LOCAL, _BUY, _SELL = (np.uint64(1 << bit) for bit in (31, 30, 29, 28))
_CODE: Final = np.uint64(0xFF)
_TRADE: Final = 2
_DEPTH: Final = (1, 3, 4, 5)
_IN_COINS: Final = ("binance-um", "bybit", "hyperliquid")
_SYNTAX: Final = "liqbt ingest 'hftbacktest?venue=binance-um&symbol=BTCUSDT' ..."


def read(
    path: Path | str,
    *,
    format: str | None = None,
    max_bad: float = MAX_BAD,
    max_bytes: int = MAX_BYTES,
    venue: str = "",
    symbol: str = "",
    face_coins: float | None = None,
    face_usd: float | None = None,
) -> Ingested:
    """Read the trades of an event array; nothing is written and nothing is unpickled.

    A trade is known at `local_ts`. An event that the library took apart, because one clock's order
    is not the other's, counts once, where it was received; what was never received is left out
    (`exchange_rows`). Changes of the order book are left out and counted (`depth_rows`), and so are
    a converter's own codes (`other_rows`).

    Parameters
    ----------
    path : Path
        `.npz` with one array or one called `data`, or `.npy`.
    format : str, optional
        `events`.
    max_bad : float
        The largest share of rows that may be put aside.
    max_bytes : int
        The most that the array may take.
    venue, symbol : str
        Whose trades they are. Give the venue a name of its own in a log that holds the same trades
        from elsewhere.
    face_coins, face_usd : float, optional
        What one unit of `qty` is, where it is no coin: so many coins, or so many US dollars.

    Raises
    ------
    ConfigError
        The market, or what one unit is, is not said.
    DataError
        The file is no such array, or its local clock was moved; one sentence.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise ConfigError(f"hftbacktest has no format {format!r}: it has {list(FORMATS)}")
    face, unit = _face(path, venue, symbol, face_coins, face_usd)
    events = _events(path, max_bytes)
    code = events["ev"].astype(np.uint64)
    here = (code & _LOCAL != 0) | (code & _EXCHANGE == 0)
    what = (code & _CODE).astype(np.int64)
    trades = np.flatnonzero((what == _TRADE) & here)
    told = {
        "depth_rows": int((np.isin(what, _DEPTH) & here).sum()),
        "exchange_rows": int((~here).sum()),
        "other_rows": int((~np.isin(what, (_TRADE, *_DEPTH)) & here).sum()),
    }
    notes = {name: count for name, count in told.items() if count}
    if not len(trades):
        return nothing(path, "hftbacktest/events", reader=READER, notes=notes)
    rows = events[trades]
    _refuse_moved(path, rows)
    price, size = (rows[name].astype(np.float64) for name in ("px", "qty"))
    with np.errstate(all="ignore"):
        coins = size * (face if unit == "coins" else face / price)
    buys, sells = (code[trades] & flag != 0 for flag in (_BUY, _SELL))
    side = np.where(buys & ~sells, "buy", np.where(sells & ~buys, "sell", "none"))
    table = pa.table(
        {
            "exch_ts": pa.array(rows["exch_ts"].astype(np.int64)),
            "local_ts": pa.array(rows["local_ts"].astype(np.int64)),
            "px": pa.array(price),
            "coins": pa.array(coins),
            "side": pa.array(side.tolist(), pa.string()),
        }
    )
    found = SourceRows(
        raw=RawTable(file=path.name, table=table),
        number=np.asarray(trades + 1, dtype=np.int64),
        total=len(events),
        notes=notes,
    )
    mapping = parse_map(_map(venue, symbol), "hftbacktest/events")
    return ingest_rows(mapping, found, path, max_bad=max_bad, reader=READER)


def _map(venue: str, symbol: str) -> dict[str, Any]:
    return {
        "name": "hftbacktest/events",
        "time": {"column": "exch_ts", "unit": "ns"},
        "stamp": "instant",
        "feed": "pushed",
        "received": {"column": "local_ts", "unit": "ns", "tolerance": "1s"},
        "venue": venue,
        "symbol": symbol,
        "side": {"column": "side", "means": "taker"},
        "price_is": "last",
        "emit": [{"kind": "trade", "fields": {"price": "px", "size_coins": "coins"}}],
    }


def _face(
    path: Path, venue: str, symbol: str, coins: float | None, usd: float | None
) -> tuple[float, str]:
    """Return what one unit of size is; a coin where the venue's are."""
    if not venue or not symbol:
        raise ConfigError(f"{path}: an array names neither venue nor symbol; say them: {_SYNTAX}")
    quote = no_dollar(symbol)
    if quote is not None:
        raise ConfigError(f"{path}: {symbol} is quoted in {quote}, not in a dollar")
    inverse = is_inverse(venue, symbol)
    given = [(size, unit) for size, unit in ((coins, "coins"), (usd, "usd")) if size is not None]
    if len(given) > 1 or any(not 0.0 < size < math.inf for size, _ in given):
        raise ConfigError("say one of face_coins and face_usd, above 0")
    if venue in _IN_COINS and not inverse:
        if given and given != [(1.0, "coins")]:
            raise ConfigError(f"sizes of {venue}/{symbol} are coins: take the face out")
        return 1.0, "coins"
    if not given or (inverse and given[0][1] == "coins"):
        what = "US dollars (inverse), face_usd=100" if inverse else "coins, face_coins=0.01"
        raise ConfigError(
            f"{path}: what one unit of size of {venue}/{symbol} is, is not known: say so many "
            f"{what}, in {_SYNTAX}"
        )
    return given[0]


def _events(path: Path, max_bytes: int) -> npt.NDArray[Any]:
    """Return the array, whose size is known before any of it is read.

    Raises
    ------
    DataError
        It is none, damaged, or too large.
    """
    try:
        with _opened(path) as (stream, size):
            if size > max_bytes:
                raise DataError(
                    f"{path} expands to more than {max_bytes} bytes: `liqbt ingest --max-size` "
                    "raises that"
                )
            dtype, count = _header(path, stream)
            data = stream.read(count * dtype.itemsize) if count * dtype.itemsize <= size else b""
    except (*BROKEN, RuntimeError, NotImplementedError, ValueError, SyntaxError) as error:
        raise DataError(f"{path} is no readable array: {reason_of(error)}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) != count * dtype.itemsize:
        raise DataError(f"{path} is truncated: its array is to hold {count} events")
    return np.frombuffer(data, dtype)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open the array in a file, and say how many bytes it is."""
    magic = magic_of(path)
    if magic == b"\x93NUM":
        with path.open("rb") as file:
            yield file, path.stat().st_size
        return
    if magic[:2] != b"PK":
        raise DataError(f"{path} is no .npz or .npy of hftbacktest")
    with zipfile.ZipFile(path) as archive:
        arrays = [m for m in archive.infolist() if m.filename.endswith(".npy")]
        named = [m for m in arrays if m.filename == "data.npy"] or arrays
        if len(named) != 1:
            has = [m.filename[:40] for m in arrays][:9]
            raise DataError(f"{path} holds the arrays {has}: one, or one called data, is expected")
        with archive.open(named[0]) as member:
            yield member, named[0].file_size


def _header(path: Path, stream: IO[bytes]) -> tuple[np.dtype[Any], int]:
    """Return the type of an array and its length; names what is wrong with it."""
    version = np.lib.format.read_magic(stream)
    read_ = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}.get(version)
    if read_ is None:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = getattr(np.lib.format, read_)(stream)
    kinds = {name: dtype[name].kind for name in dtype.names or ()}
    if dtype.hasobject or any(
        kinds.get(name, "none") not in kind for name, kind in _FIELDS.items()
    ):
        raise DataError(
            f"{path} is no array of hftbacktest's events: it holds {str(dtype)[:80]}, the fields "
            f"{list(_FIELDS)} are expected (an array of the first version is to be converted anew)"
        )
    if len(shape) != 1:
        raise DataError(f"{path}: its array has {len(shape)} dimensions, one is expected")
    return dtype, int(shape[0])


def _refuse_moved(path: Path, rows: npt.NDArray[Any]) -> None:
    """Refuse trades that are not in the order of their receipt, or all were received very late.

    An array is in order; one that begins again holds its trades twice. A converter that takes marks
    along gives them the time of the next funding, and then moves the local clock of every event so
    that none comes before it happened.
    """
    local: IntArray = rows["local_ts"].astype(np.int64)
    back = np.flatnonzero(np.diff(local) < -SECOND_NS)
    if len(back):
        raise DataError(
            f"{path}: trade {int(back[0]) + 2} was received before the one in front of it: an "
            "array is in the order of receipt (are two of them in one file?)"
        )
    least: IntArray = local - rows["exch_ts"].astype(np.int64)
    if least.min() > MINUTE_NS:
        raise DataError(
            f"{path}: its trades were all received {least.min() / MINUTE_NS:.1f} min after they "
            "happened or later: a converter moved the local clock (marks that it took along have "
            "the time of the next funding); convert it without them"
        )

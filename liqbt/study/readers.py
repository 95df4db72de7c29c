"""What turns a file into events: a column map of one's own, or a vendor's module."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError
from liqbt.ingest.colmap import load_map
from liqbt.ingest.files import MAX_BYTES
from liqbt.ingest.table import Ingested, ingest_file
from liqbt.log.disk import sha256_file

VENDORS: Final = {
    "binance-um": "liqbt.sources.binance.um",
    "binance-cm": "liqbt.sources.binance.cm",
    "tardis": "liqbt.sources.tardis",
    "okx": "liqbt.sources.okx",
    "bybit": "liqbt.sources.bybit",
    "hyperliquid": "liqbt.sources.hyperliquid",
    "coinglass": "liqbt.sources.coinglass",
    "coinalyze": "liqbt.sources.coinalyze",
    "cryptofeed": "liqbt.sources.cryptofeed",
    "hftbacktest": "liqbt.sources.hftbacktest",
}
"""A vendor's name to its module, which has `FORMATS` and `read`."""


class Read(Protocol):
    """What turns one file into events."""

    def __call__(
        self, file: Path, max_bad: float, root: Path | None, max_bytes: int = MAX_BYTES, /
    ) -> Ingested:
        """Return the events of `file`, of which at most `max_bytes` may come unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What turns a file into events.

    Attributes
    ----------
    name : str
        The column map's file, or `vendor` or `vendor/format`.
    digest : str
        What, besides the file and the package's code, decides which events there are.
    join : str
        The second file that it needs, below the data root; empty where there is none.
    read : callable
        Takes the file, the largest share of rows that may be put aside, the data root, and the
        most bytes that may come out of a packed file.
    """

    name: str
    digest: str
    join: str
    read: Read


def open_reader(spec: Path | str) -> Reader:
    """Return the reader that `spec` names: a column map's file, `vendor` or `vendor/format`.

    Raises
    ------
    ConfigError
        There is no such file and no such vendor, or the vendor has no such format.
    """
    text = str(spec)
    if text.partition("?")[0].partition("/")[0] in VENDORS and not Path(spec).is_file():
        return vendor_reader(text)
    if not Path(spec).exists() and Path(spec).suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"{text}: neither a column map nor a vendor; {nearest(text, VENDORS)}")
    return map_reader(Path(spec))


def map_reader(path: Path) -> Reader:
    """Return the reader of a column map's file.

    Raises
    ------
    ConfigError
        The map cannot be used; names the key.
    """
    mapping = load_map(path)

    def read(file: Path, max_bad: float, root: Path | None, max_bytes: int = MAX_BYTES) -> Ingested:
        return ingest_file(mapping, file, max_bad=max_bad, root=root, max_bytes=max_bytes)

    join = mapping.join.file if mapping.join else ""
    return Reader(name=str(path), digest=sha256_file(path), join=join, read=read)


def vendor_reader(name: str) -> Reader:
    """Return the reader of `vendor`, which tells a file's format itself, or of `vendor/format`.

    A module's `OPTIONS` (name to what makes a value of its text) may follow, as in
    `tardis/trades?face_coins=0.01`.

    Raises
    ------
    ConfigError
        There is no such vendor, format or option; names the nearest.
    """
    plain, _, options = name.partition("?")
    vendor, _, format_name = plain.partition("/")
    if vendor not in VENDORS:
        raise ConfigError(f"no vendor {vendor!r}; {nearest(vendor, VENDORS)}")
    module: Any = importlib.import_module(VENDORS[vendor])
    if format_name and format_name not in module.FORMATS:
        raise ConfigError(
            f"{vendor} has no format {format_name!r}; {nearest(format_name, module.FORMATS)}"
        )

    chosen = _options(vendor, getattr(module, "OPTIONS", {}), options)

    def read(
        file: Path, max_bad: float, _root: Path | None, max_bytes: int = MAX_BYTES
    ) -> Ingested:
        done: Ingested = module.read(
            file, format=format_name or None, max_bad=max_bad, max_bytes=max_bytes, **chosen
        )
        return done

    return Reader(name=name, digest=name, join="", read=read)


def _options(vendor: str, known: Mapping[str, Callable[[str], Any]], text: str) -> dict[str, Any]:
    """Return the options in `name=value&name=value`, each as its module makes it."""
    chosen: dict[str, Any] = {}
    for part in text.split("&") if text else []:
        key, _, value = part.partition("=")
        if key not in known:
            said = nearest(key, known) if known else "it has none"
            raise ConfigError(f"{vendor} has no option {key!r}; {said}")
        try:
            chosen[key] = known[key](value)
        except ValueError:
            raise ConfigError(f"{vendor}: option {key}: {value!r} is no {key}") from None
    return chosen

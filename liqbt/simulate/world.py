"""What a simulated market is made of: one frozen, validated value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

from liqbt.errors import ConfigError
from liqbt.simulate.checks import check_world
from liqbt.simulate.feeds import Faults, Feed
from liqbt.simulate.mechanisms import Mechanisms
from liqbt.simulate.sections import Exchange, Price, Traders
from liqbt.types import DAY_NS, Ns

START_NS: Final = 1_735_689_600_000_000_000
"""2025-01-01 00:00 UTC, where a simulated market begins unless told otherwise."""

Section: TypeAlias = Price | Traders | Exchange | Mechanisms | Feed

SECTIONS: Final[dict[str, type[Section]]] = {
    "price": Price,
    "traders": Traders,
    "exchange": Exchange,
    "mechanisms": Mechanisms,
    "feed": Feed,
}
"""The sections of a world, in the order in which they are written."""

HOMES: Final[dict[str, str]] = {
    f.name: name for name, section in SECTIONS.items() for f in fields(section)
}
"""The section of each key; no two sections share one."""


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class World:
    """A leveraged market to be simulated.

    With every mechanism at zero (and `oi_volatility`) the price does not depend on the traders at
    all, and without drift, momentum, mean reversion, regime drift and jumps that take longer than a
    substep the log price is a martingale
    with symmetric returns (no Itô term: up and down are mirror images).

    The defaults are near BTC perpetual futures of December 2025 to March 2026 in volatility (level,
    spread, clustering, season), in open interest (deviation of 5-minute and daily changes) and in
    the share of it that is liquidated; `research/simulated_market` says where they differ.

    Any key of a section may also be given directly: `World(name="w", magnet=2)` is
    `World(name="w", mechanisms=Mechanisms(magnet=2))`, and `dataclasses.replace(world, magnet=0)`
    changes one key alone.

    Attributes
    ----------
    name : str
        What the world is called in manifests.
    symbols : tuple of str
        One market each, at `venue`; their shocks correlate by `common_factor`.
    venue : str
        The venue's name in event tables.
    days, warmup_days : int
        Published days, and days simulated before them so that the first positions have a past.
        Nothing of the warm-up is published and no mechanism acts in it.
    start_ns : int
        First published instant, ns UTC.
    step_s, substeps : int
        Marks are published every `step_s` seconds; the one path that marks, bars, trades and
        liquidations share is drawn `substeps` times as finely.
    initial_price_usd : float
        The price at `start_ns`.
    truth_every_s : int
        How often the true map is kept.
    price, traders, exchange, mechanisms, feed : Price, Traders, Exchange, Mechanisms, Feed
        The sections: see there.

    Raises
    ------
    ConfigError
        Where a value cannot be right; the message names the key and what is expected.

    Examples
    --------
    >>> World(name="w", days=2).steps
    576
    >>> World(name="w", magnet=1.0).mechanisms.magnet
    1.0
    >>> World(name="w", weights=(0.5, 0.5, 0.5, 0.0, 0.0))
    Traceback (most recent call last):
    ...
    liqbt.errors.ConfigError: world w: weights sum to 1.5, expected 1
    """

    name: str
    symbols: tuple[str, ...]
    venue: str
    days: int
    warmup_days: int
    start_ns: Ns
    step_s: int
    substeps: int
    initial_price_usd: float
    truth_every_s: int
    price: Price
    traders: Traders
    exchange: Exchange
    mechanisms: Mechanisms
    feed: Feed

    def __init__(
        self,
        *,
        name: str,
        symbols: tuple[str, ...] = ("SIM",),
        venue: str = "simulated",
        days: int = 120,
        warmup_days: int = 10,
        start_ns: Ns = START_NS,
        step_s: int = 300,
        substeps: int = 5,
        initial_price_usd: float = 50_000.0,
        truth_every_s: int = 3600,
        price: Price | None = None,
        traders: Traders | None = None,
        exchange: Exchange | None = None,
        mechanisms: Mechanisms | None = None,
        feed: Feed | None = None,
        **keys: Any,
    ) -> None:
        given = {
            "price": price,
            "traders": traders,
            "exchange": exchange,
            "mechanisms": mechanisms,
            "feed": feed,
        }
        plain: dict[str, Any] = {
            "name": name,
            "symbols": symbols,
            "venue": venue,
            "days": days,
            "warmup_days": warmup_days,
            "start_ns": start_ns,
            "step_s": step_s,
            "substeps": substeps,
            "initial_price_usd": initial_price_usd,
            "truth_every_s": truth_every_s,
        }
        for key, value in {**plain, **_sections(name, given, keys)}.items():
            object.__setattr__(self, key, value)
        check_world(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, source: str) -> World:
        """Build a world from parsed YAML; lists become tuples, an unknown key is an error.

        Parameters
        ----------
        mapping : Mapping
            Top-level keys, sections (mappings of their keys), and keys of sections given directly.
        source : str
            What the mapping came from, for the message.

        Raises
        ------
        ConfigError
            Naming `source`, the key and, for an unknown key, the nearest known one.

        Examples
        --------
        >>> World.from_mapping({"name": "w", "mechanisms": {"magnett": 1}}, source="w.yaml")
        Traceback (most recent call last):
        ...
        liqbt.errors.ConfigError: w.yaml: unknown key 'magnett', did you mean 'magnet'?
        """
        values = _flat(mapping, source)
        if "name" not in values:
            raise ConfigError(f"{source}: key 'name' is missing")
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None

    @property
    def magnet(self) -> float:
        """Strength of the planted magnet: `mechanisms.magnet`."""
        return self.mechanisms.magnet

    @property
    def steps(self) -> int:
        """Published steps."""
        return self.days * 86_400 // self.step_s

    @property
    def warmup_steps(self) -> int:
        """Steps before the first published instant."""
        return self.warmup_days * 86_400 // self.step_s

    @property
    def level_lots(self) -> float:
        """The level of open interest in lots, one side."""
        traders = self.traders
        return traders.open_interest_usd / self.initial_price_usd / traders.lot_coins

    @property
    def end_ns(self) -> Ns:
        """End of the published time, ns UTC (half-open)."""
        return self.start_ns + self.days * DAY_NS


def _sections(
    name: str, given: Mapping[str, Section | None], keys: Mapping[str, Any]
) -> dict[str, Section]:
    """Return the sections, with keys that were given directly put where they belong."""
    for key in keys:
        if key not in HOMES:
            raise ConfigError(f"world {name}: {_unknown(key)}")
    out: dict[str, Section] = {}
    for section, kind in SECTIONS.items():
        held = given[section]
        if held is not None and not isinstance(held, kind):
            raise ConfigError(f"world {name}: {section} is {held!r}, expected a {kind.__name__}")
        values = {} if held is None else {f.name: getattr(held, f.name) for f in fields(kind)}
        values |= {key: value for key, value in keys.items() if HOMES[key] == section}
        out[section] = kind(**values)
    return out


def _unknown(key: object) -> str:
    """Say which known key an unknown one is nearest to."""
    known = [f.name for f in fields(World)] + list(HOMES)
    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
    return f"unknown key {key!r}, did you mean {near[0]!r}?"


def _flat(mapping: object, source: str) -> dict[str, Any]:
    """Return every key of a mapping and of its sections; lists as tuples, faults as values."""
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{source}: expected a mapping, found {type(mapping).__name__}")
    out: dict[str, Any] = {}
    for key, value in mapping.items():
        if key in SECTIONS:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{source}: section {key!r} needs keys, found {value!r}")
            for inner in value:
                if inner not in HOMES:
                    raise ConfigError(f"{source}: {_unknown(inner)}")
                if HOMES[inner] != key:
                    raise ConfigError(
                        f"{source}: {inner!r} is in section {key!r}, expected {HOMES[inner]!r}"
                    )
        elif key not in HOMES and key not in {f.name for f in fields(World)}:
            raise ConfigError(f"{source}: {_unknown(key)}")
        for inner, item in value.items() if key in SECTIONS else ((key, value),):
            if inner in out:
                raise ConfigError(f"{source}: key {inner!r} is given twice")
            out[inner] = _value(inner, item, source)
    return out


def _value(key: str, value: Any, source: str) -> Any:
    """Return lists as tuples, a mapping of faults as `Faults`."""
    if isinstance(value, list):
        return tuple(value)
    if not (key.endswith("_faults") and isinstance(value, Mapping)):
        return value
    known = [f.name for f in fields(Faults)]
    for inner in value:
        if inner not in known:
            near = difflib.get_close_matches(str(inner), known, n=1, cutoff=0.0)
            raise ConfigError(
                f"{source}: unknown key {inner!r} in {key}, did you mean {near[0]!r}?"
            )
    return Faults(**value)

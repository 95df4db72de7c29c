"""What a simulated market is made of: one frozen, validated value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from liqbt.config.fields import Days, Seconds, complaint, instant_ns
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError
from liqbt.simulate.checks import check_world
from liqbt.simulate.sections import (
    STRICT,
    Above0,
    Count,
    Exchange,
    Feed,
    Mechanisms,
    Price,
    Section,
    Text,
    Traders,
    Whole,
    at_most,
)
from liqbt.types import DAY_NS

START_NS: Final = 1_735_689_600_000_000_000
"""2025-01-01 00:00 UTC, where a simulated market begins unless told otherwise."""

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


def _start(value: Any) -> Any:
    return instant_ns(value) if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True, config=STRICT)
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
    >>> World(name="w", days=0)
    Traceback (most recent call last):
    ...
    liqbt.errors.ConfigError: world w: key 'days': expected a value above 0, found 0
    """

    name: Text
    symbols: Annotated[tuple[Text, ...], Field(min_length=1)] = ("SIM",)
    venue: Text = "simulated"
    days: Annotated[Count, at_most(3660, "ten years"), Days] = 120
    warmup_days: Annotated[Whole, Days] = 10
    start_ns: Annotated[Whole, BeforeValidator(_start)] = START_NS
    step_s: Annotated[Count, Seconds] = 300
    substeps: Count = 5
    initial_price_usd: Above0 = 50_000.0
    truth_every_s: Annotated[Count, Seconds] = 3600
    price: Price = Price()
    traders: Traders = Traders()
    exchange: Exchange = Exchange()
    mechanisms: Mechanisms = Mechanisms()
    feed: Feed = Feed()

    if TYPE_CHECKING:  # keys of sections may be given directly

        def __init__(self, *, name: str, **keys: Any) -> None: ...

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> World:
        """Put keys of sections where they belong, and refuse in one sentence what is wrong."""
        keys: dict[str, Any] = dict(
            (value.kwargs if isinstance(value, ArgsKwargs) else value) or {}
        )
        try:
            world: World = handler(ArgsKwargs((), _placed(keys)))
            paths = {key: f"{section}.{key}" for key, section in HOMES.items()}
            values = {f.name: getattr(world, f.name) for f in fields(cls)}
            for name in SECTIONS:
                held = values.pop(name)
                values |= {f.name: getattr(held, f.name) for f in fields(held)}
            check_world(values, paths)
        except ValidationError as error:
            raise ConfigError(f"world {keys.get('name')}: {complaint(error, cls)}") from error
        except ValueError as error:
            raise ConfigError(f"world {keys.get('name')}: {error}") from error
        return world

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, source: str) -> World:
        """Build a world from parsed YAML; an unknown key is an error.

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
        >>> World.from_mapping({"name": "w", "magnett": 1}, source="w.yaml")
        Traceback (most recent call last):
        ...
        liqbt.errors.ConfigError: w.yaml: world w: unknown key 'magnett'; did you mean 'magnet'?
        """
        if not isinstance(mapping, Mapping):
            raise ConfigError(f"{source}: expected a mapping, found {type(mapping).__name__}")
        if "name" not in mapping:
            raise ConfigError(f"{source}: key 'name' is missing")
        try:
            return cls(**{str(key): value for key, value in mapping.items()})
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
    def end_ns(self) -> int:
        """End of the published time, ns UTC (half-open)."""
        return self.start_ns + self.days * DAY_NS


def _placed(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a world is given, each key in its section."""
    known = [f.name for f in fields(World)]
    out = {key: value for key, value in keys.items() if key in known}
    for section, kind in SECTIONS.items():
        held = out.get(section, {})
        direct = {key: value for key, value in keys.items() if HOMES.get(key) == section}
        if isinstance(held, Mapping):
            for key in held:
                if HOMES.get(key, section) != section:
                    raise ValueError(f"{key!r} is in section {section!r}, expected {HOMES[key]!r}")
                if key in direct:
                    raise ValueError(f"key {key!r} is given twice")
            out[section] = {**held, **direct}
        elif direct and isinstance(held, kind):
            out[section] = {f.name: getattr(held, f.name) for f in fields(kind)} | direct
    for key in keys:
        if key not in known and key not in HOMES:
            raise ValueError(f"unknown key {key!r}; {nearest(key, [*known, *HOMES])}")
    return out

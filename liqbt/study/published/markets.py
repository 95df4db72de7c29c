"""Which events of a log decide over the symbols of a file: price first, then what goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from liqbt.config.fields import complaint
from liqbt.config.schema import EvaluationOptions
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError, DataError
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.log.store import EventLog
from liqbt.study.trust import sampled_as
from liqbt.tape.values import Tape
from liqbt.types import Instrument, Kind

_PRICES: Final = (Kind.MARK, Kind.BAR, Kind.TRADE)
_BESIDE: Final = (Kind.BAR, Kind.OPEN_INTEREST)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredMarket:
    """One market of a file, and the events that decide over it.

    Attributes
    ----------
    symbol : str
        As the file calls it.
    price_kind : Kind
        The kind whose price is used: the mark, or what stands in for it.
    events : mapping of Kind to tuple of Instrument
        Price, and where the log has them bars and open interest.
    """

    symbol: str
    price_kind: Kind
    events: Mapping[Kind, tuple[Instrument, ...]]

    @property
    def spec(self) -> MarketSpec:
        """The market as estimators are told of it."""
        return MarketSpec(symbol=self.symbol, price_kind=self.price_kind)


def scored_market(
    log: EventLog, symbol: str, named: Mapping[str, Instrument], file: str
) -> ScoredMarket:
    """Return the events that decide over `symbol`.

    The instrument is the one that `named` gives, or the one that is called `symbol` (or
    `venue/symbol`) in the log and has a mark; a bar, then a trade, stands in where there is none.
    Bars and open interest are those of the same instrument, or of the only one of that name.

    Parameters
    ----------
    log : EventLog
        Where the events are.
    symbol : str
        As the file calls it.
    named : mapping of str to Instrument
        Instruments that the caller chose.
    file : str
        The file's name, for messages.

    Raises
    ------
    ConfigError, DataError
        If there is no such instrument with a price, or several venues have one.
    """
    held = log.info().instruments
    for kind in _PRICES:
        found = [i for i in held.get(kind, ()) if _means(i, symbol, named)]
        if len(found) > 1:
            raise ConfigError(
                f"{file}: symbol '{symbol}' has a {kind.name.lower()} at several venues of the log "
                f"{log.path}: {', '.join(map(str, found))}; choose one with --market "
                f"'{symbol}={found[0]}'"
            )
        if found:
            price = found[0]
            beside = {k: _same(held.get(k, ()), price) for k in _BESIDE if k != kind}
            events = {kind: (price,)} | {k: (i,) for k, i in beside.items() if i is not None}
            return ScoredMarket(symbol=symbol, price_kind=kind, events=events)
    known = sorted({str(i) for kind in _PRICES for i in held.get(kind, ())})
    wanted = str(named[symbol]) if symbol in named else symbol
    names = [*known, *(name.partition("/")[2] for name in known)]
    raise DataError(
        f"{file}: the log {log.path} has no price of '{wanted}'; {nearest(wanted, names)}"
        if known
        else f"{file}: the log {log.path} has no price at all: no mark, bar or trade"
    )


def _means(instrument: Instrument, symbol: str, named: Mapping[str, Instrument]) -> bool:
    if symbol in named:
        return instrument == named[symbol]
    return symbol in (instrument.symbol, str(instrument))


def _same(held: Sequence[Instrument], price: Instrument) -> Instrument | None:
    """Return the price's own instrument among those held, or the only one of its name."""
    if price in held:
        return price
    alike = [i for i in held if i.symbol == price.symbol]
    return alike[0] if len(alike) == 1 else None


def map_params(market: ScoredMarket, tape: Tape) -> MapParams:
    """Return the defaults of every map, with σ sampled no finer than the price feed.

    Raises
    ------
    DataError
        If prices are more than four hours apart.
    """
    kind = market.price_kind
    return MapParams(sigma_sampling=sampled_as(tape, kind, str(market.events[kind][0])))


def score_options(*, horizons: str | None = None, latency: str | None = None) -> EvaluationOptions:
    """Return the protocol with other horizons or another latency.

    Parameters
    ----------
    horizons : str, optional
        Durations with commas between them, such as `4h,24h`.
    latency : str, optional
        Such as `1min`: from issue to the first moment watched.

    Raises
    ------
    ConfigError
        If one is no duration, or horizons do not rise; names the key.

    Examples
    --------
    >>> [h // 3_600_000_000_000 for h in score_options(horizons="4h,24h").horizons]
    [4, 24]
    """
    given: dict[str, object] = {}
    if horizons is not None:
        given["horizons"] = tuple(word.strip() for word in horizons.split(","))
    if latency is not None:
        given["latency"] = latency
    try:
        return EvaluationOptions.model_validate(given)
    except ValidationError as error:
        option = error.errors(include_url=False)[0]["loc"][0]
        raise ConfigError(f"--{option}: {complaint(error, EvaluationOptions)}") from error


def instrument_names(pairs: Iterable[str]) -> dict[str, Instrument]:
    """Return instruments by symbol from texts such as `BTC=binance-um/BTCUSDT`.

    Raises
    ------
    ConfigError
        If a text is not of that form, or names a symbol twice.

    Examples
    --------
    >>> instrument_names(["BTC=binance-um/BTCUSDT"])["BTC"].venue
    'binance-um'
    """
    found: dict[str, Instrument] = {}
    for pair in pairs:
        symbol, _, text = pair.partition("=")
        venue, _, name = text.partition("/")
        if not (symbol and venue and name):
            raise ConfigError(f"--market: found '{pair}'; expected SYMBOL=VENUE/NAME")
        if symbol in found:
            raise ConfigError(f"--market: '{symbol}' is given twice")
        found[symbol] = Instrument(venue, name)
    return found

"""What a command line says of a scoring, as values."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from liqbt.errors import ConfigError
from liqbt.experiment.schema import EvaluationOptions
from liqbt.types import Instrument

__all__ = ["instrument_names", "score_options"]


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
        first = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--{first['loc'][0]}: {said}") from error


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

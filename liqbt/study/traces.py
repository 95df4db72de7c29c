"""Everything that a pipeline issued, item by item, so that audits can compare it bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.evaluation.config import PRIMARY_NS, horizon_name
from liqbt.evaluation.covariates import COVARIATES
from liqbt.evaluation.evidence import LEVELS, Evidence
from liqbt.learn.models import VisitPredictions
from liqbt.types import Forecast, Ns

_KNOWN_LATER: Final = frozenset({"scored", "visited"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTrace:
    """One item that a pipeline issued, for audits.

    Attributes
    ----------
    at : int
        Time of issue, ns.
    what : str
        Such as `forecast BTC`.
    fields : mapping of str to bytes
        Its fields; equal bytes are bit-identical.
    """

    at: Ns
    what: str
    fields: Mapping[str, bytes]


def forecast_items(
    symbol: str, forecasts: Sequence[Forecast], what: str = "forecast"
) -> list[AuditTrace]:
    """Return forecasts as items, in the order given."""
    named = f"{what} {symbol}"
    return [AuditTrace(at=f.at, what=named, fields=forecast_fields(f)) for f in forecasts]


def derived_items(evidence: Evidence) -> list[AuditTrace]:
    """Return what follows from the forecasts of one market, in order of time.

    The structural maps beside them, the calibrated tilts, p̂ of the clusters that count, the
    covariates of landmarks and what the models made of them, and probabilities of visits.
    """
    (market,) = evidence.markets
    items: list[AuditTrace] = []
    for name, maps in market.competing_maps.items():
        items += forecast_items(market.symbol, maps, what=f"{name} map")
    items += _tilts(evidence, market.symbol)
    items += _placebo(evidence, market.symbol)
    items += _predicted(evidence, market.symbol)
    if PRIMARY_NS in evidence.config.horizons_ns:
        for kind in LEVELS:
            rows, issued = evidence.levels(kind)
            items += _levels(f"P(visit) of {kind} {market.symbol}", rows, issued)
        items += _chances(evidence, market.symbol)
    return items


def _tilts(evidence: Evidence, symbol: str) -> Iterator[AuditTrace]:
    for row in evidence.first_sides:
        yield AuditTrace(
            at=int(row["at"]),
            what=f"first-side tilt {symbol} {horizon_name(int(row['horizon_ns']))}",
            fields={name: row[name].tobytes() for name in ("theta", "up", "down", "asymmetry")},
        )


def _placebo(evidence: Evidence, symbol: str) -> Iterator[AuditTrace]:
    """Yield p̂ of the clusters born at each time, of one horizon: the primary one, or the first.

    On the others it is fitted to the same path on the same schedule.
    """
    horizons = evidence.config.horizons_ns
    horizon_ns = PRIMARY_NS if PRIMARY_NS in horizons else horizons[0]
    outcomes = evidence.observed.outcomes
    born = (outcomes["birth"] | outcomes["densest_birth"]) & (outcomes["horizon_ns"] == horizon_ns)
    rows = outcomes[born]
    p, mirror = evidence.placebo_of(rows, 0, horizon_ns)
    ends = np.append(np.flatnonzero(np.diff(rows["at"])) + 1, len(rows))
    for start, stop in pairwise([0, *ends.tolist()] if len(rows) else []):
        yield AuditTrace(
            at=int(rows["at"][start]),
            what=f"placebo probability {symbol} {horizon_name(horizon_ns)}",
            fields={"p": p[start:stop].tobytes(), "mirror": mirror[start:stop].tobytes()},
        )


def _predicted(evidence: Evidence, symbol: str) -> Iterator[AuditTrace]:
    """Yield the covariates of each landmark, and what the models made of them.

    Of the first side it is the tilt: its base is taken over the time really watched, which is known
    only afterwards. Cascades have a base of past frequencies, so that it is the probability.
    """
    table, found = evidence.models
    for i, row in enumerate(table):
        at = int(row["at"])
        fields = {name: row[name].tobytes() for name in COVARIATES}
        yield AuditTrace(at=at, what=f"covariates {symbol}", fields=fields)
        models = {f"first_side.{name}": one.tilt for name, one in found.first_side.items()}
        models |= {f"cascade.{name}": one.p for name, one in found.cascade.items()}
        models |= {f"large_move.{name}": one.p for name, one in found.large_move.items()}
        yield AuditTrace(
            at=at,
            what=f"direction models {symbol}",
            fields={name: values[i].tobytes() for name, values in models.items()},
        )


def _levels(what: str, rows: npt.NDArray[Any], issued: VisitPredictions) -> Iterator[AuditTrace]:
    """Yield what was known and issued at each time."""
    ends = np.append(np.flatnonzero(np.diff(rows["at"])) + 1, len(rows))
    known = [name for name in rows.dtype.names or () if name not in _KNOWN_LATER]
    for start, stop in pairwise([0, *ends.tolist()] if len(rows) else []):
        mine = rows[start:stop]
        fields = {name: mine[name].tobytes() for name in known}
        fields |= {f"p.{name}": p[start:stop].tobytes() for name, p in issued.p.items()}
        yield AuditTrace(at=int(mine["at"][0]), what=what, fields=fields)


def _chances(evidence: Evidence, symbol: str) -> Iterator[AuditTrace]:
    """Yield P(visit) of every cluster, and of random levels there, time by time."""
    rows = evidence.chances
    ends = np.append(np.flatnonzero(np.diff(rows["at"])) + 1, len(rows))
    for start, stop in pairwise([0, *ends.tolist()] if len(rows) else []):
        fields = {name: rows[name][start:stop].tobytes() for name in ("p", "p_placebo")}
        what = f"P(visit) of current clusters {symbol}"
        yield AuditTrace(at=int(rows["at"][start]), what=what, fields=fields)


def forecast_fields(forecast: Forecast) -> dict[str, bytes]:
    """Return every field of a forecast as bytes."""
    fields: dict[str, bytes] = {}
    for name in Forecast.__dataclass_fields__:
        value = getattr(forecast, name)
        if isinstance(value, np.ndarray):
            fields[name] = value.tobytes()
        elif isinstance(value, float):
            fields[name] = np.float64(value).tobytes()
        else:
            fields[name] = repr(value).encode()
    return fields

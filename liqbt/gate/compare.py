"""Two runs side by side: what they were made of, until when they agree, how their scores differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liqbt.evaluation.paired import PairedDifference
from liqbt.gate.identity import IdentityDifference, identity_differences, identity_of
from liqbt.gate.rules import pair, row_days
from liqbt.study.store import Key, Run, key_of
from liqbt.study.traces import AuditTrace, forecast_items
from liqbt.types import Ns, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCompared:
    """One row of scores of two runs.

    Attributes
    ----------
    key : Key
        Which row.
    a, b : Score or None
        The two rows; None where a run has none.
    change : float
        The value of b less that of a; NaN where one has none.
    paired : PairedDifference or None
        Interval of the difference by common days, where both have the outcomes for it.
    """

    key: Key
    a: Score | None
    b: Score | None
    change: float
    paired: PairedDifference | None

    @property
    def differs(self) -> bool:
        """Whether anything in the two rows differs."""
        return repr(self.a) != repr(self.b)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastsCompared:
    """The forecasts of one market in two runs.

    Attributes
    ----------
    n_a, n_b : int
        How many were issued.
    n_equal : int
        How many are equal before the first that differs.
    until : int or None
        Time of issue of the first that differs, ns; None where all are equal.
    field : str
        Its first field that differs; `issued` where one of the two has none.
    """

    n_a: int
    n_b: int
    n_equal: int
    until: Ns | None
    field: str

    @property
    def equal(self) -> bool:
        """Whether all are, bit for bit."""
        return self.until is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs side by side.

    Attributes
    ----------
    identity : tuple of IdentityDifference
        What they were made of, where it differs (`base` is a).
    forecasts : mapping of str to ForecastsCompared
        By symbol, of a further estimator by NAME/symbol.
    rows : tuple of RowCompared
        Every row of either.
    """

    identity: tuple[IdentityDifference, ...]
    forecasts: Mapping[str, ForecastsCompared]
    rows: tuple[RowCompared, ...]


def compare(a: Run, b: Run) -> Comparison:
    """Put two runs side by side.

    Parameters
    ----------
    a, b : Run
        From `open_run`.
    """
    one, other = ({key_of(score): score for score in run.scores} for run in (a, b))
    keys = [*one, *(key for key in other if key not in one)]
    differing = [
        key for key in keys if key in one and key in other and repr(one[key]) != repr(other[key])
    ]
    days = (row_days(b, differing), row_days(a, differing)) if differing else ({}, {})
    paired = pair(*days)
    issued = sorted({*a.manifest["forecasts"], *b.manifest["forecasts"]})
    return Comparison(
        identity=tuple(identity_differences(identity_of(a), identity_of(b))),
        forecasts={name: _forecasts(a, b, name) for name in issued},
        rows=tuple(_row(key, one.get(key), other.get(key), paired.get(key)) for key in keys),
    )


def _row(
    key: Key, a: Score | None, b: Score | None, paired: PairedDifference | None
) -> RowCompared:
    change = math.nan if a is None or b is None else b.value - a.value
    return RowCompared(key=key, a=a, b=b, change=change, paired=paired)


def _issued(run: Run, name: str) -> list[AuditTrace]:
    """Return what a run holds under the name of a market, or of an estimator and a market."""
    if name not in run.manifest["forecasts"]:
        return []
    estimator, _, symbol = (
        ("", "", name) if name in run.manifest["symbols"] else name.partition("/")
    )
    return forecast_items(symbol, run.forecasts(symbol, estimator or None))


def _forecasts(a: Run, b: Run, name: str) -> ForecastsCompared:
    one, other = _issued(a, name), _issued(b, name)
    for i, (old, new) in enumerate(zip(one, other, strict=False)):
        if old != new:
            field = "issued" if old.at != new.at else _first_field(old.fields, new.fields)
            return _compared(one, other, i, min(old.at, new.at), field)
    n = min(len(one), len(other))
    if len(one) == len(other):
        return _compared(one, other, n, None, "")
    return _compared(one, other, n, (one if len(one) > n else other)[n].at, "issued")


def _first_field(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> str:
    return next(name for name in old if old[name] != new.get(name))


def _compared(
    one: list[Any], other: list[Any], n_equal: int, until: Ns | None, field: str
) -> ForecastsCompared:
    return ForecastsCompared(
        n_a=len(one),
        n_b=len(other),
        n_equal=n_equal,
        until=until,
        field=field,
    )

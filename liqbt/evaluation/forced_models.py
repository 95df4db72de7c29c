"""What a map adds to what the path says of forced notional: regressions that walk forward.

The unit is an hour and a side (`CROSSING_DTYPE`); the response is ln(1 + USD/s), s the median of
what was forced where something was. Every model knows the hour's own path, its season, and what was
forced before; maps and their stand-ins enter beside that through ln(1 + mass crossed/s'). Models
are fitted anew each day to everything that was known when it began, by least squares with a weak
ridge; medians and scales are those of the first fortnight, in which nothing is scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.types import DAY_NS, HOUR_NS, FloatArray, IntArray, Ns

FIRST_DAYS: Final = 14
"""Nothing is scored in the first days of a record: they are learnt from."""
RIDGE: Final = 1.0
"""Precision of the prior on every coefficient but the constant, in standardised units."""

PATH: Final = (
    "one", "side", "reach", "log_reach", "opposite", "log_opposite", "move", "realised",
    "log_realised", "log_sigma", "past_day", "past_week", "day_sine", "day_cosine", "weekend",
    "forced_1h", "other_1h", "forced_24h", "other_24h",
)  # fmt: skip
"""What every model knows of an hour and side: see `CROSSING_DTYPE`. `forced_*` and `other_*` are
the response of the hour before, and its mean over the day before, of this side and of the other."""
_SCALES: Final = {"": 1.0, "_fine": 0.1, "_coarse": 10.0}
"""At how many medians a stand-in bends. What is forced does not follow ln(1 + mass/s') of any: a
map that knows the path alone, but bends elsewhere, would tell beside one that bends once."""


def _scaled(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{suffix}" for name in names for suffix in _SCALES)


STAND_INS: Final = _scaled("uniform", "kernel", "fresh_2h", "fresh_24h")
"""Maps that know the path alone, each at three scales; `uniform` and the like are at the median."""
TWIN: Final = _scaled("twin")
"""The price-only twin, at three scales."""
MAPS: Final = (*STAND_INS, *TWIN, "map")
"""What may stand beside the path, by name."""

_GAMMA_STEPS: Final = (8, 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class ForcedModels:
    """The hours of one market and everything that a model may know of them.

    Attributes
    ----------
    table : ndarray of CROSSING_DTYPE
        Two rows an hour.
    response : ndarray of float64, shape (n,)
        ln(1 + USD/s).
    columns : ndarray of float64, shape (n, k)
        `PATH`, then `MAPS`, each but the constant less its mean over its deviation.
    usable_day : ndarray of int64, shape (n,)
        The first UTC day before which a row was known: from then on it is learnt from.
    scored : ndarray of bool, shape (n,)
        Rows after the first fortnight, that are not there to be learnt from alone.
    """

    table: npt.NDArray[Any]
    response: FloatArray
    columns: FloatArray
    usable_day: IntArray
    scored: npt.NDArray[np.bool_]
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def at(self) -> IntArray:
        """Starts of the hours, ns."""
        return np.asarray(self.table["at"])

    @property
    def has_twin(self) -> bool:
        """Whether the twin had a map in these hours."""
        return bool(np.isfinite(self.table["twin_usd"]).any())

    def beside(self, maps: Sequence[str]) -> FloatArray:
        """Return what a model with the path and these maps knows of each row, (n, k)."""
        return np.asarray(self.columns[:, _places(tuple(maps))])

    def fitted(self, beside: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Return what the model with the path and these maps expects of each row, and its variance.

        Both rest on rows that were known before the row's day; of a row before which none was, they
        are those of the first fit, and it is not scored.
        """
        key = tuple(beside)
        if key not in self._made:
            self._made[key] = self._fit(_places(key))
        found: tuple[FloatArray, FloatArray] = self._made[key]
        return found

    def _fit(self, place: IntArray) -> tuple[FloatArray, FloatArray]:
        squares, crosses, responses, counts, fit_of = self._sums()
        gram, cross = squares[:, place[:, None], place], crosses[:, place]
        prior = np.full(len(place), RIDGE)
        prior[0] = 1e-9
        beta = np.linalg.solve(gram + np.diag(prior), cross[:, :, None])
        left = responses - 2.0 * (beta[:, :, 0] * cross).sum(axis=1)
        left += ((gram @ beta) * beta).sum(axis=(1, 2))
        variance = np.maximum(left, 1e-9) / np.maximum(counts - len(place), 1.0)
        expected = (self.columns[:, place] * beta[fit_of, :, 0]).sum(axis=1)
        return np.asarray(expected), np.asarray(variance[fit_of])

    def _sums(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]:
        """Return cross products of all rows known before each fit, and the fit of each row."""
        if "sums" not in self._made:
            starts = np.flatnonzero(np.diff(self.usable_day, prepend=self.usable_day[0] - 1))
            stops = np.append(starts[1:], len(self.usable_day))
            x, y = self.columns, self.response
            parts = [slice(a, b) for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
            squares = np.cumsum([x[p].T @ x[p] for p in parts], axis=0)
            crosses = np.cumsum([x[p].T @ y[p] for p in parts], axis=0)
            responses = np.cumsum(np.add.reduceat(y * y, starts))
            day = self.at // DAY_NS
            fit = np.searchsorted(self.usable_day[starts], day, "right") - 1
            self._made["sums"] = (
                squares, crosses, responses, stops.astype(np.float64), np.maximum(fit, 0)
            )  # fmt: skip
        found: tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray] = self._made["sums"]
        return found

    def information(self, full: Sequence[str], other: Sequence[str]) -> FloatArray:
        """Return what `full` tells beyond `other`, which it contains, of each scored row, nats.

        ½ e (ŷ_full − ŷ_other)/s², e and s² the residual and variance of `other`. Its mean is the
        information gain of Gaussian models whose coefficients are known: out of sample it is 0 for
        maps that tell nothing, while a realised gain is below it by what it costs to estimate one
        coefficient more. It is half the statistic of Harvey, Leybourne and Newbold (1998), Tests
        for forecast encompassing; of nested models, of Clark and West (2007), Approximately normal
        tests for equal predictive accuracy in nested models.
        """
        expected, variance = self.fitted(other)
        apart = self.fitted(full)[0] - expected
        return np.asarray(0.5 * (self.response - expected) * apart / variance)[self.scored]

    def realised(self, one: Sequence[str], other: Sequence[str]) -> FloatArray:
        """Return the log score of one model less that of another of each scored row, nats.

        Gaussian log scores (Good 1952) of what either model stated, each with its own variance.
        """
        scores = []
        for beside in (one, other):
            expected, variance = self.fitted(beside)
            square = (self.response - expected) ** 2
            scores.append(-0.5 * np.log(variance) - 0.5 * square / variance)
        return np.asarray(scores[0] - scores[1])[self.scored]

    def gamma(self, full: Sequence[str], other: Sequence[str]) -> FloatArray:
        """Return the realised gain of `full` over `other` in a gamma model, of scored rows, nats.

        Of 1 + USD/s, with a logarithmic link, fitted each week by Fisher scoring (McCullagh and
        Nelder 1989, Generalized linear models, section 8.3.5); the shape is 1 over the dispersion
        of `other`'s past. Hours of hundreds of times the median weigh in it by their size.
        """
        size = np.exp(self.response)
        found = [self._gamma_means(_places(tuple(beside))) for beside in (full, other)]
        means, shape = [mean for mean, _ in found], found[1][1]
        gain = (np.log(means[1]) - np.log(means[0])) + size * (1.0 / means[1] - 1.0 / means[0])
        return np.asarray(shape * gain)[self.scored]

    def _gamma_means(self, place: IntArray) -> tuple[FloatArray, FloatArray]:
        x, size = self.columns[:, place], np.exp(self.response)
        day = self.at // DAY_NS
        week = (day - int(day[0])) // 7
        mean, shape = np.ones(len(size)), np.ones(len(size))
        prior = np.full(len(place), RIDGE)
        prior[0] = 1e-9
        beta, steps = None, _GAMMA_STEPS[0]
        for each in np.unique(week[self.scored]):
            mine = week == each
            past = self.usable_day <= int(day[mine][0])
            known = x[past]
            gram = known.T @ known + np.diag(prior)
            if beta is None:
                beta = np.linalg.solve(gram, known.T @ self.response[past])
            for _ in range(steps):
                expected = np.exp(np.clip(known @ beta, -2.0, 12.0))
                slope = known.T @ (size[past] / expected - 1.0) - prior * beta
                beta = beta + np.linalg.solve(gram, slope)
            steps = _GAMMA_STEPS[1]
            left = size[past] / np.exp(np.clip(known @ beta, -2.0, 12.0)) - 1.0
            mean[mine] = np.exp(np.clip(x[mine] @ beta, -2.0, 12.0))
            shape[mine] = 1.0 / max(float(np.mean(left * left)), 1e-9)
        return mean, shape


def _places(beside: tuple[str, ...]) -> IntArray:
    """Return the columns of a model: the path, then its maps."""
    return np.concatenate(
        [np.arange(len(PATH)), [len(PATH) + MAPS.index(name) for name in beside]]
    ).astype(np.int64)


def forced_models(table: npt.NDArray[Any], scored_from: Ns) -> ForcedModels | None:
    """Return what models of one market's forced notional are made of; None where it is too short.

    Parameters
    ----------
    table : ndarray of CROSSING_DTYPE
        Of one market, two rows an hour; hours in which the twin has no map, though it has one in
        others, are left out.
    scored_from : int
        Rows before it are learnt from alone, ns.
    """
    known = np.isfinite(table["twin_usd"])
    rows = table[known] if known.any() else table
    if not len(rows):
        return None
    first = int(rows["at"][0]) // DAY_NS
    day = np.asarray(rows["at"]) // DAY_NS
    scored = (day >= first + FIRST_DAYS) & (rows["at"] >= scored_from)
    early = rows["at"] < (first + FIRST_DAYS) * DAY_NS
    if not scored.any() or not (rows["forced_usd"][early] > 0.0).any():
        return None
    response = _logged(rows["forced_usd"], early)
    columns = np.column_stack(
        [
            *_path_columns(rows, response),
            *_map_columns(rows, early),
        ]
    )
    centre, width = columns[early].mean(axis=0), columns[early].std(axis=0)
    centre[0], width[0] = 0.0, 1.0
    usable = -(-np.maximum.accumulate(rows["known_ns"]) // DAY_NS)
    return ForcedModels(
        table=rows,
        response=response,
        columns=(columns - centre) / np.where(width > 0.0, width, 1.0),
        usable_day=usable.astype(np.int64),
        scored=scored,
    )


def _logged(values: FloatArray, early: npt.NDArray[np.bool_], scale: float = 1.0) -> FloatArray:
    """Return ln(1 + value/s), s so many medians of what is positive early on; NaN counts as 0."""
    held = np.nan_to_num(values)
    positive = held[early & (held > 0.0)]
    return np.log1p(held / (scale * float(np.median(positive)) if len(positive) else 1.0))


def _map_columns(rows: npt.NDArray[Any], early: npt.NDArray[np.bool_]) -> Iterator[FloatArray]:
    """Yield the columns of `MAPS`."""
    for name in ("uniform", "kernel", "fresh_2h", "fresh_24h", "twin_usd"):
        for scale in _SCALES.values():
            yield _logged(rows[name], early, scale)
    yield _logged(rows["map_usd"], early)


def _path_columns(rows: npt.NDArray[Any], response: FloatArray) -> list[FloatArray]:
    """Return the columns of `PATH`."""
    angle = 2.0 * np.pi * (rows["at"] % DAY_NS) / DAY_NS
    weekend = (rows["at"] // DAY_NS + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    return [
        np.ones(len(rows)),
        rows["side"].astype(np.float64),
        rows["reach"],
        np.log1p(rows["reach"]),
        rows["opposite"],
        np.log1p(rows["opposite"]),
        rows["move"],
        rows["realised"],
        np.log1p(rows["realised"]),
        np.log(rows["sigma_1d"]),
        np.log1p(rows["past_day"]),
        np.log1p(rows["past_week"]),
        np.sin(angle),
        np.cos(angle),
        weekend.astype(np.float64),
        *_persistence(rows["at"][::2] // HOUR_NS, response.reshape(-1, 2)),
    ]


def _persistence(hour: IntArray, response: FloatArray) -> list[FloatArray]:
    """Return the response of the hour before and of the day before, of both sides; 0 if unknown."""
    place = hour - int(hour[0])
    held = np.zeros((int(place[-1]) + 1, 2))
    seen = np.zeros(len(held))
    held[place], seen[place] = response, 1.0
    before = np.where(place[:, None] > 0, held[np.maximum(place - 1, 0)], 0.0)
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(held, axis=0)])
    counts = np.concatenate([[0.0], np.cumsum(seen)])
    back = np.maximum(place - 24, 0)
    day = (sums[place] - sums[back]) / np.maximum(counts[place] - counts[back], 1.0)[:, None]
    return [both.ravel() for one in (before, day) for both in (one, one[:, ::-1])]

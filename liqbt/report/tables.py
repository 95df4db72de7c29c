"""The page's tables as rows of text: every cell is written here, the templates only lay out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from liqbt.report import formatting as fmt
from liqbt.report.select import PRIMARY, find, horizons, in_nats, main_symbol, score_symbols
from liqbt.types import Cluster, Forecast, Score, Side

if TYPE_CHECKING:
    from liqbt.study.store import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRow:
    """A cluster as its reader meets it.

    Attributes
    ----------
    cluster : Cluster
        The cluster itself.
    near_edge : float
        The edge that the price would meet first, USD.
    distance : float
        near_edge / mark − 1, a signed fraction: positive above the mark.
    distance_sigma : float
        |ln(near_edge / mark)| in standard deviations of one day's log return.
    """

    cluster: Cluster
    near_edge: float
    distance: float
    distance_sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The rows of one forecast within reach, top of the page first.

    Attributes
    ----------
    above, below : tuple of LevelRow
        Shorts above the mark and longs below it, each in falling price.
    n_above_omitted, n_below_omitted : int
        How many more clusters there are further out on each side.
    """

    above: tuple[LevelRow, ...]
    below: tuple[LevelRow, ...]
    n_above_omitted: int
    n_below_omitted: int


def level_rows(forecast: Forecast, side: Side) -> list[LevelRow]:
    """Return the forecast's clusters of one side, from the mark outward."""
    rows = []
    for i in range(len(forecast.clusters)):
        cluster = forecast.cluster(i)
        if cluster.side != side:
            continue
        edge = cluster.high if side == Side.LONG else cluster.low
        rows.append(
            LevelRow(
                cluster=cluster,
                near_edge=edge,
                distance=edge / forecast.mark - 1.0,
                distance_sigma=abs(math.log(edge / forecast.mark)) / forecast.sigma_1d,
            )
        )
    return sorted(rows, key=lambda row: abs(row.distance))


def nearest(forecast: Forecast, side: Side) -> LevelRow | None:
    """Return the nearest cluster of one side, or None where the side has none."""
    rows = level_rows(forecast, side)
    return rows[0] if rows else None


def levels(forecast: Forecast, most: int = 10) -> Levels:
    """Return the `most` nearest clusters of each side, in falling price."""
    above = level_rows(forecast, Side.SHORT)
    below = level_rows(forecast, Side.LONG)
    return Levels(
        above=tuple(reversed(above[:most])),
        below=tuple(below[:most]),
        n_above_omitted=max(0, len(above) - most),
        n_below_omitted=max(0, len(below) - most),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table ready to lay out.

    Attributes
    ----------
    head : tuple of str
        Column headings, with units.
    rows : tuple of tuple of str
        Cells, as many as headings.
    text_columns : int
        How many of the first columns are words; the others are numbers.
    strong : tuple of int
        Rows that are set apart.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int
    strong: tuple[int, ...] = ()


def _points(score: Score | None) -> str:
    if score is None:
        return fmt.DASH
    return fmt.estimate(score.value, score.ci_low, score.ci_high, scale=100, signed=True)


def _mde(score: Score | None, scale: float) -> str:
    if score is None or math.isnan(score.mde):
        return fmt.DASH
    return fmt.fixed(score.mde * scale, fmt.decimals_for(score.mde * scale))


def _visit_cells(scores: Sequence[Score], symbol: str, horizon: str, suffix: str) -> list[str]:
    """Write hit rate, null, both lifts and the detectable mirror lift."""
    hit = find(scores, f"hit_rate{suffix}", symbol, horizon)
    mirror = find(scores, f"mirror_lift{suffix}", symbol, horizon)
    rate = null = fmt.DASH
    if hit is not None:
        rate = fmt.estimate(hit.value, hit.ci_low, hit.ci_high, scale=100)
        null = fmt.fixed(hit.null * 100, 1)
    walk = _points(find(scores, f"brownian_lift{suffix}", symbol, horizon))
    return [rate, null, walk, _points(mirror), _mde(mirror, 100.0)]


def _unit_cells(scores: Sequence[Score], symbol: str, horizon: str, suffix: str) -> list[str]:
    hit = find(scores, f"hit_rate{suffix}", symbol, horizon)
    if hit is None:
        return [fmt.DASH, fmt.DASH]
    return [fmt.count(hit.n_episodes), fmt.count(hit.n_days)]


def _skill_cell(scores: Sequence[Score], symbol: str, horizon: str) -> str:
    skill = find(scores, "first_side_skill", symbol, horizon)
    if skill is None:
        return fmt.DASH
    return fmt.estimate(skill.value, skill.ci_low, skill.ci_high, signed=True)


_VISIT_HEAD = (
    "Hit rate, % [95%]",
    "Null, %",
    "Lift over random walk, points",
    "Lift over mirror, points",
    "Detectable mirror lift, points",
)


def _keys(run: Run) -> list[tuple[str, str]]:
    return [(s, h) for s in score_symbols(run) for h in horizons(run.scores)]


def _primary(keys: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    return tuple(i for i, (_, horizon) in enumerate(keys) if horizon == PRIMARY)


def score_table(run: Run) -> Table:
    """Return hit rate, null, lifts and skill for each market and horizon, both sides together."""
    keys = _keys(run)
    return Table(
        head=("Market", "Horizon", *_VISIT_HEAD, "First-side skill, nats", "Episodes", "Days"),
        rows=tuple(
            (
                fmt.one_line(s),
                fmt.horizon_words(h),
                *_visit_cells(run.scores, s, h, ""),
                _skill_cell(run.scores, s, h),
                *_unit_cells(run.scores, s, h, ""),
            )
            for s, h in keys
        ),
        text_columns=2,
        strong=_primary(keys),
    )


def subset_table(run: Run, suffix: str) -> Table | None:
    """Return the same of some clusters alone, or None where the run does not score them.

    Parameters
    ----------
    run : Run
        A finished run.
    suffix : str
        `_dense` (the top fifth of their side and distance band) or `_densest` (those that the
        densest eligible cluster of a forecast began).
    """
    if not any(score.statistic == f"hit_rate{suffix}" for score in run.scores):
        return None
    keys = _keys(run)
    return Table(
        head=("Market", "Horizon", *_VISIT_HEAD, "Episodes", "Days"),
        rows=tuple(
            (
                fmt.one_line(s),
                fmt.horizon_words(h),
                *_visit_cells(run.scores, s, h, suffix),
                *_unit_cells(run.scores, s, h, suffix),
            )
            for s, h in keys
        ),
        text_columns=2,
        strong=_primary(keys),
    )


def learnt_table(run: Run) -> Table | None:
    """Return what is left over the learnt null, or None where the run does not score against it.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    if not any(score.statistic == "level_lift" for score in run.scores):
        return None
    keys = _keys(run)
    head = (
        "Observed over expected [95%]",
        "Level lift, points",
        "of dense",
        "of the densest",
        "Mirror, learnt null out, points",
        "of the densest",
    )
    lifts = ("level_lift", "level_lift_dense", "level_lift_densest")
    columns = (*lifts, "mirror_lift_did", "mirror_lift_did_densest")
    return Table(
        head=("Market", "Horizon", *head, "Episodes", "Days"),
        rows=tuple(
            (
                fmt.one_line(s),
                fmt.horizon_words(h),
                _ratio_cell(find(run.scores, "observed_over_expected", s, h)),
                *(_points(find(run.scores, name, s, h)) for name in columns),
                *_unit_cells(run.scores, s, h, ""),
            )
            for s, h in keys
        ),
        text_columns=2,
        strong=_primary(keys),
    )


def _ratio_cell(score: Score | None) -> str:
    if score is None:
        return fmt.DASH
    return fmt.estimate(score.value, score.ci_low, score.ci_high)


def bands_table(run: Run) -> Table:
    """Return the rates by distance band, as the figure draws them, for every market."""
    order = {symbol: i for i, symbol in enumerate(score_symbols(run))}
    rows = [row for row in run.bands if row["symbol"] in order]
    rows.sort(
        key=lambda r: (
            order[r["symbol"]],
            fmt.horizon_hours(str(r["horizon"])),
            float(r["band_low"]),
        )
    )
    return Table(
        head=("Market", "Horizon", "Distance, σ", "Hit rate, % [95%]", "Null, %", "Mirror, %", "n"),
        rows=tuple(
            (
                fmt.one_line(str(r["symbol"])),
                fmt.horizon_words(str(r["horizon"])),
                f"{float(r['band_low']):g}–{float(r['band_high']):g}",
                fmt.estimate(
                    float(r["hit_rate"]), float(r["ci_low"]), float(r["ci_high"]), scale=100
                ),
                fmt.fixed(float(r["null"]) * 100, 1),
                fmt.fixed(float(r["mirror_rate"]) * 100, 1),
                fmt.count(int(r["n_episodes"])),
            )
            for r in rows
        ),
        text_columns=3,
    )


def flow_table(run: Run) -> Table:
    """Return the counts from snapshots to scored episodes."""
    keys = ("snapshots", "clusters", "inside", "eligible", "episodes", "censored", "scored")
    return Table(
        head=("Market", "Horizon", "Forecasts", *(key.capitalize() for key in keys[1:])),
        rows=tuple(
            (
                fmt.one_line(str(row["symbol"])),
                fmt.horizon_words(str(row["horizon"])),
                *(fmt.count(int(row[key])) for key in keys),
            )
            for row in run.flow
        ),
        text_columns=2,
    )


def _level_cells(row: LevelRow) -> tuple[str, ...]:
    cluster = row.cluster
    return (
        "short" if cluster.side == Side.SHORT else "long",
        fmt.price(cluster.low),
        fmt.price(cluster.high),
        fmt.price(cluster.peak),
        fmt.percent(row.distance, 2, signed=True),
        fmt.fixed(row.distance_sigma, 2),
        fmt.usd(cluster.notional_usd),
        fmt.fixed(cluster.density_rank, 2),
    )


def level_table(forecast: Forecast, mark_word: str) -> tuple[Table, str]:
    """Return the clusters of one forecast as a ladder around the mark, and what it leaves out."""
    ladder = levels(forecast)
    mark = (mark_word, "", "", fmt.price(forecast.mark), "", "", "", "")
    above = [_level_cells(row) for row in ladder.above]
    below = [_level_cells(row) for row in ladder.below]
    omitted = []
    for n, where in ((ladder.n_above_omitted, "above"), (ladder.n_below_omitted, "below")):
        if n:
            omitted.append(f"{fmt.count(n)} more {where}")
    missing = [
        f"no cluster {where}" for rows, where in ((above, "above"), (below, "below")) if not rows
    ]
    table = Table(
        head=(
            "Side",
            "Low",
            "High",
            "Peak",
            "Distance to near edge",
            "σ of one day",
            "Notional",
            "Density rank",
        ),
        rows=(*above, mark, *below),
        text_columns=1,
        strong=(len(above),),
    )
    return table, "; ".join([*missing, *omitted])


def sensitivity_table(run: Run) -> Table:
    """Return the headline market's scores under other choices, each below the one as configured.

    Both sides together. Left out: dense clusters alone, and the two readings of ties.
    """
    symbol = main_symbol(run)
    wanted = [Score(**{k: r[k] for k in _SCORE_FIELDS}) for r in run.sensitivities]
    named = [
        (str(row["name"]), score)
        for row, score in zip(run.sensitivities, wanted, strict=True)
        if score.symbol == symbol
        and score.side == "both"
        and not score.statistic.endswith(("_dense", "_low", "_high"))
    ]
    keys = dict.fromkeys((s.statistic, s.symbol, s.horizon, s.side) for _, s in named)
    rows: list[tuple[str, ...]] = []
    strong: list[int] = []
    for key in keys:
        base = find(run.scores, *key)
        if base is not None:
            strong.append(len(rows))
            rows.append(_sensitivity_row("as configured", base))
        same = [(n, s) for n, s in named if (s.statistic, s.symbol, s.horizon, s.side) == key]
        rows += [_sensitivity_row(name, score) for name, score in same]
    return Table(
        head=("Statistic", "Horizon", "Choice", "Value [95%]", "Null", "n"),
        rows=tuple(rows),
        text_columns=3,
        strong=tuple(strong),
    )


_SCORE_FIELDS = tuple(field.name for field in fields(Score))


def _sensitivity_row(name: str, score: Score) -> tuple[str, ...]:
    rate = score.statistic.startswith("hit_rate")
    nats = in_nats(score.statistic)
    scale = 1.0 if nats else 100.0
    unit = "nats" if nats else "%" if rate else "points"
    interval = (score.value, score.ci_low, score.ci_high)
    return (
        f"{fmt.one_line(score.statistic).replace('_', ' ')}, {unit}",
        fmt.horizon_words(score.horizon),
        fmt.one_line(name),
        fmt.estimate(*interval, scale=scale, signed=not rate),
        fmt.fixed(score.null * scale, 3 if nats else 1),
        fmt.count(score.n_episodes),
    )


_COLUMNS: Final = {
    "Alone, points [95%]": "dose_response_raw",
    "Beside trends": "dose_response",
    "Beside trends and chart structures": "dose_response_beside_structures",
}


def response_table(run: Run) -> Table | None:
    """Return the dose-response across the mark, or None where the run has none.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    if not any(score.statistic == "dose_response" for score in run.scores):
        return None
    keys = [(s, h) for s in score_symbols(run) for h in horizons(run.scores)]
    rows = []
    for symbol, horizon in keys:
        found = [find(run.scores, name, symbol, horizon) for name in _COLUMNS.values()]
        named = (fmt.one_line(symbol), fmt.horizon_words(horizon))
        rows.append((*named, *(_points(score) for score in found), *_counts(found[1])))
    return Table(
        head=("Market", "Horizon", *_COLUMNS, "Landmarks", "Days"),
        rows=tuple(rows),
        text_columns=2,
        strong=tuple(i for i, (_, horizon) in enumerate(keys) if horizon == PRIMARY),
    )


def _counts(score: Score | None) -> tuple[str, str]:
    if score is None:
        return fmt.DASH, fmt.DASH
    return fmt.count(score.n_episodes), fmt.count(score.n_days)


PROBABILITIES: Final = {
    "full": "with the map",
    "ablated": "without the map",
    "brownian": "random walk",
}
"""The probabilities of a visit by their names in a run."""

_DIRECTION: Final = {
    "The same model without asymmetry": "first_side_gain",
    "Equal chances": "first_side_over_coin",
    "Momentum": "first_side_over_momentum",
    "Sign of funding": "first_side_over_funding",
    "Nearest side": "first_side_over_nearest",
}
_VISITS: Final = {
    "Levels at set distances: over the same model without the map": "visit_gain",
    "over the random walk": "visit_gain_over_brownian",
    "Clusters: over the same model without the map": "cluster_visit_gain",
}


def direction_table(run: Run) -> Table | None:
    """Return what the asymmetry adds in telling which level is reached first, or None.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    return _gains(run, _DIRECTION, "first_side_gain", ("Landmarks",))


def visits_table(run: Run) -> Table | None:
    """Return what the map adds in telling whether a level is visited, or None.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    return _gains(run, _VISITS, "visit_gain", ("Levels",))


def _gains(
    run: Run, columns: Mapping[str, str], counted: str, unit: tuple[str, ...]
) -> Table | None:
    if not any(score.statistic == counted for score in run.scores):
        return None
    rows = []
    for symbol in score_symbols(run):
        found = [find(run.scores, name, symbol, PRIMARY) for name in columns.values()]
        main = found[0]
        counts = (fmt.DASH, fmt.DASH, fmt.DASH)
        if main is not None:
            decimals = fmt.decimals_for(1000.0 * main.mde)
            detectable = fmt.fixed(1000.0 * main.mde, decimals)
            counts = (detectable, fmt.count(main.n_episodes), fmt.count(main.n_days))
        rows.append((fmt.one_line(symbol), *(_millinats(score) for score in found), *counts))
    return Table(
        head=("Market", *columns, "Detectable (first column)", *unit, "Days"),
        rows=tuple(rows),
        text_columns=1,
    )


def _millinats(score: Score | None) -> str:
    if score is None:
        return fmt.DASH
    return fmt.estimate(score.value, score.ci_low, score.ci_high, scale=1000.0, signed=True)


def brier_table(run: Run) -> Table | None:
    """Return the parts of the Brier scores of clusters' probabilities, or None where none is.

    Parameters
    ----------
    run : Run
        A finished run.
    """
    if not run.corp:
        return None
    keys = ("score", "miscalibration", "discrimination", "uncertainty")
    return Table(
        head=("Probability of a visit", "Brier score", *(key.capitalize() for key in keys[1:])),
        rows=tuple(
            (
                PROBABILITIES.get(str(row["probability"]), fmt.one_line(str(row["probability"]))),
                *(fmt.fixed(float(row[key]), 4) for key in keys),
            )
            for row in run.corp
        ),
        text_columns=1,
    )

"""The page's tables as rows of text: every cell is written here, the templates only lay out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from liqbt.report import words
from liqbt.report.levels import LevelRow, levels
from liqbt.report.select import PRIMARY, find, horizons, in_nats, main_symbol, score_symbols
from liqbt.types import Forecast, Score, Side

if TYPE_CHECKING:
    from liqbt.experiment.store import Run

__all__ = [
    "Table",
    "bands_table",
    "flow_table",
    "learnt_table",
    "level_table",
    "score_table",
    "sensitivity_table",
    "subset_table",
]


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
        return words.DASH
    return words.estimate(score.value, score.ci_low, score.ci_high, scale=100, signed=True)


def _mde(score: Score | None, scale: float) -> str:
    if score is None or math.isnan(score.mde):
        return words.DASH
    return words.fixed(score.mde * scale, words.decimals_for(score.mde * scale))


def _visit_cells(scores: Sequence[Score], symbol: str, horizon: str, suffix: str) -> list[str]:
    """Write hit rate, null, both lifts and the detectable mirror lift."""
    hit = find(scores, f"hit_rate{suffix}", symbol, horizon)
    mirror = find(scores, f"mirror_lift{suffix}", symbol, horizon)
    rate = null = words.DASH
    if hit is not None:
        rate = words.estimate(hit.value, hit.ci_low, hit.ci_high, scale=100)
        null = words.fixed(hit.null * 100, 1)
    walk = _points(find(scores, f"brownian_lift{suffix}", symbol, horizon))
    return [rate, null, walk, _points(mirror), _mde(mirror, 100.0)]


def _unit_cells(scores: Sequence[Score], symbol: str, horizon: str, suffix: str) -> list[str]:
    hit = find(scores, f"hit_rate{suffix}", symbol, horizon)
    if hit is None:
        return [words.DASH, words.DASH]
    return [words.count(hit.n_episodes), words.count(hit.n_days)]


def _skill_cell(scores: Sequence[Score], symbol: str, horizon: str) -> str:
    skill = find(scores, "first_side_skill", symbol, horizon)
    if skill is None:
        return words.DASH
    return words.estimate(skill.value, skill.ci_low, skill.ci_high, signed=True)


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
                words.one_line(s),
                words.horizon_words(h),
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
                words.one_line(s),
                words.horizon_words(h),
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
                words.one_line(s),
                words.horizon_words(h),
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
        return words.DASH
    return words.estimate(score.value, score.ci_low, score.ci_high)


def bands_table(run: Run) -> Table:
    """Return the rates by distance band, as the figure draws them, for every market."""
    order = {symbol: i for i, symbol in enumerate(score_symbols(run))}
    rows = [row for row in run.bands if row["symbol"] in order]
    rows.sort(
        key=lambda r: (
            order[r["symbol"]],
            words.horizon_hours(str(r["horizon"])),
            float(r["band_low"]),
        )
    )
    return Table(
        head=("Market", "Horizon", "Distance, σ", "Hit rate, % [95%]", "Null, %", "Mirror, %", "n"),
        rows=tuple(
            (
                words.one_line(str(r["symbol"])),
                words.horizon_words(str(r["horizon"])),
                f"{float(r['band_low']):g}–{float(r['band_high']):g}",
                words.estimate(
                    float(r["hit_rate"]), float(r["ci_low"]), float(r["ci_high"]), scale=100
                ),
                words.fixed(float(r["null"]) * 100, 1),
                words.fixed(float(r["mirror_rate"]) * 100, 1),
                words.count(int(r["n_episodes"])),
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
                words.one_line(str(row["symbol"])),
                words.horizon_words(str(row["horizon"])),
                *(words.count(int(row[key])) for key in keys),
            )
            for row in run.flow
        ),
        text_columns=2,
    )


def _level_cells(row: LevelRow) -> tuple[str, ...]:
    cluster = row.cluster
    return (
        "short" if cluster.side == Side.SHORT else "long",
        words.price(cluster.low),
        words.price(cluster.high),
        words.price(cluster.peak),
        words.percent(row.distance, 2, signed=True),
        words.fixed(row.distance_sigma, 2),
        words.usd(cluster.notional_usd),
        words.fixed(cluster.density_rank, 2),
    )


def level_table(forecast: Forecast, mark_word: str) -> tuple[Table, str]:
    """Return the clusters of one forecast as a ladder around the mark, and what it leaves out."""
    ladder = levels(forecast)
    mark = (mark_word, "", "", words.price(forecast.mark), "", "", "", "")
    above = [_level_cells(row) for row in ladder.above]
    below = [_level_cells(row) for row in ladder.below]
    omitted = []
    for n, where in ((ladder.n_above_omitted, "above"), (ladder.n_below_omitted, "below")):
        if n:
            omitted.append(f"{words.count(n)} more {where}")
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
        f"{words.one_line(score.statistic).replace('_', ' ')}, {unit}",
        words.horizon_words(score.horizon),
        words.one_line(name),
        words.estimate(*interval, scale=scale, signed=not rate),
        words.fixed(score.null * scale, 3 if nats else 1),
        words.count(score.n_episodes),
    )

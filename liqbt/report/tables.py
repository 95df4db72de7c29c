"""The page's tables as rows of text: every cell is written here, the templates only lay out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.statistic import Better, Group, Statistic
from liqbt.forecasts import joined_intervals
from liqbt.report import formatting as fmt
from liqbt.report.scores import (
    DECIDING,
    PRIMARY,
    column_head,
    count_cells,
    estimators,
    find,
    has_null,
    horizons,
    in_unit,
    is_known,
    main_symbol,
    mde_cell,
    null_cell,
    own_scores,
    score_symbols,
    statistics_of,
    value_cell,
)
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
    p, p_placebo : float
        Of a visit within 24 h: of the cluster, and of a random level there; NaN: none was issued.
    interval : tuple of float
        Ends of an interval of 80 % of the notional, USD; NaN: the estimator states none.
    """

    cluster: Cluster
    near_edge: float
    distance: float
    distance_sigma: float
    p: float = math.nan
    p_placebo: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)

    @property
    def interval_words(self) -> str:
        """The interval in words; nothing where there is none."""
        low, high = self.interval
        return "" if math.isnan(low) else f"{fmt.usd(low)} to {fmt.usd(high)}"


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


Chances: TypeAlias = npt.NDArray[np.float64]
"""P(visit) of each cluster of a forecast and of a random level there, shape (n_clusters, 2)."""


def chances_of(run: Run, forecast: Forecast) -> Chances | None:
    """Return P(visit) of the clusters of the first estimator's forecast; None: it has none."""
    table = run.clusters(forecast.symbol)
    if table is None:
        return None
    mine = table.filter(pc.equal(table["at"], forecast.at))
    found = np.column_stack([mine[name].to_numpy() for name in ("p", "p_placebo")])
    return None if np.isnan(found).all() else found


def level_rows(forecast: Forecast, side: Side, chances: Chances | None = None) -> list[LevelRow]:
    """Return the forecast's clusters of one side, from the mark outward."""
    rows, ends = [], joined_intervals([forecast]).tolist()
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
                p=math.nan if chances is None else float(chances[i, 0]),
                p_placebo=math.nan if chances is None else float(chances[i, 1]),
                interval=(ends[i][0], ends[i][1]),
            )
        )
    return sorted(rows, key=lambda row: abs(row.distance))


def nearest(forecast: Forecast, side: Side, chances: Chances | None = None) -> LevelRow | None:
    """Return the nearest cluster of one side, or None where the side has none."""
    rows = level_rows(forecast, side, chances)
    return rows[0] if rows else None


def levels(forecast: Forecast, most: int = 10, chances: Chances | None = None) -> Levels:
    """Return the `most` nearest clusters of each side, in falling price."""
    above = level_rows(forecast, Side.SHORT, chances)
    below = level_rows(forecast, Side.LONG, chances)
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
    source : str
        The file and table of the run that its numbers are read from, where not from the rows of
        `metrics.json` that its cells name.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int
    strong: tuple[int, ...] = ()
    source: str = ""


_COLUMNS: Final = 6
"""Of values and nulls in one table; a group of more statistics has a row for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """The scores of one group of statistics, with what the page says of them.

    Attributes
    ----------
    group, title, intro, note : str
        The group's name; heading, and what stands below it and below the table; empty for nothing.
    folded : bool
        Whether the page opens it only when it is asked to.
    table : Table
        A row for each market and horizon.
    """

    group: str
    title: str
    intro: str
    note: str
    folded: bool
    table: Table


def score_tables(run: Run) -> list[ScoreTable]:
    """Return a table of every group of statistics that the run has rows of, both sides together."""
    scores = [score for score in own_scores(run) if score.side == "both"]
    groups: dict[Group, list[Statistic]] = {}
    for one in statistics_of(scores):
        if one.group is not None:
            groups.setdefault(one.group, []).append(one)
    return [
        ScoreTable(
            group=group.id,
            title=group.title,
            intro=group.intro,
            note=group.note,
            folded=group.folded,
            table=_group_table(run, scores, group, statistics),
        )
        for group, statistics in groups.items()
    ]


def _group_table(
    run: Run, scores: Sequence[Score], group: Group, statistics: Sequence[Statistic]
) -> Table:
    names = {one.id for one in statistics}
    mine = [score for score in scores if score.statistic in names]
    keys = [(symbol, horizon) for symbol in score_symbols(run) for horizon in horizons(mine)]
    if len(statistics) + sum(map(has_null, statistics)) > _COLUMNS:
        return _long_table(run, mine, keys, group, statistics)
    judged = [one for one in statistics if one.better != Better.NEITHER]
    judged = [one for one in judged if one.id in DECIDING] or judged
    detected = judged[0] if judged else None
    head, rows = [], []
    for one in statistics:
        head.append(column_head(one))
        if has_null(one):
            head.append(in_unit(one, f"Null: {one.null}"))
    if detected is not None:
        head.append(in_unit(detected, f"Detectable: {detected.heading}"))
    for symbol, horizon in keys:
        found = {one.id: find(mine, one.id, symbol, horizon) for one in statistics}
        cells = [fmt.one_line(symbol), fmt.horizon_words(horizon)]
        for one in statistics:
            cells.append(value_cell(found[one.id]))
            if has_null(one):
                cells.append(null_cell(found[one.id]))
        if detected is not None:
            cells.append(mde_cell(found[detected.id]))
        counted = next((score for score in found.values() if score is not None), None)
        pooled = counted if detected is None else found[detected.id]
        rows.append((*cells, *count_cells(counted), *_worth_cells(run, pooled)))
    return Table(
        head=("Market", "Horizon", *head, group.units, "Days", *_worth_head(run)),
        rows=tuple(rows),
        text_columns=2,
        strong=tuple(i for i, (_, horizon) in enumerate(keys) if horizon == PRIMARY),
    )


def _long_table(
    run: Run,
    mine: Sequence[Score],
    keys: Sequence[tuple[str, str]],
    group: Group,
    statistics: Sequence[Statistic],
) -> Table:
    """Return a group that has too many statistics for columns: a row for each that there is."""
    rows: list[tuple[str, ...]] = []
    strong: list[int] = []
    for one in statistics:
        for symbol, horizon in keys:
            score = find(mine, one.id, symbol, horizon)
            if score is None:
                continue
            null = null_cell(score) if has_null(one) else fmt.DASH
            if horizon == PRIMARY and len({h for _, h in keys}) > 1:
                strong.append(len(rows))
            rows.append(
                (
                    in_unit(one, one.heading),
                    fmt.one_line(symbol),
                    fmt.horizon_words(horizon),
                    value_cell(score),
                    null,
                    mde_cell(score),
                    *count_cells(score),
                    *_worth_cells(run, score),
                )
            )
    head = ("Statistic", "Market", "Horizon", "Value [95%]", "Null", "Detectable", group.units)
    return Table(
        head=(*head, "Days", *_worth_head(run)),
        rows=tuple(rows),
        text_columns=3,
        strong=tuple(strong),
    )


def _worth_head(run: Run) -> tuple[str, ...]:
    return ("Independent markets",) if run.pooling else ()


def _worth_cells(run: Run, score: Score | None) -> tuple[str, ...]:
    """Write how many independent markets a pooled row is worth, where a run has several."""
    if not run.pooling:
        return ()
    names = ("estimator", "symbol", "horizon", "side", "statistic")
    for row in run.pooling:
        if score is not None and all(row[name] == getattr(score, name) for name in names):
            return (
                f"{fmt.fixed(float(row['equivalent']), 1)} of {fmt.count(int(row['markets']))}",
            )
    return (fmt.DASH,)


def rest_table(run: Run) -> Table | None:
    """Return the rows of scores that no table of a group holds: one side alone, or no group."""
    scores = own_scores(run)
    rows = []
    for one in statistics_of(scores):
        mine = [score for score in scores if score.statistic == one.id]
        for symbol in score_symbols(run):
            for horizon in horizons(mine):
                here = [s for s in mine if (s.symbol, s.horizon) == (symbol, horizon)]
                left = [s for s in here if one.group is None or s.side != "both"]
                rows += [(*_whole_row(score), *_worth_cells(run, score)) for score in left]
    head = ("Claim", "Statistic", "Market", "Horizon", "Side", "Value [95%]", "Null", "Detectable")
    head_row = (*head, "Unit", "n", "Days", *_worth_head(run))
    return Table(head=head_row, rows=tuple(rows), text_columns=5) if rows else None


def _whole_row(score: Score) -> tuple[str, ...]:
    statistic = statistic_of(score.statistic)
    return (
        fmt.one_line(score.claim),
        fmt.one_line(statistic.label),
        fmt.one_line(score.symbol),
        fmt.horizon_words(score.horizon),
        score.side,
        value_cell(score),
        null_cell(score),
        mde_cell(score),
        statistic.unit.name or fmt.DASH,
        *count_cells(score),
    )


def compared_table(run: Run) -> Table | None:
    """Return the estimators side by side, and what each further one has over the first, or None.

    Of the statistics that decide a claim or stand in the headline, both sides together. The
    difference is paired by the days of either; where fewer than half are shared there is none.
    """
    if not run.compared:
        return None
    rows: list[tuple[str, ...]] = []
    strong: list[int] = []
    both = [score for score in run.scores if score.side == "both"]
    for one in statistics_of(both):
        if one.id not in DECIDING and not one.headline:
            continue
        mine = [score for score in both if score.statistic == one.id]
        for symbol in score_symbols(run):
            for horizon in horizons(mine):
                if horizon == PRIMARY:
                    strong.extend(range(len(rows), len(rows) + len(estimators(run))))
                for i, name in enumerate(estimators(run)):
                    score = find((s for s in mine if s.estimator == name), one.id, symbol, horizon)
                    rows.append(
                        (
                            in_unit(one, one.label),
                            fmt.one_line(symbol),
                            fmt.horizon_words(horizon),
                            fmt.one_line(name, 40),
                            value_cell(score),
                            null_cell(score) if is_known(score) and has_null(one) else fmt.DASH,
                            _difference(run, one, name, symbol, horizon) if i else fmt.DASH,
                        )
                    )
    first = fmt.one_line(estimators(run)[0], 40)
    head = (
        "Statistic",
        "Market",
        "Horizon",
        "Estimator",
        "Value [95%]",
        "Null",
        f"Less {first} [95%]",
    )
    return Table(
        head=head,
        rows=tuple(rows),
        text_columns=4,
        strong=tuple(strong),
        source="tables.json compared",
    )


def _difference(run: Run, statistic: Statistic, name: str, symbol: str, horizon: str) -> str:
    key = (name, statistic.id, symbol, horizon, "both")
    for row in run.compared:
        if tuple(row[k] for k in ("estimator", "statistic", "symbol", "horizon", "side")) == key:
            value, low, high = (float(row[k]) for k in ("value", "ci_low", "ci_high"))
            unit = statistic.unit
            decimals = unit.decimals
            return fmt.estimate(value, low, high, scale=unit.scale, signed=True, decimals=decimals)
    return fmt.DASH


def twin_table(run: Run) -> Table | None:
    """Return what decides claims beside the price-only twins of the estimators, or None."""
    if not run.twin_scores:
        return None
    alike = {(row["estimator"], row["symbol"]): float(row["correlation"]) for row in run.twin}
    rows = []
    for row in run.twin_scores:
        one = statistic_of(str(row["statistic"]))
        scale, decimals = one.unit.scale, one.unit.decimals
        value, twin = (fmt.fixed(scale * float(row[key]), decimals) for key in ("value", "twin"))
        apart = (float(row[key]) for key in ("difference", "ci_low", "ci_high"))
        rows.append(
            (
                in_unit(one, one.label),
                fmt.one_line(str(row["estimator"]), 40),
                fmt.one_line(str(row["symbol"])),
                fmt.fixed(alike.get((row["estimator"], row["symbol"]), math.nan), 2),
                value,
                twin,
                fmt.estimate(*apart, scale=scale, signed=True, decimals=decimals),
            )
        )
    head = ("Statistic", "Estimator", "Market", "Maps' correlation", "Map", "Twin", "Less [95%]")
    return Table(head=head, rows=tuple(rows), text_columns=3, source="tables.json twin_scores")


def histories_table(run: Run) -> Table | None:
    """Return what decides claims beside their placebo histories, or None where none was replayed.

    A statistic that decides no claim would support none: a dash.
    """
    if not run.randomised:
        return None
    rows = []
    for row in run.randomised:
        one = statistic_of(str(row["statistic"]))
        scale, decimals = one.unit.scale, one.unit.decimals
        ends = (float(row[key]) for key in ("median", "low", "high"))
        supported = row["supported"]
        rows.append(
            (
                in_unit(one, one.label),
                fmt.one_line(str(row["estimator"]), 40),
                fmt.fixed(scale * float(row["value"]), decimals),
                fmt.estimate(*ends, scale=scale, decimals=decimals),
                f"{fmt.count(int(row['as_good']))} of {fmt.count(int(row['histories']))}",
                fmt.fixed(float(row["p"]), 3),
                fmt.DASH if supported is None else fmt.count(int(supported)),
            )
        )
    head = ("Statistic", "Estimator", "Map", "Histories [95%]", "As good", "p", "Supported")
    return Table(head=head, rows=tuple(rows), text_columns=2, source="tables.json randomised")


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
        source="tables.json bands",
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
        source="tables.json flow",
    )


def _prior_from(forecast: Forecast, side: Side) -> float:
    """Return from which log distance on the map rests on the prior; NaN where that is not said."""
    return forecast.prior_from_long if side == Side.LONG else forecast.prior_from_short


def _level_cells(row: LevelRow, forecast: Forecast, stated: bool) -> tuple[str, ...]:
    cluster = row.cluster
    side = "short" if cluster.side == Side.SHORT else "long"
    on_prior = row.distance_sigma * forecast.sigma_1d >= _prior_from(forecast, cluster.side)
    return (
        f"{side}, prior only" if on_prior else side,
        fmt.price(cluster.low),
        fmt.price(cluster.high),
        fmt.price(cluster.peak),
        fmt.percent(row.distance, 2, signed=True),
        fmt.fixed(row.distance_sigma, 2),
        fmt.usd(cluster.notional_usd),
        *((row.interval_words or fmt.DASH,) if stated else ()),
        fmt.fixed(cluster.density_rank, 2),
        fmt.percent(row.p, 0),
        fmt.percent(row.p_placebo, 0),
    )


def level_table(
    forecast: Forecast, mark_word: str, chances: Chances | None = None
) -> tuple[Table, str]:
    """Return the clusters of one forecast as a ladder around the mark, and notes on it."""
    ladder = levels(forecast, chances=chances)
    stated = forecast.notional_interval is not None
    mark = (mark_word, "", "", fmt.price(forecast.mark), *[""] * (6 + stated))
    above = [_level_cells(row, forecast, stated) for row in ladder.above]
    below = [_level_cells(row, forecast, stated) for row in ladder.below]
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
            *(("80 % interval",) if stated else ()),
            "Density rank",
            "P(visit in 24 h)",
            "of a random level",
        ),
        rows=(*above, mark, *below),
        text_columns=1,
        strong=(len(above),),
        source="clusters.parquet, the last forecast",
    )
    unlisted = "; ".join([*missing, *omitted])
    notes = [f"Not listed: {unlisted}."] if unlisted else []
    notes += _chance_words(chances) + ([_INTERVAL_WORDS] if stated else [])
    return table, " ".join([*notes, *_prior_words(forecast)])


_INTERVAL_WORDS: Final = (
    "80 % interval of the notional: other priors and other days of learning, and how far clusters "
    "of simulated markets were off; it lies low, as a cluster is found where the map came out high."
)


def _chance_words(chances: Chances | None) -> list[str]:
    """Say what the probabilities are, or that there is none."""
    if chances is None:
        return ["No probability of a visit was issued: too little had come of earlier clusters."]
    return [
        "P(visit): that the price touches the near edge within 24 h, as what had come of earlier "
        "clusters taught it; beside it that of a random level at the same distance and time, which "
        "needs no map. None outside the distances that are scored."
    ]


def _prior_words(forecast: Forecast) -> list[str]:
    """Say from where on the map rests on assumptions, where its estimator says so."""
    long, short = (_prior_from(forecast, side) for side in (Side.LONG, Side.SHORT))
    if math.isnan(long) or math.isnan(short):
        return []
    if max(long, short) == 0.0:
        return ["All of the map rests on the estimator's prior: it has learnt from no liquidation."]
    below, above = (fmt.percent(math.expm1(x), 1, signed=True) for x in (-long, short))
    return [
        f"Below {below} and above {above} "
        "the map rests on the estimator's prior: price hardly crossed what would have taught it."
    ]


def sensitivity_table(run: Run) -> tuple[Table, str]:
    """Return the headline market's scores under other choices, and what none of them changed.

    Both sides together, of the statistics that are repeated under other choices, each below the
    one as configured. A choice that changes nothing of a row has no row; statistics that no choice
    changes are named in the sentence, which is empty where there is none.
    """
    wanted = [(str(r["name"]), _score_of(r)) for r in run.sensitivities]
    named = [
        (name, score)
        for name, score in wanted
        if score.symbol == main_symbol(run)
        and score.side == "both"
        and statistic_of(score.statistic).conditional
    ]
    scores = own_scores(run)
    keys = dict.fromkeys((s.statistic, s.symbol, s.horizon, s.side) for _, s in named)
    rows: list[tuple[str, ...]] = []
    strong: list[int] = []
    unchanged: list[str] = []
    for key in keys:
        base = find(scores, *key)
        same = [(n, s) for n, s in named if (s.statistic, s.symbol, s.horizon, s.side) == key]
        first = None if base is None else _sensitivity_row("as configured", base)
        moved = [row for row in (_sensitivity_row(*one) for one in same) if _moved(row, first)]
        if first is not None and moved:
            strong.append(len(rows))
            rows.append(first)
        elif first is not None:
            unchanged.append(f"{statistic_of(key[0]).label} ({fmt.horizon_words(key[2])})")
        rows += moved
    table = Table(
        head=("Statistic", "Horizon", "Choice", "Value [95%]", "Null", "n"),
        rows=tuple(rows),
        text_columns=3,
        strong=tuple(strong),
        source="tables.json sensitivities",
    )
    return table, f"Not moved by any choice: {'; '.join(unchanged)}." if unchanged else ""


def _moved(row: tuple[str, ...], base: tuple[str, ...] | None) -> bool:
    return base is None or row[3:] != base[3:]


def _score_of(row: Mapping[str, Any]) -> Score:
    return Score(**{each.name: row[each.name] for each in fields(Score) if each.name in row})


def _sensitivity_row(name: str, score: Score) -> tuple[str, ...]:
    statistic = statistic_of(score.statistic)
    return (
        in_unit(statistic, fmt.one_line(statistic.label)),
        fmt.horizon_words(score.horizon),
        fmt.one_line(name),
        str(value_cell(score)),
        str(null_cell(score)),
        fmt.count(score.n_episodes),
    )


PROBABILITIES: Final = {
    "full": "with the map",
    "ablated": "without the map",
    "brownian": "random walk",
}
"""The probabilities of a visit by their names in a run."""


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
        source="tables.json corp",
    )

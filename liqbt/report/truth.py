"""The truth beside the figures of a simulated market: read from the run, never computed here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from liqbt.report import formatting as fmt
from liqbt.report.notes import planted_words
from liqbt.report.scores import score_symbols
from liqbt.report.tables import Table

if TYPE_CHECKING:
    from liqbt.study.store import Run


_SUBSETS: Final = {"all": "all clusters", "densest": "the densest cluster"}
_EFFECTS: Final[dict[str, str]] = {
    "densest_mirror_lift": "Densest level: visits less those of its mirror, 24 h",
    "densest_twin_lift": "Densest level: visits less those without the mechanism, 24 h",
    "dense_twin_lift": "Densest fifth: visits less those without the mechanism, 24 h",
    "dose_within_side": "Sparsest to densest of one side: visits less a random walk's, 24 h",
    "dose_response_raw": "Sparsest to densest of both sides: visits less the mirror's, 24 h",
    "after_forced": "Move after forced flow, 1 h",
    "after_forced_pushed": "Move after forced flow, the mechanisms' part, 1 h",
    "after_unforced_pushed": "Move after equal flow by choice, the mechanisms' part, 1 h",
    "excess": "Forced flow beyond equal flow by choice, the mechanisms' part, 1 h",
    "next_cluster_hazard": "Next cluster reached after forced flow, over without mechanism, 1 h",
    "stop_hit_difference": "Stops at dense levels hit more than at sparse ones, 24 h",
    "stop_hit_twin": "The same, less without the mechanism, 24 h",
    "speed_ratio": "Speed in dense bins over sparse ones",
    "return_twin": "Return before extension after a sweep, less without the mechanism, 4 h",
    "return_placebo": "Return before extension after a sweep, less one half, 4 h",
    "pass_through_twin": "Walls passed, less without the mechanism, 12 h",
    "pass_through_mirror": "Walls passed, less the mirror, 12 h",
    "beyond_ratio": "Forced just beyond swings over matched bins",
}
_UNITS: Final[dict[str, tuple[float, str]]] = {
    "share": (100.0, "points"),
    "nats": (1.0, "nats"),
    "ratio": (1.0, "times"),
    "bp_per_percent": (1.0, "bp per 1% forced"),
}
_MEASURES: Final = {"wasserstein": "Distance, % of price", "correlation": "Correlation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthSection:
    """What the page says of the truth.

    Attributes
    ----------
    banner : str
        That the market is simulated, what was planted and how strong its measured effect is.
    visits, effects, maps : Table
        The run's episodes against the same random numbers without the mechanisms; effects measured
        from the true map; distances of the estimated maps from the true ones.
    notes : tuple of str
        How to read each of them.
    """

    banner: str
    visits: Table
    effects: Table
    maps: Table
    notes: tuple[str, str, str]


def truth_section(run: Run) -> TruthSection | None:
    """Return the section, or None where the run has no truth beside its figures."""
    truth = run.truth()
    if truth is None:
        return None
    shown = set(score_symbols(run))
    twin, effects, maps = (
        [row for row in truth[name] if row["symbol"] in shown]
        for name in ("twin", "effects", "maps")
    )
    return TruthSection(
        banner=_banner(truth),
        visits=_visits(twin),
        effects=_effects(effects),
        maps=_maps(maps),
        notes=(
            "Without the mechanism: the visits that the same random numbers would have made, had "
            "every planted mechanism stopped when the forecast was issued. True lift: what the "
            "mechanism caused at these very clusters. A price pulled to one cluster is pulled away "
            "from its mirror, so the lift over the mirror is larger at the densest cluster and can "
            "vanish over all clusters, where the pull goes to only one of them.",
            "Measured on the true positions, which no estimator sees. This is how strong the "
            "planted effect is in the units of the test; its setting in the simulator is not.",
            "Each side normalised; one map a day. Even: the same notional at every distance. "
            "Usual: the mean of the estimator's own earlier maps by distance, which knows the "
            "usual shape and no position. Price-only twin: what the path alone would have drawn. "
            "Smaller distances and higher correlations are better.",
        ),
    )


def _banner(truth: Mapping[str, Any]) -> str:
    """Say what is known, and how large the planted effect is by the truth."""
    market, planted = planted_words(truth["planted"])
    if not planted:
        return f"{market}: the truth is known, and nothing is planted."
    text = f"{market}: the truth is known. Planted: {planted}."
    rows = [r for r in truth["effects"] if r["statistic"] == "densest_mirror_lift"]
    if rows:
        text += (
            " Its size by the truth: the densest true level is visited "
            f"{_interval(rows[0])} points more often than its mirror within 24 h."
        )
    return text


def _interval(
    row: Mapping[str, Any], *, value: str = "value", scale: float = 100.0, signed: bool = True
) -> str:
    """Write an effect with its 95 % interval, in points unless told otherwise."""
    centre, half = _number(row[value]), 1.96 * _number(row["standard_error"])
    return fmt.estimate(centre, centre - half, centre + half, scale=scale, signed=signed)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _share(value: float | None) -> str:
    return fmt.fixed(_number(value) * 100, 1)


def _visits(rows: Sequence[Mapping[str, Any]]) -> Table:
    ordered = sorted(rows, key=lambda r: (r["symbol"], fmt.horizon_hours(str(r["horizon"]))))
    return Table(
        head=(
            "Market",
            "Horizon",
            "Clusters",
            "Visited, %",
            "Random walk, %",
            "Mirror, %",
            "Without the mechanism, %",
            "Lift over random walk, points",
            "Lift over mirror, points",
            "True lift, points [95%]",
            "Episodes",
            "Days",
        ),
        rows=tuple(
            (
                fmt.one_line(str(r["symbol"])),
                fmt.horizon_words(str(r["horizon"])),
                _SUBSETS.get(str(r["subset"]), fmt.one_line(str(r["subset"]))),
                _share(r["visited"]),
                _share(r["brownian"]),
                _share(r["mirror"]),
                _share(r["twin"]),
                fmt.fixed((_number(r["visited"]) - _number(r["brownian"])) * 100, 1, signed=True),
                fmt.fixed((_number(r["visited"]) - _number(r["mirror"])) * 100, 1, signed=True),
                _interval(r, value="twin_lift"),
                fmt.count(r["n"]),
                fmt.count(r["n_days"]),
            )
            for r in ordered
        ),
        text_columns=3,
        source="truth.json",
        strong=tuple(i for i, r in enumerate(ordered) if r["horizon"] == "24h"),
    )


def _effects(rows: Sequence[Mapping[str, Any]]) -> Table:
    shown = [r for r in rows if r["statistic"] in _EFFECTS]
    return Table(
        head=("Market", "Effect, measured on the true map", "Unit", "Value [95%]", "Units", "Days"),
        rows=tuple(
            (
                fmt.one_line(str(r["symbol"])),
                _EFFECTS[r["statistic"]],
                _unit(r)[1],
                _interval(r, scale=_unit(r)[0], signed=r["unit"] != "ratio"),
                fmt.count(r["n"]),
                fmt.count(r["n_days"]),
            )
            for r in shown
        ),
        text_columns=3,
        source="truth.json",
    )


def _unit(row: Mapping[str, Any]) -> tuple[float, str]:
    return _UNITS.get(str(row["unit"]), (1.0, fmt.one_line(str(row["unit"]))))


def _maps(rows: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        head=(
            "Market",
            "Within",
            "Side",
            "Measure",
            "Estimated map",
            "Even",
            "Usual",
            "Price-only twin",
            "Days nearer than usual, %",
            "Outside: estimated, true, %",
            "Days",
        ),
        rows=tuple(
            (
                fmt.one_line(str(r["symbol"])),
                f"±{fmt.percent(_number(r['reach']), 0)}",
                "longs" if r["side"] == "long" else "shorts",
                _MEASURES.get(str(r["measure"]), fmt.one_line(str(r["measure"]))),
                *(_measure(r[k], str(r["measure"])) for k in ("estimated", "even", "usual")),
                _measure(r.get("twin"), str(r["measure"])),
                fmt.fixed(_number(r["nearer_than_usual"]) * 100, 0),
                f"{_share(r['outside'])}, {_share(r['true_outside'])}",
                fmt.count(r["n_days"]),
            )
            for r in rows
        ),
        text_columns=4,
        source="truth.json",
    )


def _measure(value: float | None, measure: str) -> str:
    if measure == "wasserstein":
        return fmt.fixed(_number(value) * 100, 2)
    return fmt.fixed(_number(value), 2)

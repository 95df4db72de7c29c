"""The audit in words and as plain values, for people and for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from liqbt.evaluation.accuracy.hits import READINGS
from liqbt.evaluation.accuracy.plane import Plane
from liqbt.evaluation.accuracy.rows import ReadingRow
from liqbt.evaluation.claims.accuracy import CLAIM as ACCURACY
from liqbt.evaluation.inference.estimates import POOLED, ScoreDetail


def plane_value(plane: Plane) -> dict[str, Any]:
    """Return the audit as plain values: null for what cannot be had, scores in the one schema."""
    value: dict[str, Any] = {
        "symbols": list(plane.symbols),
        "n_days": plane.n_days,
        "sigma_1d": plane.sigma_1d,
        "target": plane.target,
        "summary": vendor_words(plane),
        "levels": [asdict(row) for row in plane.levels],
        "readings": [_reading_value(row) for row in plane.readings],
        "cells": [asdict(row) for row in plane.cells],
        "verdicts": [{**asdict(v), "word": v.word.value} for v in plane.verdicts],
    }
    plain: dict[str, Any] = _plain(value)
    return plain


def _reading_value(row: ReadingRow) -> dict[str, Any]:
    return {
        "symbol": row.symbol,
        "horizon": row.horizon,
        "reading": row.reading,
        "hit_rate": _detail_value(row.hit_rate, row.symbol),
        "tie_low": row.tie_low,
        "tie_high": row.tie_high,
        "null": dict(row.null),
        "skill": {name: _detail_value(found, row.symbol) for name, found in row.skill.items()},
        "distance_sigma": list(row.distance_sigma),
        "distance": list(row.distance),
        "n_inside": row.n_inside,
        "n_unscored": row.n_unscored,
        "n_censored": row.n_censored,
    }


def _detail_value(found: ScoreDetail, symbol: str) -> dict[str, Any]:
    return {**asdict(found.score), "symbol": symbol, "agree": found.estimate.agree}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def vendor_words(plane: Plane) -> list[str]:
    """Return, for each reading, whether the map reaches the target, and the skill left there."""
    pooled = [row for row in plane.readings if row.symbol == POOLED]
    return [
        _reading_words(name, [row for row in pooled if row.reading == name], plane.target)
        for name in READINGS
    ]


def _reading_words(name: str, rows: list[ReadingRow], target: float) -> str:
    """Name the first horizon that reaches the target, of those with windows enough to tell."""
    claimed = f"{100 * target:.0f} %"
    told = [row for row in rows if row.hit_rate.score.n_episodes >= ACCURACY.min_episodes]
    hits = [row for row in told if row.hit_rate.score.value >= target]
    if not hits:
        best = max(told, key=lambda row: row.hit_rate.score.value, default=None)
        if best is None:
            least = ACCURACY.min_episodes
            return f"{name} ({READINGS[name]}): no horizon has {least} windows to score."
        return (
            f"{name} ({READINGS[name]}): {claimed} at no horizon; at most "
            f"{_beside(best)} at {best.horizon}."
        )
    first = hits[0]
    return (
        f"{name} ({READINGS[name]}): {claimed} from {first.horizon} on, where it scores "
        f"{_beside(first)}."
    )


def _beside(row: ReadingRow) -> str:
    """Write a hit rate, never without its nulls, and the skill that is left."""
    nulls = ", ".join(
        f"{100 * value:.1f} % {_NULLS[name]}"
        for name, value in row.null.items()
        if not math.isnan(value)
    )
    skill = "; ".join(
        f"{100 * s.score.value:+.1f} [{100 * s.score.ci_low:+.1f}, {100 * s.score.ci_high:+.1f}] "
        f"over {_OVER[name]}"
        for name, s in row.skill.items()
    )
    rate = f"{100 * row.hit_rate.score.value:.1f} %"
    return f"{rate} (no information: {nulls}), skill in points {skill}"


_OVER = {"brownian": "Brownian motion", "other_times": "other times", "mirror": "the mirror"}
_NULLS = {
    "brownian": "on Brownian motion",
    "other_times": "at other times",
    "mirror": "of the mirror",
}


def describe_plane(plane: Plane) -> str:
    """Return the audit as text."""
    claimed = f"{100 * plane.target:.0f} %"
    lines = [
        f"{', '.join(plane.symbols)}: {plane.n_days} days, volatility "
        f"{100 * plane.sigma_1d:.1f} % a day",
        "",
        f"Where plain levels, with no information, score {claimed} (distance in σ of the horizon, "
        "and in % of the price):",
        f"{'horizon':<9}{'windows':>8}{'one level':>20}{'Brownian':>10}"
        f"{'one of a pair':>20}{'Brownian':>10}",
    ]
    lines += [
        f"{row.horizon:<9}{row.n_windows:>8}"
        f"{_place(row.reach_level, row.sigma_h):>20}{_sigma(row.brownian_reach_level):>10}"
        f"{_place(row.reach_pair, row.sigma_h):>20}{_sigma(row.brownian_reach_pair):>10}"
        for row in plane.levels
    ]
    lines += ["", "The map:", *(f"- {words}" for words in vendor_words(plane))]
    lines += ["", "Claim 10, each reading by itself:"]
    lines += [f"- {v.reading} at {v.horizon}: {v.word.value}; {v.reason}" for v in plane.verdicts]
    return "\n".join(lines)


def _sigma(value: float) -> str:
    return "nowhere" if math.isnan(value) else f"{value:.2f} σ"


def _place(value: float, sigma_h: float) -> str:
    if math.isnan(value):
        return "nowhere"
    return f"{value:.2f} σ ({100 * value * sigma_h:.2f} %)"

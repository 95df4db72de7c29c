"""Scoring from a time on: what was issued before is learnt from, and not scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.calibrate.models import Foreseen
from liqbt.evaluation.claims.direction import landmark_tables
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.evaluate import observe
from liqbt.types import Ns

Calibrate: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
Foresee: TypeAlias = Callable[[npt.NDArray[Any]], Foreseen]


def scored_part(
    markets: Sequence[MarketInput], since: Ns | None
) -> tuple[list[MarketInput], list[MarketInput]]:
    """Return the markets with what is scored, and with what was issued before.

    Parameters
    ----------
    markets : sequence of MarketInput
        With everything that was issued after the warm-up.
    since : int or None
        Only what is issued at or after it is scored; None: everything.

    Returns
    -------
    scored, before : list of MarketInput
        `before` has no market of which nothing was issued before.
    """
    if since is None:
        return list(markets), []
    scored, before = [], []
    for market in markets:
        early = [f for f in market.forecasts if f.at < since]
        scored.append(replace(market, forecasts=market.forecasts[len(early) :]))
        if early:
            before.append(replace(market, forecasts=early))
    return scored, before


def foreseen_before(
    foresee: Foresee, before: Sequence[MarketInput], config: EvaluationConfig
) -> Foresee:
    """Return models that have learnt from earlier landmarks too, each when it has matured.

    Parameters
    ----------
    foresee : Foresee
        Walks landmarks forward.
    before : sequence of MarketInput
        What was issued before; `foresee` itself where there is nothing.
    config : EvaluationConfig
        The protocol under which its outcomes are taken.
    """
    if not before:
        return foresee
    early = landmark_tables(observe(before, config).first_sides, before, config)
    return lambda table: foresee(np.concatenate([early, table])).after(len(early))


def trained_before(
    calibrate: Calibrate, before: Sequence[MarketInput], config: EvaluationConfig
) -> Calibrate:
    """Return a calibration that has learnt from earlier landmarks too, each when it has matured.

    Parameters
    ----------
    calibrate : Calibrate
        Walks landmarks of one horizon forward.
    before : sequence of MarketInput
        What was issued before; `calibrate` itself where there is nothing.
    config : EvaluationConfig
        The protocol under which its outcomes are taken.
    """
    if not before:
        return calibrate
    early = observe(before, config).first_sides

    def calibrated(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not len(rows):
            return calibrate(rows)
        older = early[early["horizon_ns"] == rows["horizon_ns"][0]]
        return calibrate(np.concatenate([older, rows]))[len(older) :]

    return calibrated

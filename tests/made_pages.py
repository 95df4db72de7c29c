"""One of each page but the report, of made-up values: what a reader opens, under any name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from report_run import FakeRun
from validity_document import FIRST, planted, sized

from liqbt.evaluation.accuracy.hits import READINGS
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.quality.measure import log_quality, plain
from liqbt.report.pages.card import write_card
from liqbt.report.pages.plane import write_plane_page
from liqbt.report.pages.quality import write_quality_page
from liqbt.report.pages.search import write_search_page
from liqbt.report.pages.truth import write_truth_page
from liqbt.report.pages.validity import write_validity_page
from liqbt.types import MINUTE_NS, Kind
from liqbt.validity.candles import absent
from liqbt.validity.jobs import PLANTED
from liqbt.validity.summary import gate_document

T0 = 1_767_225_600_000_000_000


def search_document(n: int, name: str = "<b>why</b>") -> dict[str, Any]:
    """A search of `n` trials that know nothing, one of which failed, for `name`."""
    rng = np.random.default_rng(4)
    rows = []
    for number in range(n):
        value = float(rng.normal(0.0, 4e-4))
        gain = {"value": value, "ci_low": value - 8e-4, "ci_high": value + 8e-4}
        gain |= {"mde": 1.2e-3, "n_days": 106}
        rows.append(
            {
                "number": number,
                "base": 0,
                "keys": {"estimator.brackets.2.half_life": f"{number}h"} if number else {},
                "state": "finished",
                "reason": "",
                "configuration": "c",
                "run_id": f"{number:016x}",
                "compared": True,
                "same_as": number,
                "gain": gain,
                "gain_over_base": gain,
                "in_confidence_set": number % 7 != 3,
            }
        )
    rows[-1] = {k: v for k, v in rows[-1].items() if k not in {"gain", "same_as"}}
    rows[-1] |= {"compared": False, "state": "failed", "reason": name}
    logits = rng.normal(0.0, 1.5, 252)
    below = int((logits <= 0).sum())
    return {
        "name": name,
        "experiment": "small",
        "seed": 1,
        "vary": {"estimator.brackets.2.half_life": ["36h", "72h"]},
        "trials": rows,
        "counts": {"trials": n, "compared": n - 1, "failed": 1, "distinct": n - 1},
        "days": {"block_days": 3},
        "superior_ability": {
            "no_map": {"lower": 0.41, "consistent": 0.43, "upper": 0.5},
            "as_configured": None,
        },
        "overfitting": {
            "probability": below / 252,
            "blocks": 10,
            "n_splits": 252,
            "below": below,
            "logits": logits.tolist(),
        },
        "sentences": ["One.", "Two.", "Three.", f"Four {name}."],
    }


def plane_document(name: str = "<script>alert(1)</script>") -> dict[str, Any]:
    """The smallest audit, of a market with such a name."""
    score = {"value": 0.5, "ci_low": None, "ci_high": None, "n_episodes": 9, "n_days": 9}
    nothing = dict.fromkeys(("brownian", "other_times", "mirror"))
    readings = [
        {
            "symbol": "pooled",
            "horizon": "4h",
            "reading": name,
            "hit_rate": score,
            "tie_low": 0.5,
            "tie_high": 0.5,
            "null": {**nothing, "brownian": 0.5},
            "skill": {},
            "distance_sigma": [None, None, None],
            "distance": [None, None, None],
            "n_inside": 0,
            "n_unscored": 0,
            "n_censored": 0,
        }
        for name in READINGS
    ]
    level = {
        "horizon": "4h",
        "n_windows": 9,
        "distance_sigma": [0.0, 1.0, 2.0, 3.0],
        "brownian_level": [0.9, 0.6, 0.2, 0.1],
        "brownian_pair": [1.0, 0.7, 0.3, 0.1],
        "real_level": [0.8, 0.5, 0.2, 0.1],
        "real_pair": [1.0, 0.6, 0.3, 0.1],
        "sigma_h": 0.01,
        "rms_move": 1.0,
        "median_move": 0.67,
        "reach_level": None,
        "brownian_reach_level": 0.1,
        "reach_pair": 0.4,
        "brownian_reach_pair": None,
    }
    return {
        "experiment": name,
        "run_id": "0" * 16,
        "symbols": [f"{name}$\\frac$"],
        "n_days": 9,
        "sigma_1d": 0.02,
        "target": 0.85,
        "summary": [name],
        "levels": [level],
        "readings": readings,
        "cells": [],
        "verdicts": [],
    }


def truth_document(name: str) -> dict[str, Any]:
    """A market in which one map is nearer than the first, at two reaches; a symbol has no slash."""
    symbol = name.replace("/", "")
    rows = [
        {
            "symbol": symbol, "truth": "simulated", "estimator": estimator, "kind": kind,
            "reach": reach, "w1": w1, "ci_low": w1 - 0.2, "ci_high": w1 + 0.2,
            "less_first": w1 - 2.0, "less_low": w1 - 2.2, "less_high": w1 - 1.8,
            "n_maps": 40, "n_days": 10, "n_effective": 6.0, "positions": 3.1,
        }
        for reach in (0.1, 0.3)
        for estimator, kind, w1 in ((name, "named", 2.0), ("census", "rival", 1.0))
    ]  # fmt: skip
    gain = {"symbol": symbol, "estimator": name, "statistic": "information_gain"}
    return {
        "experiment": name,
        "distances": rows,
        "liquidations": [{**gain, "value": 0.01, "ci_low": -0.01, "ci_high": 0.03}],
        "coverage": {symbol: {"census": [0.3, 0.2]}},
        "left_out": {name: name},
    }


def quality_document(folder: Path, name: str) -> dict[str, Any]:
    """A log of two feeds, one with a gap, whose notes say `name`, and so do its feeds."""
    at = T0 + np.setdiff1d(np.arange(400), [100, 101]) * 5 * MINUTE_NS
    price = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, len(at))))
    shared = {"ts_event": at, "ts_known": at + MINUTE_NS, "venue": "v", "symbol": "BTC"}
    bars = dict.fromkeys(("open", "high", "low", "close"), price)
    coins = 1000 + 10 * np.sin(np.arange(len(at)) / 5)
    interest = {"open_interest_coins": coins, "open_interest_usd": coins * price}
    lag = {"venue": "v", "symbol": "BTC", "kind": "mark", "latency_s": 60.0, "feed": "polled"}
    log = EventLog.create(folder)
    log.append(
        [
            (Kind.MARK, event_table(Kind.MARK, shared | bars)),
            (Kind.OPEN_INTEREST, event_table(Kind.OPEN_INTEREST, shared | interest)),
        ],
        {"file": "f", "file_sha256": "0", "latency": [lag | {"latency_is": "modelled"}],
         "notes": {"throttle": name}},
    )  # fmt: skip
    value = plain(log_quality(log.path))
    for one in value["feeds"]:
        one["venue"] = one["symbol"] = name
    return value


def write_pages(folder: Path, run: FakeRun, name: str) -> dict[str, Path]:
    """Write every page but the report, each of values that are called `name`."""
    gate = gate_document(planted(sized(n=40), {PLANTED[FIRST.id][-1]: 20}), levels=absent(name))
    return {
        "quality": write_quality_page(quality_document(folder / "log", name), folder),
        "search": write_search_page(search_document(20, name), folder),
        "truth": write_truth_page(truth_document(name), folder),
        "plane": write_plane_page(plane_document(name), folder),
        "validity": write_validity_page(gate, folder),
        "card": write_card(run, folder),
    }

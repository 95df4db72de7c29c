"""What a scoring writes of itself: its manifest, and the command that makes it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from liqbt.evaluation import CLAIMS
from liqbt.experiment.describe import describe_feeds, versions
from liqbt.experiment.schema import EvaluationOptions, format_duration
from liqbt.experiment.score.work import ScoreWork
from liqbt.replay import forecasts_digest
from liqbt.types import Forecast

__all__ = ["UNSEEN", "score_manifest"]

UNSEEN: Final = (
    "Whether a row was made with what was known at its time cannot be checked from outside: a file "
    "that was written, chosen or mended afterwards would score as well as the future allows."
)
"""What every result says of a file's honesty."""


def score_manifest(
    work: ScoreWork, run_id: str, issued: Sequence[Sequence[Forecast]], wrong: int
) -> dict[str, Any]:
    """Return the manifest of a scoring.

    Parameters
    ----------
    work : ScoreWork
        What it worked with.
    run_id : str
        Its identity.
    issued : sequence of sequences of Forecast
        What was issued, by market.
    wrong : int
        How many rows lie on the wrong side of the price.
    """
    rows = work.rows
    times = sum(len(levels.published.at) for levels in work.levels)
    names = [market.symbol for market in work.markets]
    return {
        "run_id": run_id,
        "experiment": work.config["name"],
        "description": f"Published levels of {rows.file}, scored by the protocol of every run.",
        "simulated": False,
        "planted": None,
        "seed": work.config["seed"],
        "command": _command(work),
        "published": {
            "file": rows.file,
            "sha256": rows.sha256,
            "rows": len(rows),
            "times": times,
            "without_sigma": times - sum(map(len, issued)),
            "single_levels": sum(levels.n_single for levels in work.levels),
            "wrong_side": wrong,
            "stated": [format_duration(h) for h in rows.stated],
            "ignored_columns": list(rows.ignored),
            "unseen": UNSEEN,
        },
        "hashes": dict(work.hashes),
        "gate": dict(work.gate),
        "forecasts": {n: forecasts_digest(each) for n, each in zip(names, issued, strict=True)},
        "versions": versions(),
        "sources": [dict(commit.source) for commit in work.log.commits()],
        "claims": {claim.id: asdict(claim) for claim in CLAIMS},
        "symbols": {
            market.symbol: describe_feeds(market.events, market.price_kind, tape, work.log)
            for market, tape in zip(work.markets, work.tapes, strict=True)
        },
        **({} if work.seal is None else {"holdout": {**work.seal, "state": "sealed"}}),
    }


def _command(work: ScoreWork) -> str:
    """Return the command that makes the run again, without a place of any machine."""
    plain = EvaluationOptions()
    words = ["liqbt score", work.rows.file, "--log LOG"]
    for market in work.markets:
        price = market.events[market.price_kind][0]
        if market.symbol in work.named:
            words.append(f"--market '{market.symbol}={price}'")
    if work.options.horizons != plain.horizons:
        words.append(f"--horizons {','.join(map(format_duration, work.options.horizons))}")
    if work.options.latency != plain.latency:
        words.append(f"--latency {format_duration(work.options.latency)}")
    if work.config["seed"]:
        words.append(f"--seed {work.config['seed']}")
    return " ".join(words)

"""What hourly totals of BTC say of the hour after forced flow; needs the real data (LIQBT_DATA).

python research/chain/real.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from liqbt.evaluation.bursts import Bursts, hour_bursts
from liqbt.evaluation.claims.chain import CLAIM, push_days
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.claims.verdict import find_score, verdict
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.inference.days import draw, stream
from liqbt.evaluation.inference.estimates import estimate
from liqbt.study.pipeline import study
from liqbt.study.plan import prepare
from liqbt.study.progress import silent
from liqbt.types import HOUR_NS

ROOT = Path(__file__).resolve().parent.parent.parent


def said(name: str, rows: Bursts) -> str:
    """Return the move after hours of forced flow, with its interval."""
    draws = draw(stream(0, "bootstrap", "forced_push_hours"), reps=2000, n_days=200)
    found = estimate(push_days(rows), HOUR_NS, draws)
    return (
        f"| {name} | {found.value:+.2f} | {found.ci_low:+.2f} to {found.ci_high:+.2f} "
        f"| {found.mde:.1f} | {found.n_episodes} | {found.n_days} |"
    )


def main() -> None:
    """Print the tables."""
    work = prepare(ROOT / "experiments" / "btc-2025-12.yaml", ROOT / "results", silent)
    evidence = study(work.experiment, work.tapes, statistics=()).first.evidence
    market = evidence.markets[0]
    mine = [one for one in STATISTICS if one.claim == "chain"]
    details = list(scored(evidence, mine))
    for detail in details:
        row = detail.score
        print(
            row.statistic, row.symbol, f"{row.value:+.2f}", f"{row.ci_low:+.2f} {row.ci_high:+.2f}"
        )
    print(verdict(CLAIM, find_score(CLAIM, details), withheld=None, others=details))
    rows = hour_bursts(market)
    if rows is None:
        return
    size = np.abs(rows.forced[: rows.n_bursts])
    print("forced in an hour, % of open interest, 50/90/99/100 %:",
          np.quantile(size, [0.5, 0.9, 0.99, 1.0]).round(4))  # fmt: skip
    print("\n| rows | bp for 1 % | 95 % interval | detectable | hours | days |")
    print("|---|---|---|---|---|---|")
    print(said("all hours", rows))
    largest = np.quantile(size, 0.999)
    print(said("without the largest thousandth", _without(rows, np.abs(rows.forced) < largest)))
    for sign, name in ((-1, "longs forced"), (1, "shorts forced")):
        print(said(name, _without(rows, sign * rows.forced >= 0)))
    order = np.argsort(rows.at)
    shifted = np.roll(rows.forced[order], 24 * 7)
    moved = replace(
        rows,
        at=rows.at[order],
        sigma=rows.sigma[order],
        past=rows.past[order],
        response=rows.response[order],
        log_price=rows.log_price[order],
        forced=shifted,
    )
    print(said("flow of seven days before", moved))


def _without(rows: Bursts, kept: np.ndarray) -> Bursts:
    return replace(
        rows,
        at=rows.at[kept],
        log_price=rows.log_price[kept],
        forced=rows.forced[kept],
        sigma=rows.sigma[kept],
        past=rows.past[kept],
        response=rows.response[kept],
        n_bursts=int(np.count_nonzero(rows.forced[kept])),
    )


if __name__ == "__main__":
    main()
